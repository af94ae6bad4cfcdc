/** `pii`: the output shows somebody's personal data. */

import type { Gate } from "../gate.js";
import { BLANK, textsIn } from "./walk.js";

/** What it takes; each check can be off. */
export interface PiiOptions {
  email?: boolean | undefined;
  /** US social security numbers. */
  ssn?: boolean | undefined;
  /** US phone numbers. */
  phone?: boolean | undefined;
  name?: string | undefined;
}

/** Looks at every text of the output. */
export function pii({ email = true, ssn = true, phone = true, name = "pii" }: PiiOptions = {}): Gate {
  const checks: [(text: string) => boolean, string][] = [];
  if (email) {
    checks.push([hasEmail, "email address detected in output"]);
  }
  if (ssn) {
    checks.push([(text) => SSN.test(text), "SSN detected in output"]);
  }
  if (phone) {
    checks.push([(text) => PHONE.test(text), "phone number detected in output"]);
  }
  return {
    name,
    run({ output }) {
      for (const { text, where } of textsIn(output)) {
        for (const [isHit, reason] of checks) {
          if (isHit(text)) {
            return { passed: false, reason, details: { where } };
          }
        }
      }
      return { passed: true };
    },
  };
}

const SSN = /\b(?!000|666|9\d{2})\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b/;

const PHONE = new RegExp(
  `\\b(?:\\+?1[-.${BLANK}]?)?\\(?[2-9]\\d{2}\\)?[-.${BLANK}]\\d{3}[-.${BLANK}]\\d{4}\\b`,
);

/** What stands before the `@` of an address, and after it. */
const LOCAL = /[a-zA-Z0-9._%+-]/;
const DOMAIN = /[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}/y;

/** Looks around each `@`: one pattern for the whole address would take quadratic time on a long run of letters. */
function hasEmail(text: string): boolean {
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    DOMAIN.lastIndex = at + 1;
    if (at > 0 && LOCAL.test(text[at - 1] as string) && DOMAIN.test(text)) {
      return true;
    }
  }
  return false;
}
