/** `pii`: the output shows somebody's personal data. */

import type { Gate } from "../gate.js";
import { hasCard } from "./card.js";
import { findIn, type Kind } from "./find.js";
import { hasIban } from "./iban.js";
import { hasIp } from "./ip.js";
import { BLANK } from "./walk.js";

/** What it takes. Each check can be off; those that the public API does not have are off by default. */
export interface PiiOptions {
  email?: boolean | undefined;
  /** US social security numbers. */
  ssn?: boolean | undefined;
  /** US phone numbers. */
  phone?: boolean | undefined;
  /** Numbers of payment cards. */
  card?: boolean | undefined;
  /** International bank account numbers. */
  iban?: boolean | undefined;
  /** IP addresses, of version 4 or 6. */
  ip?: boolean | undefined;
  name?: string | undefined;
}

/** Looks at every text of the output. */
export function pii(options: PiiOptions = {}): Gate {
  const { email = true, ssn = true, phone = true, card = false, iban = false, ip = false, name = "pii" } = options;
  const all: [boolean, Kind][] = [
    [email, { isIn: hasEmail, name: "email address" }],
    [ssn, { isIn: (text) => SSN.test(text), name: "SSN" }],
    [phone, { isIn: (text) => PHONE.test(text), name: "phone number" }],
    [card, { isIn: hasCard, name: "card number" }],
    [iban, { isIn: hasIban, name: "IBAN" }],
    [ip, { isIn: hasIp, name: "IP address" }],
  ];
  const kinds = all.filter(([wanted]) => wanted).map(([, kind]) => kind);
  return { name, run: ({ output }) => findIn(output, kinds) };
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
