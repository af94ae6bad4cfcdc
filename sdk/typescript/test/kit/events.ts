/** Events to track, and books to compare. */

import type { Books, Trackable } from "../../src/index.js";

/** A plain verdict. */
export function verdict(fields: Partial<Trackable> = {}): Trackable {
  return { agent_id: "a", tool: "t", passed: true, gates: [{ name: "g", passed: true, latency_ms: 0.5 }], total_latency_ms: 1, ...fields };
}

/** Whether every event is accounted for. */
export function balance(books: Books): boolean {
  return books.tracked === books.delivered + sum(books.refused) + sum(books.dropped) + books.waiting;
}

export function sum(counts: Partial<Record<string, number>>): number {
  return Object.values(counts).reduce<number>((total, count) => total + (count ?? 0), 0);
}
