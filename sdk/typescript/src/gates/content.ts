/** `content`: the output says nothing, or refuses. */

import type { Gate } from "../gate.js";
import { findIn, type Kind } from "./find.js";
import { BLANK } from "./walk.js";

/** What it takes; each check can be off. */
export interface ContentOptions {
  /** Null, blank text, `[]` and `{}`. */
  empty?: boolean | undefined;
  /** Phrases with which a model declines. */
  refusals?: boolean | undefined;
  name?: string | undefined;
}

/** Looks at the output as a whole, then at every text of it. */
export function content({ empty = true, refusals = true, name = "content" }: ContentOptions = {}): Gate {
  const kinds: Kind[] = refusals ? [{ isIn: (text) => REFUSAL.test(text), name: "refusal phrase" }] : [];
  return {
    name,
    run({ output }) {
      return empty && isEmpty(output)
        ? { passed: false, reason: "output is empty", details: { where: "" } }
        : findIn(output, kinds);
    },
  };
}

const ONLY_BLANKS = new RegExp(`^[${BLANK}]*$`);

function isEmpty(output: unknown): boolean {
  if (output === undefined || output === null) {
    return true;
  }
  if (typeof output === "string") {
    return ONLY_BLANKS.test(output);
  }
  return typeof output === "object" && Object.keys(output).length === 0;
}

const PHRASES = [
  "i (?:don'|do no)t have (?:access|the ability)",
  "i can(?:'|no)t (?:do|help|provide|access|complete|fulfill|assist)",
  "as an ai (?:language )?model",
  "i(?:'| a)m (?:just )?an ai",
];

// Without the `u` flag "any case" is that of ASCII: no other letter folds into these.
const REFUSAL = new RegExp(
  `\\b(?:${PHRASES.join("|").replaceAll("'", "['\\u2019\\u02bc]").replaceAll(" ", `[${BLANK}]+`)})\\b`,
  "i",
);
