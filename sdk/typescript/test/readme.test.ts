import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { PUBLISHABLE, Repute, SECRET } from "./kit/program.js";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));
const examples = [...readFileSync(`${PACKAGE}README.md`, "utf8").matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code ?? "");

/** A project that has the package installed, as it is packed. */
const project = mkdtempSync(join(tmpdir(), "repute-project-"));
let server: Repute;
before(async () => {
  server = await Repute.start();
  const installed = join(project, "node_modules/@repute/core");
  mkdirSync(installed, { recursive: true });
  execFileSync("npm", ["pack", "--silent", "--pack-destination", project], { cwd: PACKAGE });
  const [packed = ""] = readdirSync(project).filter((name) => name.endsWith(".tgz"));
  execFileSync("tar", ["-xzf", join(project, packed), "-C", installed, "--strip-components=1"]);
  for (const [at, code] of examples.entries()) {
    // A busy machine may take longer than an example's budget.
    const patient = code.replace(/timeout: \d+,.*/, "").replaceAll("createEngine({", "createEngine({ timeout: 10_000,");
    writeFileSync(join(project, `example-${at}.mts`), patient);
  }
});
after(async () => {
  await server.remove();
  rmSync(project, { recursive: true, force: true });
});

test("the examples of the README are well typed, for a program as strict as can be", () => {
  assert.ok(examples.length >= 6);
  const files = examples.map((_, at) => `example-${at}.mts`);
  const types = ["--typeRoots", `${PACKAGE}node_modules/@types`, "--types", "node"];
  const flags = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2022"];
  const tsc = `${PACKAGE}node_modules/typescript/bin/tsc`;
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...flags, ...types, ...files], { cwd: project, encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

for (const at of examples.keys()) {
  test(`example ${at + 1} of the README does what it says`, () => {
    const env = { ...process.env, REPUTE_URL: server.url, REPUTE_API_KEY: PUBLISHABLE, REPUTE_SECRET_KEY: SECRET };
    const { status, stdout, stderr } = spawnSync(process.execPath, [`example-${at}.mjs`], { cwd: project, env, encoding: "utf8", timeout: 60_000 });
    assert.equal(status, 0, stderr);
    // A comment behind an output says what it puts out.
    const said = [...(examples[at] ?? "").matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => (text ?? "").split(",")[0]);
    assert.deepEqual(said.filter((text) => !stdout.includes(text ?? "")), [], stdout);
  });
}
