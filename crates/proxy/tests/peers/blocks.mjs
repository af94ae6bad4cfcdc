// How much of what the reference servers give is blocked by the proxy's own gates: they read a large tree of real files, the
// packages that are installed here. `npm run blocks` prints it.

import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { call, everything, filesystem, hello, proxied, talk } from "./raw.mjs";

/** As many files of a kind, at most. */
const OF_A_KIND = 500;
const KINDS = [".js", ".ts", ".mts", ".mjs", ".cjs", ".json", ".md", ".map", ".yml", ""];
const MAX_BYTES = 1 << 20;

/** The numbers of calls and of those that failed by themselves; those that were blocked, with the reasons. */
export async function survey() {
  const tree = fileURLToPath(new URL("node_modules", import.meta.url));
  const files = readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && KINDS.includes(extname(entry.name)))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => statSync(path).size <= MAX_BYTES)
    .sort();
  const chosen = KINDS.flatMap((kind) => files.filter((path) => extname(path) === kind).slice(0, OF_A_KIND));
  const read = chosen.map((path) => call(path, "read_text_file", { path }));
  const directories = readdirSync(tree).map((name) => call(`ls ${name}`, "list_directory", { path: join(tree, name) }));
  const others = [
    call(1, "echo", { message: "hello" }),
    call(2, "get-sum", { a: 1, b: 2 }),
    call(3, "get-tiny-image"),
    call(4, "get-annotated-message", { messageType: "success" }),
    call(5, "get-resource-links", { count: 10 }),
    call(6, "get-structured-content", { location: "New York" }),
  ];
  const log = mkdtempSync(join(tmpdir(), "proxy-blocks-"));
  const answers = [];
  for (const [server, calls] of [
    [filesystem(tree), [...read, ...directories]],
    [everything, others],
  ]) {
    answers.push(...(await talk(proxied(server, ["--fail-closed"], log), [...hello(), ...calls])).answers.slice(1));
  }
  rmSync(log, { recursive: true });
  const isBlocked = ({ error }) => error?.data?.blocked_by === "repute";
  const blocked = answers.filter(isBlocked).map(({ id, error }) => `${String(id).replace(tree, "")}: ${error.message}`);
  const failed = answers.filter(({ error, result }) => error || result.isError).length - blocked.length;
  return { calls: answers.length, failed, blocked };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { calls, blocked } = await survey();
  console.log(blocked.join("\n"));
  console.log(`${blocked.length} of ${calls} calls blocked: ${((100 * blocked.length) / calls).toFixed(2)} %`);
}
