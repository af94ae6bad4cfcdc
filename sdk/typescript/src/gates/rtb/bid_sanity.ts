/** `rtb.bid-sanity`: every bid has a price, and not an absurd one. */

import type { Gate } from "../../gate.js";
import { checkBids, impsIn, LOSS_REASON, type Fault, type Fields } from "./bids.js";
import { decimalOf, isAbove, times, type Decimal } from "./decimal.js";

/** What it takes. */
export interface BidSanityOptions {
  /** How many times its floor a price may be, above 0. */
  maxFloorMultiple?: number | undefined;
  /** The greatest price. */
  maxPrice?: number | undefined;
  name?: string | undefined;
}

/** Fails when a price is missing, negative, above the maximum, or far above the floor of its imp. Currencies are not looked at. */
export function bidSanity({ maxFloorMultiple = 50, maxPrice, name = "rtb.bid-sanity" }: BidSanityOptions = {}): Gate {
  if (typeof maxFloorMultiple !== "number" || !(maxFloorMultiple > 0 && maxFloorMultiple < Infinity)) {
    throw new TypeError("maxFloorMultiple: not a number above 0");
  }
  if (maxPrice !== undefined && (typeof maxPrice !== "number" || !(maxPrice >= 0 && maxPrice < Infinity))) {
    throw new TypeError("maxPrice: not a number from 0");
  }
  const multiple = decimalOf(maxFloorMultiple);
  const maximum = maxPrice === undefined ? null : decimalOf(maxPrice);

  const faultOf = ({ price, impid }: Fields, limits: ReadonlyMap<unknown, Decimal>): Fault | null => {
    if (!isNumber(price)) {
      return { reason: "bid missing price", lossReason: LOSS_REASON.missingPrice };
    }
    if (price < 0) {
      return { reason: "bid price is negative", lossReason: LOSS_REASON.invalidResponse };
    }
    if (maximum !== null && isAbove(decimalOf(price), maximum)) {
      return { reason: "bid price exceeds maximum" };
    }
    const limit = limits.get(impid);
    const isFar = limit !== undefined && isAbove(decimalOf(price), limit);
    return isFar ? { reason: `bid price exceeds floor by more than ${maxFloorMultiple}x` } : null;
  };

  return {
    name,
    run(ctx) {
      const limits = new Map<unknown, Decimal>();
      for (const { id, bidfloor } of impsIn(ctx)) {
        if (typeof id === "string" && isNumber(bidfloor) && bidfloor > 0) {
          limits.set(id, times(decimalOf(bidfloor), multiple));
        }
      }
      return checkBids(ctx, (bid) => faultOf(bid, limits));
    },
  };
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
