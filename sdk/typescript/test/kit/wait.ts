/** Waiting for what happens in the background. */

const PATIENCE_MS = 60_000;

/** Until it is true; fails with what it last was. */
export async function until(isTrue: () => boolean, what: () => unknown): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!isTrue()) {
    if (performance.now() > endMs) {
      throw new Error(`never: ${JSON.stringify(what())}`);
    }
    await sleep(5);
  }
}

export function sleep(waitMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, waitMs));
}
