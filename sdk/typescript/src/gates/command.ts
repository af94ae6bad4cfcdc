/**
 * Destructive commands. A text is cut into commands first, and each is looked at from the first name on: what a
 * later name of the same command sees, the first one sees too, so the work is linear.
 */

import { BLANK } from "./walk.js";

/** Whether a text has that command. */
export type IsCommand = (text: string) => boolean;

/** `rm` that is both recursive and forced. */
export const isRecursiveRemove: IsCommand = inCommands(/\brm\b/, (rest) => {
  let [recursive, forced] = [false, false];
  for (const [option] of rest.matchAll(OPTION)) {
    const letters = /^-[A-Za-z]*$/.test(option) ? option : "";
    recursive ||= option === "--recursive" || /[rR]/.test(letters);
    forced ||= option === "--force" || letters.includes("f");
  }
  return recursive && forced;
});

/** The others, under the names of their switches. */
export const COMMANDS = {
  dd: inCommands(/\bdd\b/, has(`\\bof=['"]?/dev\\b`)),
  mkfs: has("\\bmkfs(?:\\.[A-Za-z0-9]+)?\\b"),
  findDelete: inCommands(/\bfind\b/, has("[BLANK]-delete\\b")),
  shred: has("\\bshred[BLANK]+[-/~.]"),
  gitClean: inCommands(pattern("\\bgit[BLANK]+clean\\b"), (rest) => {
    const letters = [...rest.matchAll(SHORT_OPTIONS)].map(([, group]) => group).join("");
    return letters.includes("f") && /[xX]/.test(letters);
  }),
  chmodRoot: has(
    "\\bchmod[BLANK]+(?:(?:-R|--recursive)[BLANK]+0?777|0?777[BLANK]+(?:-R|--recursive))[BLANK]+/\\*?(?:[;|&'\"`BLANK]|$)",
  ),
  forkBomb: has(":[BLANK]*\\([BLANK]*\\)[BLANK]*\\{[BLANK]*:[BLANK]*\\|[BLANK]*:[BLANK]*&[BLANK]*\\}[BLANK]*;[BLANK]*:"),
  pipeToShell: isPipedToShell,
} as const satisfies Record<string, IsCommand>;

const OPTION = pattern("(?<=[BLANK'\"`])-[A-Za-z0-9_-]*", "g");
const SHORT_OPTIONS = pattern("[BLANK]-([A-Za-z]*)", "g");
const END = /[;|&\n\r]/;

const DOWNLOAD = /\b(?:curl|wget)\b/;
const SHELL_NEXT = pattern("[BLANK]*(?:sudo[BLANK]+)?(?:/[A-Za-z0-9/._-]*/)?(?:ba|z|k|da)?sh\\b", "y");
const SHELL_OF_DOWNLOAD = pattern(
  "\\b(?:ba|z|k|da)?sh[BLANK]+(?:-c[BLANK]+[\"']?\\$\\(|<\\()[BLANK]*(?:curl|wget)\\b",
);

function isPipedToShell(text: string): boolean {
  let start = 0;
  for (const { index } of text.matchAll(/[;|&\n\r]/g)) {
    SHELL_NEXT.lastIndex = index + 1;
    if (text[index] === "|" && SHELL_NEXT.test(text) && DOWNLOAD.test(text.slice(start, index))) {
      return true;
    }
    start = index + 1;
  }
  return SHELL_OF_DOWNLOAD.test(text);
}

function inCommands(name: RegExp, isBad: (rest: string) => boolean): IsCommand {
  return (text) =>
    name.test(text) &&
    text.split(END).some((command) => {
      const found = name.exec(command);
      return found !== null && isBad(command.slice(found.index + found[0].length));
    });
}

function has(source: string): IsCommand {
  const compiled = pattern(source);
  return (text) => compiled.test(text);
}

function pattern(source: string, flags = ""): RegExp {
  return new RegExp(source.replaceAll("BLANK", BLANK), flags);
}
