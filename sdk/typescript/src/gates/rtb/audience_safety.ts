/** `rtb.audience-safety`: children are not shown what is not for them. */

import type { EvaluationContext, Gate } from "../../gate.js";
import { fieldsOf, LOSS_REASON, requestIn, textsOf } from "./bids.js";
import { checkKnownBids, isKnown, NOT_SUPPORTED } from "./taxonomy.js";

/** What it takes. */
export interface AudienceSafetyOptions {
  /** In place of the usual. */
  unsafeCategories?: readonly string[] | undefined;
  /** Categories that make an app or site one for children; `IAB13` by default, as the public API has it. */
  childCategories?: readonly string[] | undefined;
  /** Words in a bundle that make an app one for children, beside the usual. */
  extraBundleWords?: readonly string[] | undefined;
  name?: string | undefined;
}

const range = (category: string, last: number): string[] => Array.from({ length: last }, (_, at) => `${category}-${at + 1}`);

const UNSAFE = ["IAB7-39", "IAB8-5", "IAB8-18", "IAB14-1", "IAB25", ...range("IAB25", 7), "IAB26", ...range("IAB26", 4)];

const BUNDLE_WORDS = ["kids", "child", "children", "toddler", "preschool", "baby"];

/** Fails when a request is directed to children and a bid is of an unsafe category. */
export function audienceSafety(options: AudienceSafetyOptions = {}): Gate {
  const { unsafeCategories = UNSAFE, childCategories = ["IAB13"], extraBundleWords = [], name = "rtb.audience-safety" } = options;
  const notForThem = new Set(unsafeCategories);
  const forThem = new Set(childCategories);
  const words = [...BUNDLE_WORDS, ...extraBundleWords.map((word) => word.toLowerCase())];

  /** Whether the request is directed to children; null if its categories are of another taxonomy and nothing else says so. */
  const isForChildren = (ctx: EvaluationContext): boolean | null => {
    const request = requestIn(ctx);
    const app = fieldsOf(request["app"]);
    if (fieldsOf(request["regs"])["coppa"] === 1) {
      return true;
    }
    const bundle = typeof app["bundle"] === "string" ? app["bundle"].toLowerCase() : "";
    if (words.some((word) => bundle.includes(word))) {
      return true;
    }
    const places = [app, fieldsOf(request["site"])].filter(({ cat }) => textsOf(cat).length > 0);
    if (places.some((place) => isKnown(place) && textsOf(place["cat"]).some((category) => forThem.has(category)))) {
      return true;
    }
    return places.every(isKnown) ? false : null;
  };

  return {
    name,
    run(ctx) {
      const isFor = isForChildren(ctx);
      if (isFor === null) {
        return NOT_SUPPORTED;
      }
      if (!isFor) {
        return { passed: true, skipped: true, reason: "not child-directed" };
      }
      return checkKnownBids(ctx, ({ cat }) => {
        const category = textsOf(cat).find((each) => notForThem.has(each));
        return category === undefined
          ? null
          : { reason: `child-directed inventory served unsafe category: ${category}`, lossReason: LOSS_REASON.categoryExclusions };
      });
    },
  };
}
