/** The end of the process: what open clients do then. */

/** A client as far as the end of the process is concerned. */
export interface Ending {
  /** Whether something would be lost. */
  readonly holds: boolean;
  /** Delivers what it can, while the event loop still turns. */
  drain(): Promise<void>;
  /** Saves what it can at once. */
  abandon(): void;
}

const open = new Set<Ending>();

/** The process's end will see to it. */
export function opened(client: Ending): void {
  if (open.size === 0) {
    process.on("beforeExit", drainAll);
    process.on("exit", abandonAll);
  }
  open.add(client);
}

/** It has seen to itself. */
export function closed(client: Ending): void {
  open.delete(client);
  if (open.size === 0) {
    process.off("beforeExit", drainAll);
    process.off("exit", abandonAll);
  }
}

/** The event loop is empty; what is started here keeps it alive until it is done. */
function drainAll(): void {
  for (const client of open) {
    if (client.holds) {
      void client.drain();
    }
  }
}

/** `process.exit`, an uncaught error, or the end after `drainAll`: nothing asynchronous happens any more. */
function abandonAll(): void {
  for (const client of open) {
    client.abandon();
  }
}
