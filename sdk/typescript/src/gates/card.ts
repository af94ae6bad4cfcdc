/** Numbers of payment cards: an issuer's first digits, the right length, Luhn's check digit. */

const MAX_DIGITS = 19;

/** How numbers are printed in groups. */
const GROUPINGS = ["4 4 4 4", "4 6 5", "4 6 4", "4 4 4 4 3", "4 4 4 1"];

/** Whether a text has one: digits alone, or in the usual groups with one blank or one hyphen between them. */
export function hasCard(text: string): boolean {
  for (const { index } of text.matchAll(/\b[2-6]/g)) {
    if (isCardAt(text, index)) {
      return true;
    }
  }
  return false;
}

const DIGITS = /\d{1,20}/y;

function isCardAt(text: string, at: number): boolean {
  let number = "";
  let separator: string | undefined;
  const groups: number[] = [];
  for (let here = at; ; here += 1) {
    DIGITS.lastIndex = here;
    const group = DIGITS.exec(text)?.[0] ?? "";
    if (group === "" || number.length + group.length > MAX_DIGITS) {
      return false;
    }
    number += group;
    groups.push(group.length);
    here += group.length;
    const next = text[here];
    const printed = groups.join(" ");
    const isGrouped = groups.length === 1 || GROUPINGS.includes(printed);
    if (isGrouped && !/\w/.test(next ?? "") && isIssued(number) && passesLuhn(number)) {
      return true;
    }
    separator ??= next;
    const mayGoOn = GROUPINGS.some((grouping) => grouping.startsWith(`${printed} `));
    if (!mayGoOn || (next !== " " && next !== "-") || next !== separator) {
      return false;
    }
  }
}

/** Whether an issuer gives out numbers of this length that begin so. */
function isIssued(number: string): boolean {
  const first = (count: number): number => Number(number.slice(0, count));
  const within = (count: number, least: number, most: number): boolean => first(count) >= least && first(count) <= most;
  switch (number.length) {
    case 13:
      return first(1) === 4;
    case 14:
      return within(3, 300, 305) || [36, 38, 39].includes(first(2));
    case 15:
      return first(2) === 34 || first(2) === 37;
    case 16:
      return first(1) === 4 || within(2, 51, 55) || within(4, 2221, 2720) || isLong(within, first);
    case 17:
    case 18:
      return isLong(within, first);
    case 19:
      return first(1) === 4 || isLong(within, first);
    default:
      return false;
  }
}

/** Issuers of numbers of 16 to 19 digits. */
function isLong(within: (count: number, least: number, most: number) => boolean, first: (count: number) => number): boolean {
  return first(4) === 6011 || within(3, 644, 649) || first(2) === 62 || first(2) === 65 || within(4, 3528, 3589);
}

function passesLuhn(number: string): boolean {
  let sum = 0;
  for (let place = 0; place < number.length; place += 1) {
    const digit = Number(number[number.length - 1 - place]);
    const doubled = digit * 2;
    sum += place % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
