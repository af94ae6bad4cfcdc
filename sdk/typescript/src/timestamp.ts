/** Times as the server takes them, and as this client writes them. */

const FORM =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:Z|([+-])(\d\d):?(\d\d))?$/;

const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Whether the server takes the text as a timestamp: `docs/api.md` says which it does. */
export function isTimestamp(text: string): boolean {
  // `$` also matches before a last line feed in other languages; here it does not.
  const parts = FORM.exec(text);
  if (parts === null) {
    return false;
  }
  const part = (at: number): number => Number(parts[at] ?? 0);
  const [year, month, day] = [part(1), part(2), part(3)];
  const [hour, minute, second] = [part(4), part(5), part(6)];
  const [offsetHour, offsetMinute] = [part(9), part(10)];
  const midnight = new Date(Date.UTC(year, month - 1, day));
  const exists = midnight.getUTCMonth() === month - 1 && midnight.getUTCDate() === day;
  if (year < 1970 || !exists || hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) {
    return false;
  }
  const offset = (offsetHour * 60 + offsetMinute) * (parts[8] === "-" ? -60_000 : 60_000);
  const millisecond = Number((parts[7] ?? "0").padEnd(3, "0").slice(0, 3));
  const instant = midnight.getTime() + ((hour * 60 + minute) * 60 + second) * 1_000 + millisecond - offset;
  return instant >= 0 && instant <= LAST_MS;
}

let lastMs = NaN;
let lastText = "";

/** `2026-05-07T14:22:10.000Z`; the text of the newest millisecond is kept, since many events share it. */
export function timestampOf(unixMs: number): string {
  if (unixMs !== lastMs) {
    lastText = new Date(unixMs).toISOString();
    lastMs = unixMs;
  }
  return lastText;
}
