/** Requests and responses of OpenRTB, as far as the gates look at them. Whatever has another form is absent. */

import type { EvaluationContext, GateOutcome } from "../../gate.js";

/** An object of the request or the response. */
export type Fields = Readonly<Record<string, unknown>>;

/** What is wrong with a bid, and IAB's code for why it lost. */
export interface Fault {
  readonly reason: string;
  readonly lossReason?: number;
}

/** Why a bid lost, as IAB Tech Lab lists it for OpenRTB. */
export const LOSS_REASON = { invalidResponse: 3, invalidAdvertiserDomain: 6, missingPrice: 9, categoryExclusions: 209 };

/** The request. */
export function requestIn({ input }: EvaluationContext): Fields {
  return fieldsOf(input);
}

/** The imps of the request. */
export function impsIn(ctx: EvaluationContext): readonly Fields[] {
  return listOf(requestIn(ctx)["imp"]).map(fieldsOf);
}

/** Looks at the bids until one is at fault; skips where there are none. */
export function checkBids(ctx: EvaluationContext, faultOf: (bid: Fields) => Fault | null): GateOutcome {
  let any = false;
  for (const [seat, { bid: bids }] of listOf(fieldsOf(ctx.output)["seatbid"]).map(fieldsOf).entries()) {
    for (const [place, bid] of listOf(bids).entries()) {
      any = true;
      const fault = faultOf(fieldsOf(bid));
      if (fault !== null) {
        const where = `/seatbid/${seat}/bid/${place}`;
        const details = fault.lossReason === undefined ? { where } : { where, loss_reason: fault.lossReason };
        return { passed: false, reason: fault.reason, details };
      }
    }
  }
  return any ? { passed: true } : { passed: true, skipped: true, reason: "no bids in response" };
}

/** The fields of an object; none of anything else. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** The elements of a list; none of anything else. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The texts of a list. */
export function textsOf(value: unknown): string[] {
  return listOf(value).filter((each) => typeof each === "string");
}
