/** How long to wait before the next try. */

/** No `Retry-After` is obeyed for longer. */
const MAX_RETRY_AFTER_MS = 300_000;

/** The longest wait after that many failures in a row, 1 or more. */
export function longestWait(failures: number, baseMs: number, maxMs: number): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(failures, 1_000));
}

/** A wait with full jitter: clients that failed together must not come back together. */
export function backoff(failures: number, baseMs: number, maxMs: number): number {
  return Math.random() * longestWait(failures, baseMs, maxMs);
}

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** The wait that a `Retry-After` asks for; null if it asks for none that can be obeyed. */
export function retryAfter(header: string | undefined, nowMs: number): number | null {
  const text = header?.trim() ?? "";
  let waitMs = NaN;
  if (/^\d+$/.test(text)) {
    waitMs = Number(text) * 1_000;
  } else if (HTTP_DATE.test(text)) {
    waitMs = Date.parse(text) - nowMs;
  }
  return waitMs > 0 ? Math.min(waitMs, MAX_RETRY_AFTER_MS) : null;
}
