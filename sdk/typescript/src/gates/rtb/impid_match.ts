/** `rtb.impid-match`: every bid is for an imp of the request. */

import type { Gate } from "../../gate.js";
import { checkBids, impsIn, LOSS_REASON } from "./bids.js";

/** Fails when a bid names no imp, or one that the request does not have. */
export function impidMatch({ name = "rtb.impid-match" }: { name?: string | undefined } = {}): Gate {
  return {
    name,
    run(ctx) {
      const imps = impsIn(ctx);
      if (imps.length === 0) {
        return { passed: true, skipped: true, reason: "no imps in request" };
      }
      const ids = new Set(imps.map(({ id }) => id).filter((id) => typeof id === "string"));
      const lossReason = LOSS_REASON.invalidResponse;
      return checkBids(ctx, ({ impid }) => {
        if (typeof impid !== "string" || impid === "") {
          return { reason: "bid missing impid", lossReason };
        }
        return ids.has(impid) ? null : { reason: "bid impid not present in request", lossReason };
      });
    },
  };
}
