/** Categories, and whether they are of the taxonomy that the gates know. */

import type { EvaluationContext, GateOutcome } from "../../gate.js";
import { checkBids, type Fault, type Fields } from "./bids.js";

/** A gate does not compare categories of another taxonomy. */
export const NOT_SUPPORTED: GateOutcome = { passed: true, skipped: true, reason: "category taxonomy not supported" };

/** Whether the categories of this object are of IAB's content taxonomy 1.0: the default, and number 1. */
export function isKnown({ cattax }: Fields): boolean {
  return cattax === undefined || cattax === null || cattax === 1;
}

/** Looks at the bids of the known taxonomy; where bids of another are all that is left to speak of, it skips. */
export function checkKnownBids(ctx: EvaluationContext, faultOf: (bid: Fields) => Fault | null): GateOutcome {
  let anyUnknown = false;
  const outcome = checkBids(ctx, (bid) => {
    anyUnknown ||= !isKnown(bid);
    return isKnown(bid) ? faultOf(bid) : null;
  });
  return anyUnknown && outcome.passed ? NOT_SUPPORTED : outcome;
}
