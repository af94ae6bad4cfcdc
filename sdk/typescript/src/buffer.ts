/** Events in memory, first in first out. */

import type { Event } from "./event.js";
import type { SpoolFile } from "./spool.js";

/** An event that is held in memory. */
export interface Held {
  readonly event: Event;
  /** When it was tracked, on the clock of `performance.now()`. */
  readonly sinceMs: number;
  /** Counts up with each event that is tracked; 0 for one that came back from the spool. */
  readonly serial: number;
  /** The spool's file that also holds it, and the line there. */
  readonly spooled: { readonly file: SpoolFile; readonly line: number } | null;
}

/** What waits to be taken into a batch. */
export class Buffer {
  #held: (Held | undefined)[] = [];
  #start = 0;

  get length(): number {
    return this.#held.length - this.#start;
  }

  get oldest(): Held | undefined {
    return this.#held[this.#start];
  }

  push(held: Held): void {
    this.#held.push(held);
  }

  /** Takes the oldest, at most that many. */
  take(most: number): Held[] {
    const taken = this.#held.slice(this.#start, this.#start + most) as Held[];
    this.#held.fill(undefined, this.#start, this.#start + taken.length);
    this.#start += taken.length;
    // Moves the rest to the front only when at least as many have gone: constant work for each event.
    if (this.#start * 2 >= this.#held.length) {
      this.#held = this.#held.slice(this.#start);
      this.#start = 0;
    }
    return taken;
  }

  /** Takes all that were tracked before that moment. */
  takeOlder(beforeMs: number): Held[] {
    const old: Held[] = [];
    while (this.oldest !== undefined && this.oldest.sinceMs < beforeMs) {
      old.push(...this.take(1));
    }
    return old;
  }
}
