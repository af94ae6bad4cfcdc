/** `rtb.bcat-compliance`: no bid is of a category that the request blocks. */

import type { Gate } from "../../gate.js";
import { LOSS_REASON, requestIn, textsOf } from "./bids.js";
import { checkKnownBids, isKnown, NOT_SUPPORTED } from "./taxonomy.js";

/** Fails when a bid's `cat` holds an entry of the request's `bcat`. */
export function bcatCompliance({ name = "rtb.bcat-compliance" }: { name?: string | undefined } = {}): Gate {
  return {
    name,
    run(ctx) {
      const request = requestIn(ctx);
      const blocked = new Set(textsOf(request["bcat"]));
      if (blocked.size === 0) {
        return { passed: true, skipped: true, reason: "no bcat in request" };
      }
      if (!isKnown(request)) {
        return NOT_SUPPORTED;
      }
      return checkKnownBids(ctx, ({ cat }) => {
        const category = textsOf(cat).find((each) => blocked.has(each));
        return category === undefined
          ? null
          : { reason: `blocked category in response: ${category}`, lossReason: LOSS_REASON.categoryExclusions };
      });
    },
  };
}
