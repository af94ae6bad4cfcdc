/** `content`: the output says nothing, or refuses. */

import type { Gate } from "../gate.js";
import { BLANK, textsIn } from "./walk.js";

/** What it takes; each check can be off. */
export interface ContentOptions {
  /** Null, blank text, `[]` and `{}`. */
  empty?: boolean | undefined;
  /** Phrases with which a model declines. */
  refusal?: boolean | undefined;
  name?: string | undefined;
}

/** Looks at the output as a whole, then at every text of it. */
export function content({ empty = true, refusal = true, name = "content" }: ContentOptions = {}): Gate {
  return {
    name,
    run({ output }) {
      if (empty && isEmpty(output)) {
        return { passed: false, reason: "output is empty" };
      }
      if (refusal) {
        for (const { text, where } of textsIn(output)) {
          if (REFUSAL.test(text)) {
            return { passed: false, reason: "refusal phrase detected in output", details: { where } };
          }
        }
      }
      return { passed: true };
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
