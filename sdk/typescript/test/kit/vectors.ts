/** The cases of `sdk/vectors`, with the values that JSON cannot hold. */

import { readFileSync } from "node:fs";

/** One file of cases. */
export function vectors<Cases>(name: string): Cases {
  const file = new URL(`../../../../vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as Cases;
}

/** The value that a written one stands for. */
export function meant(written: unknown): unknown {
  if (Array.isArray(written)) {
    return written.flatMap((each: unknown) => {
      const times = (each as { $times?: [unknown, number] } | null)?.$times;
      return times ? Array.from({ length: times[1] }, () => meant(times[0])) : [meant(each)];
    });
  }
  if (typeof written !== "object" || written === null) {
    return written;
  }
  const [first] = Object.entries(written) as [string, never][];
  switch (first?.[0]) {
    case "$repeat":
      return (first[1][0] as string).repeat(first[1][1]);
    case "$join":
      return (first[1] as unknown[]).map(meant).join("");
    case "$utf16":
      return String.fromCharCode(...(first[1] as string[]).map((unit) => parseInt(unit, 16)));
    case "$number":
      return Number(first[1]);
    default:
      return Object.fromEntries(Object.entries(written).map(([name, value]) => [name, meant(value)]));
  }
}
