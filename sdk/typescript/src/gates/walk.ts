/** Walking a value: its texts in document order, never its keys. */

/** A text, and where it stands. */
export interface Found {
  readonly text: string;
  /** A JSON pointer that shows no key of the payload but plain names. */
  readonly where: string;
}

/** A longer pointer is cut at a step. */
const MAX_POINTER = 400;

/**
 * The texts in a value. An object that is met again, as in a cycle, is not walked again. With `joinArrays` an array
 * of two texts or more also stands as one text, joined by blanks, before its own.
 */
export function* textsIn(value: unknown, joinArrays = false): Generator<Found> {
  const met = new Set<object>();
  const stack: { readonly value: unknown; readonly where: string }[] = [{ value, where: "" }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { value, where } = next;
    if (typeof value === "string") {
      yield { text: value, where };
    } else if (typeof value === "object" && value !== null && !met.has(value)) {
      met.add(value);
      if (joinArrays && Array.isArray(value) && value.length > 1 && value.every((each) => typeof each === "string")) {
        yield { text: value.join(" "), where };
      }
      const children = Object.entries(value);
      for (let at = children.length - 1; at >= 0; at -= 1) {
        const [key, child] = children[at] as [string, unknown];
        stack.push({ value: child, where: pointerTo(where, Array.isArray(value) ? key : shown(key)) });
      }
    }
  }
}

/** The pointer to a child. */
export function pointerTo(parent: string, step: string): string {
  if (parent.length <= MAX_POINTER) {
    return `${parent}/${step}`;
  }
  return parent.endsWith("/…") ? parent : `${parent}/…`;
}

/** A key as a reason may show it: a name is no payload, anything else may be. */
export function shown(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(key) ? key : "*";
}

/** Blanks, for a character class: ASCII white space, U+00A0, U+FEFF and Unicode's space separators. */
export const BLANK = "\\t-\\r \\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000\\ufeff";
