/** `filesystem`: the output would destroy files, leave its directory, or name places it has no business with. */

import type { Gate } from "../gate.js";
import { COMMANDS, isRecursiveRemove } from "./command.js";
import { findIn, type Kind } from "./find.js";
import { BLANK } from "./walk.js";

/** What it takes. Each check can be off; those that the public API does not have are off by default. */
export interface FilesystemOptions {
  /** `rm` that is both recursive and forced. */
  destructiveCommands?: boolean | undefined;
  /** `..` as a part of a path. */
  traversal?: boolean | undefined;
  /** `/etc`, `/usr`, `/var`, and `.ssh`, `.aws`, `.gnupg` in a home directory. */
  sensitivePaths?: boolean | undefined;
  /** An array of texts is also read as a command line. */
  argv?: boolean | undefined;
  /** `dd` that writes to a device. */
  dd?: boolean | undefined;
  mkfs?: boolean | undefined;
  /** `find` that deletes what it finds. */
  findDelete?: boolean | undefined;
  shred?: boolean | undefined;
  /** `git clean` of all that is not tracked. */
  gitClean?: boolean | undefined;
  /** `chmod -R 777 /`. */
  chmodRoot?: boolean | undefined;
  forkBomb?: boolean | undefined;
  /** A download that a shell runs. */
  pipeToShell?: boolean | undefined;
  name?: string | undefined;
}

/** Looks at every text of the output. */
export function filesystem(options: FilesystemOptions = {}): Gate {
  const { destructiveCommands = true, traversal = true, sensitivePaths = true, argv = false, name = "filesystem" } = options;
  const kinds: Kind[] = [];
  if (destructiveCommands) {
    kinds.push({ isIn: isRecursiveRemove, name: "destructive command" });
  }
  for (const [option, isIn] of Object.entries(COMMANDS)) {
    if (options[option as keyof typeof COMMANDS] === true) {
      kinds.push({ isIn, name: "destructive command" });
    }
  }
  if (traversal) {
    kinds.push({ isIn: (text) => TRAVERSAL.test(text), name: "path traversal" });
  }
  if (sensitivePaths) {
    kinds.push({ isIn: (text) => SENSITIVE.test(text), name: "sensitive path" });
  }
  return { name, run: ({ output }) => findIn(output, kinds, argv) };
}

const QUOTE = "'\"`";

const TRAVERSAL = new RegExp(`(?<![^/\\\\${BLANK}${QUOTE}])\\.\\.(?![^/\\\\${BLANK}${QUOTE}])`);

/** What may stand before and after a path. */
const EDGE = `${BLANK}${QUOTE}=:(,<>`;

const SENSITIVE = new RegExp(
  `(?:(?<![^${EDGE}])|(?<=file://))(?:/(?:etc|usr|var)|(?:~|/home/[^/${BLANK}${QUOTE}]+)/\\.(?:ssh|aws|gnupg))(?![^/${EDGE}])`,
);
