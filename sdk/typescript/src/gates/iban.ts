/** International bank account numbers (ISO 13616): a country's length, and 1 modulo 97. */

/** The countries in the registry, by the length of their numbers. */
const COUNTRIES: readonly (readonly [number, string])[] = [
  [15, "NO"],
  [16, "BE"],
  [18, "DK FI FK FO GL NL SD"],
  [19, "MK SI"],
  [20, "AT BA EE KZ LT LU MN XK"],
  [21, "CH HR LI LV"],
  [22, "BG BH CR DE GB GE IE ME RS VA"],
  [23, "AE GI IL IQ OM SO TL"],
  [24, "AD CZ ES MD PK RO SA SE SK TN VG"],
  [25, "LY PT ST"],
  [26, "IS TR"],
  [27, "BI DJ FR GR IT MC MR SM"],
  [28, "AL AZ BY CY DO GT HN HU LB NI PL SV"],
  [29, "BR EG PS QA UA"],
  [30, "JO KW MU YE"],
  [31, "MT SC"],
  [32, "LC"],
  [33, "RU"],
];

const LENGTHS = new Map(COUNTRIES.flatMap(([length, countries]) => countries.split(" ").map((country) => [country, length])));

const MAX_PRINTED = 70;

/** Whether a text has one: capital letters and digits, with single blanks between them as it is printed. */
export function hasIban(text: string): boolean {
  for (const { index } of text.matchAll(/\b[A-Z]{2}\d/g)) {
    const length = LENGTHS.get(text.slice(index, index + 2));
    if (length !== undefined && isIban(text.slice(index, index + MAX_PRINTED), length)) {
      return true;
    }
  }
  return false;
}

function isIban(text: string, length: number): boolean {
  let number = "";
  let here = 0;
  for (; number.length < length; here += 1) {
    const character = text[here] ?? "";
    if (/[A-Z0-9]/.test(character)) {
      number += character;
    } else if (character !== " " || here <= 2 || text[here - 1] === " ") {
      return false;
    }
  }
  return !/\w/.test(text[here] ?? "") && areCheckDigits(number.slice(2, 4)) && remainder(number) === 1;
}

/** They are 98 less a remainder modulo 97: the same two modulo 97, 00, 01 and 99, are never given. */
function areCheckDigits(two: string): boolean {
  return /^\d\d$/.test(two) && two >= "02" && two <= "98";
}

/** The number modulo 97, its first four characters moved to the end, a letter read as 10–35. */
function remainder(number: string): number {
  let left = 0;
  for (const character of number.slice(4) + number.slice(0, 4)) {
    const value = parseInt(character, 36);
    left = (left * (value > 9 ? 100 : 10) + value) % 97;
  }
  return left;
}
