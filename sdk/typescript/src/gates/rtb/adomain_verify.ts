/** `rtb.adomain-verify`: every bid says whom it advertises. */

import type { Gate } from "../../gate.js";
import { BLANK } from "../walk.js";
import { checkBids, LOSS_REASON, type Fault } from "./bids.js";

/** What it takes. */
export interface AdomainVerifyOptions {
  /** Whether a bid without a domain fails. */
  requireAdomain?: boolean | undefined;
  /** Domains that are refused beside the usual placeholders. */
  extraPlaceholders?: readonly string[] | undefined;
  name?: string | undefined;
}

const PLACEHOLDERS = [
  "advertiserdomain.com",
  "example.com",
  "example.org",
  "example.net",
  "test.com",
  "placeholder.com",
  "localhost",
  "foo.com",
  "bar.com",
];

const MAX_DOMAIN = 253;

/** Fails when a bid has no advertiser's domain, a placeholder, or something that is no domain. */
export function adomainVerify(options: AdomainVerifyOptions = {}): Gate {
  const { requireAdomain = true, extraPlaceholders = [], name = "rtb.adomain-verify" } = options;
  const placeholders = new Set([...PLACEHOLDERS, ...extraPlaceholders.map(normal)]);
  const lossReason = LOSS_REASON.invalidAdvertiserDomain;
  const faultOf = (adomain: unknown): Fault | null => {
    if (!Array.isArray(adomain) || adomain.length === 0) {
      return requireAdomain ? { reason: "bid has no adomain", lossReason } : null;
    }
    const domains = (adomain as unknown[]).map((domain) => (typeof domain === "string" ? normal(domain) : ""));
    const placeholder = domains.find((domain) => placeholders.has(domain));
    if (placeholder !== undefined) {
      return { reason: `placeholder adomain: ${placeholder}`, lossReason };
    }
    return domains.every(isDomain) ? null : { reason: "invalid adomain format", lossReason };
  };
  return { name, run: (ctx) => checkBids(ctx, ({ adomain }) => faultOf(adomain)) };
}

const EDGES = new RegExp(`^[${BLANK}]+|(?<![${BLANK}])[${BLANK}]+$`, "g");

/** Without blanks around it, and with small letters; others than those of ASCII stay as they are. */
function normal(domain: string): string {
  return domain.replace(EDGES, "").replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/** Whether it is a domain: two labels or more, perhaps a dot at the end. */
function isDomain(text: string): boolean {
  const domain = text.endsWith(".") ? text.slice(0, -1) : text;
  return domain.length <= MAX_DOMAIN && domain.includes(".") && domain.split(".").every((label) => LABEL.test(label));
}
