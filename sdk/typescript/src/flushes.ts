/** Who waits for a flush, and how it went so far. */

import type { Held } from "./buffer.js";

interface Flush {
  /** Events up to this serial are waited for. */
  readonly upTo: number;
  /** How many of them are in memory. */
  left: number;
  allDelivered: boolean;
  readonly done: (allDelivered: boolean) => void;
}

/** One entry for each caller that waits. */
export class Flushes {
  readonly #open = new Set<Flush>();

  /** Waits for the events up to that serial, of which that many are in memory; false at the latest after the timeout. */
  wait(upTo: number, left: number, timeoutMs: number): Promise<boolean> {
    if (left === 0) {
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => flush.done(false), timeoutMs);
      const flush: Flush = {
        upTo,
        left,
        allDelivered: true,
        done: (allDelivered) => {
          clearTimeout(timer);
          this.#open.delete(flush);
          resolve(allDelivered);
        },
      };
      this.#open.add(flush);
    });
  }

  /** These events left memory. */
  left(held: readonly Held[], delivered: boolean): void {
    for (const flush of this.#open) {
      const waitedFor = held.filter(({ serial, spooled }) => spooled === null && serial <= flush.upTo).length;
      flush.left -= waitedFor;
      flush.allDelivered &&= delivered || waitedFor === 0;
      if (flush.left === 0) {
        flush.done(flush.allDelivered);
      }
    }
  }

  /** Nothing will be delivered for now. */
  giveUp(): void {
    for (const flush of this.#open) {
      flush.done(false);
    }
  }
}
