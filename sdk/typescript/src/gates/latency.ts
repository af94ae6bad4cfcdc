/** `latency`: the agent was slower than it may be. */

import type { Gate } from "../gate.js";

/** What it takes. */
export interface LatencyOptions {
  /** In milliseconds, above 0. */
  maxMs: number;
  name?: string | undefined;
}

/** Fails when `latency_ms` is above `maxMs`; skips where there is none. */
export function latency({ maxMs, name = "latency" }: LatencyOptions): Gate {
  if (typeof maxMs !== "number" || !(maxMs > 0 && maxMs < Infinity)) {
    throw new TypeError("maxMs: not a number above 0");
  }
  return {
    name,
    run({ latency_ms }) {
      if (typeof latency_ms !== "number") {
        return { passed: true, skipped: true, reason: "no latency_ms provided" };
      }
      return latency_ms > maxMs
        ? { passed: false, reason: `latency ${latency_ms}ms exceeds ${maxMs}ms threshold` }
        : { passed: true };
    },
  };
}
