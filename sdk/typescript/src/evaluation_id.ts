/** Ids of events: 22 characters of `[A-Za-z0-9]` from the cryptographic random source, 131 bits. */

import { randomFillSync } from "node:crypto";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH = 22;

/** The largest multiple of 62 that a byte can hold: bytes from there on would favour some letters. */
const FAIR = 248;

// Random bytes are fetched many at a time: a call for each id would cost more than all the rest of `track`.
const pool = new Uint8Array(8_192);
let used = pool.length;

/** A new id. */
export function newEvaluationId(): string {
  let id = "";
  while (id.length < LENGTH) {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const byte = pool[used++] as number;
    if (byte < FAIR) {
      id += ALPHABET[byte % ALPHABET.length];
    }
  }
  return id;
}
