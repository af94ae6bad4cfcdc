/** Looking for things in the texts of an output. */

import type { GateOutcome } from "../gate.js";
import { textsIn, type Found } from "./walk.js";

/** One kind of thing: what it is called, and whether a text has it. A name may depend on the text. */
export interface Kind {
  readonly isIn: (text: string) => boolean | string;
  readonly name: string;
}

/** Fails with the first of the kinds, in their order, that any text has. */
export function findIn(output: unknown, kinds: readonly Kind[], joinArrays = false): GateOutcome {
  const texts: readonly Found[] = [...textsIn(output, joinArrays)];
  for (const { isIn, name } of kinds) {
    for (const { text, where } of texts) {
      const found = isIn(text);
      if (found !== false) {
        const what = found === true ? name : found;
        return { passed: false, reason: `${what} detected in output`, details: { where } };
      }
    }
  }
  return { passed: true };
}
