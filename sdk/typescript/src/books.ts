/** The books of a client: where each tracked event is. */

/** Why an event was given up; `spool_full` is also a spool that cannot be written or read back. */
export type Dropped = "full" | "too_old" | "invalid" | "closed" | "spool_full" | "shutdown";

/** A field that was changed to make an event valid. */
export type Cut =
  | "agent_id"
  | "tool"
  | "evaluation_id"
  | "total_latency_ms"
  | "gates"
  | "gates.name"
  | "gates.reason"
  | "gates.latency_ms";

/** What the client is doing: `backoff` and `open` wait for the next try, `paused` for a key, or an address, that works. */
export type State = "ready" | "backoff" | "open" | "paused" | "closed";

/** A copy of the books. At any moment tracked = delivered + refused + dropped + waiting. */
export interface Books {
  tracked: number;
  delivered: number;
  /** Events that the server will never take, by its code. */
  refused: Record<string, number>;
  /** Events that were given up, by reason. */
  dropped: Partial<Record<Dropped, number>>;
  /** In memory, in flight and in the spool. */
  waiting: number;
  /** Tracked by an earlier process and found in the spool. */
  recovered: number;
  /** Values that were changed to make an event valid, by field. */
  cut: Partial<Record<Cut, number>>;
  duplicates: number;
  late: number;
  clamped: number;
  requests: number;
  retries: number;
  state: State;
}

/** The most codes that are told apart: a broken server must not fill memory with codes. */
const MAX_CODES = 64;

/** The counts behind the books. What waits is not kept here: it is counted where it lies. */
export class Ledger {
  tracked = 0;
  delivered = 0;
  recovered = 0;
  duplicates = 0;
  late = 0;
  clamped = 0;
  requests = 0;
  retries = 0;
  readonly #refused = new Map<string, number>();
  readonly #dropped = new Map<Dropped, number>();
  readonly #cut = new Map<Cut, number>();

  refuse(count: number, code: string): void {
    const known = this.#refused.has(code) || this.#refused.size < MAX_CODES;
    add(this.#refused, known ? code : "other", count);
  }

  drop(count: number, reason: Dropped): void {
    add(this.#dropped, reason, count);
  }

  cut(field: Cut): void {
    add(this.#cut, field, 1);
  }

  /** The books, with what is only known elsewhere. */
  books(waiting: number, state: State): Books {
    return {
      tracked: this.tracked,
      delivered: this.delivered,
      refused: Object.fromEntries(this.#refused),
      dropped: Object.fromEntries(this.#dropped),
      waiting,
      recovered: this.recovered,
      cut: Object.fromEntries(this.#cut),
      duplicates: this.duplicates,
      late: this.late,
      clamped: this.clamped,
      requests: this.requests,
      retries: this.retries,
      state,
    };
  }
}

function add<Name>(counts: Map<Name, number>, name: Name, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count);
}
