/** `filesystem`: the output would destroy files, leave its directory, or name places it has no business with. */

import type { Gate } from "../gate.js";
import { BLANK, textsIn } from "./walk.js";

/** What it takes; each check can be off. */
export interface FilesystemOptions {
  /** `rm` that is both recursive and forced. */
  destructive?: boolean | undefined;
  /** `..` as a part of a path. */
  traversal?: boolean | undefined;
  /** `/etc`, `/usr`, `/var`, and `.ssh`, `.aws`, `.gnupg` in a home directory. */
  sensitivePaths?: boolean | undefined;
  name?: string | undefined;
}

/** Looks at every text of the output. */
export function filesystem(options: FilesystemOptions = {}): Gate {
  const { destructive = true, traversal = true, sensitivePaths = true, name = "filesystem" } = options;
  const checks: [(text: string) => boolean, string][] = [];
  if (destructive) {
    checks.push([isDestructive, "destructive command detected in output"]);
  }
  if (traversal) {
    checks.push([(text) => TRAVERSAL.test(text), "path traversal detected in output"]);
  }
  if (sensitivePaths) {
    checks.push([(text) => SENSITIVE.test(text), "sensitive path detected in output"]);
  }
  return {
    name,
    run({ output }) {
      for (const { text, where } of textsIn(output)) {
        for (const [isHit, reason] of checks) {
          if (isHit(text)) {
            return { passed: false, reason, details: { where } };
          }
        }
      }
      return { passed: true };
    },
  };
}

const QUOTE = "'\"`";

const TRAVERSAL = new RegExp(`(?<![^/\\\\${BLANK}${QUOTE}])\\.\\.(?![^/\\\\${BLANK}${QUOTE}])`);

/** What may stand before and after a path. */
const EDGE = `${BLANK}${QUOTE}=:(,<>`;

const SENSITIVE = new RegExp(
  `(?:(?<![^${EDGE}])|(?<=file://))(?:/(?:etc|usr|var)|(?:~|/home/[^/${EDGE}]+)/\\.(?:ssh|aws|gnupg))(?![^/${EDGE}])`,
);

const RM = new RegExp(`(?<![A-Za-z0-9_.-])rm(?=[${BLANK}])`);
const BLANKS = new RegExp(`[${BLANK}]+`);

/** Whether a command of the text removes whole trees without asking. */
function isDestructive(text: string): boolean {
  // Options after a later `rm` of a command also stand after its first one, so one look at each command is enough.
  return text.split(/[;|&\r\n]/).some((command) => {
    const at = command.search(RM);
    if (at < 0) {
      return false;
    }
    let [recursive, forced] = [false, false];
    for (const word of command.slice(at + 2).split(BLANKS)) {
      const letters = /^-[A-Za-z]/.test(word) ? word : "";
      recursive ||= word === "--recursive" || /[rR]/.test(letters);
      forced ||= word === "--force" || letters.includes("f");
    }
    return recursive && forced;
  });
}
