/** `rtb.tmax-guard`: whether there is time left for other gates. */

import type { EvaluationContext, Gate } from "../../gate.js";
import { requestIn } from "./bids.js";

/** What it takes. */
export interface TmaxGuardOptions {
  /** How much must be left, in milliseconds. */
  bufferMs?: number | undefined;
  name?: string | undefined;
}

/**
 * Never fails. Ends the run when less than the buffer is left of `tmax_ms`, or of the request's `tmax`; so it must be
 * the first gate.
 */
export function tmaxGuard({ bufferMs = 15, name = "rtb.tmax-guard" }: TmaxGuardOptions = {}): Gate {
  if (typeof bufferMs !== "number" || !(bufferMs >= 0 && bufferMs < Infinity)) {
    throw new TypeError("bufferMs: not a number from 0");
  }
  return {
    name,
    mustBeFirst: true,
    run(ctx) {
      const tmaxMs = ctx.tmax_ms ?? requestIn(ctx)["tmax"];
      if (typeof tmaxMs !== "number") {
        return { passed: true };
      }
      const leftMs = tmaxMs - elapsedMs(ctx);
      if (leftMs >= bufferMs) {
        return { passed: true };
      }
      // Rounded down, so that it is still less than what is needed.
      const reason = `tmax budget: ${Math.floor(leftMs)}ms of ${tmaxMs}ms left, ${bufferMs}ms needed`;
      return { passed: true, skipped: true, reason, endsRun: true };
    },
  };
}

/** No process runs that long: a larger start is a time of day. */
const LONGEST_UPTIME_MS = 1e11;

function elapsedMs({ started_at }: EvaluationContext): number {
  if (typeof started_at !== "number") {
    return 0;
  }
  return (started_at > LONGEST_UPTIME_MS ? Date.now() : performance.now()) - started_at;
}
