/** IP addresses: four numbers up to 255 without leading zeros, or version 6 in any of its writings. */

import { isIPv6 } from "node:net";

/** The longest writing of version 6, with version 4 at its end. */
const MAX_V6 = 45;

const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const V4 = new RegExp(`(?<![\\w.])${OCTET}(?:\\.${OCTET}){3}(?!\\w|\\.\\d)`);

/** Whether a text has one. */
export function hasIp(text: string): boolean {
  return V4.test(text) || hasV6(text);
}

const PART = /[0-9A-Fa-f:.]/;

function hasV6(text: string): boolean {
  for (let colon = text.indexOf(":"); colon >= 0; colon = text.indexOf(":", colon + 1)) {
    if (isV6Around(text, colon)) {
      return true;
    }
  }
  return false;
}

/** Whether the first colon of an address stands there. */
function isV6Around(text: string, colon: number): boolean {
  let start = colon;
  while (start > 0 && colon - start < MAX_V6 && PART.test(text[start - 1] as string)) {
    start -= 1;
  }
  if (text.slice(start, colon).includes(":") || /\w/.test(text[start - 1] ?? "")) {
    return false;
  }
  let end = start;
  while (end < text.length && end - start <= MAX_V6 && PART.test(text[end] as string)) {
    end += 1;
  }
  // A sentence may end behind an address.
  const written = text.slice(start, end).replace(/\.+$/, "");
  const address = written.endsWith("::") ? written : written.replace(/:+$/, "");
  return !/\w/.test(text[end] ?? "") && /\d/.test(address) && isIPv6(address);
}
