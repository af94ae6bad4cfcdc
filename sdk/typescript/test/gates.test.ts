import assert from "node:assert/strict";
import { test } from "node:test";
import { createEngine, gates, type EvaluationContext, type Gate, type GateResult } from "../src/index.js";

async function run(gate: Gate, ctx: EvaluationContext): Promise<Omit<GateResult, "latency_ms">> {
  const [result] = (await createEngine({ gates: [gate], timeout: 60_000 }).evaluate(ctx)).gates;
  const { latency_ms, ...rest } = result ?? assert.fail("no result");
  assert.ok(latency_ms >= 0);
  return rest;
}

/** Texts that the gate lets pass although it should not, or the other way round. */
async function wrong(gate: Gate, texts: readonly unknown[], passed: boolean): Promise<unknown[]> {
  const results = await Promise.all(texts.map(async (output) => [output, (await run(gate, { output })).passed] as const));
  return results.filter(([, verdict]) => verdict !== passed).map(([output]) => output);
}

test("latency fails above its threshold and skips without a latency", async () => {
  const gate = gates.latency({ maxMs: 100 });
  assert.deepEqual(await run(gate, { latency_ms: 143 }), { name: "latency", passed: false, reason: "latency 143ms exceeds 100ms threshold" });
  assert.deepEqual(await run(gate, { latency_ms: 100.5 }), { name: "latency", passed: false, reason: "latency 100.5ms exceeds 100ms threshold" });
  assert.deepEqual(await run(gate, { latency_ms: 100 }), { name: "latency", passed: true });
  for (const latency_ms of [undefined, null]) {
    assert.deepEqual(await run(gate, { latency_ms }), { name: "latency", passed: true, skipped: true, reason: "no latency_ms provided" });
  }
  for (const maxMs of [0, -1, NaN, Infinity, "1" as never]) {
    assert.throws(() => gates.latency({ maxMs }), /maxMs/);
  }
});

test("every gate can have a name of its own", () => {
  const schema = { safeParse: () => ({ success: true }) };
  const named = [gates.latency({ maxMs: 1, name: "n" }), gates.filesystem({ name: "n" }), gates.pii({ name: "n" }), gates.content({ name: "n" }), gates.schema(schema, { name: "n" })];
  assert.deepEqual(named.map(({ name }) => name), ["n", "n", "n", "n", "n"]);
});

test("filesystem: rm is destructive when it is recursive and forced", async () => {
  const gate = gates.filesystem({ traversal: false, sensitivePaths: false });
  const destructive = [
    "rm -rf /tmp/old", "rm -fr x", "rm -Rf ./build", "rm -fR x", "rm -rfv /data", "rm -r -f x", "rm -f x -r",
    "rm --recursive --force /mnt", "rm --force --recursive /mnt", "rm -r --force x", "rm dir -rf", "sudo rm -rf x",
    "/bin/rm -rf x", "echo; rm -rf x", "a && rm -rf x", "rm x\nrm -rf y", "rm\t-rf x", "rm\u00a0-rf\u3000x",
    "$(rm -rf x)", "`rm -rf x`", "\"rm -rf x\"",
  ];
  const harmless = [
    "rm x", "rm -r x", "rm -f x", "rm -r x; ls -f", "rm -r x | y -f", "rm -r x & y -f", "rm -r x\ny -f", "farm -rf x",
    "rmdir -rf x", "arm-rm-rf", "form -rf", "ls -la /tmp", "rm", "-rf rm", "rm --recursive x", "confirm -rf",
  ];
  assert.deepEqual(await wrong(gate, destructive, false), []);
  assert.deepEqual(await wrong(gate, harmless, true), []);
  assert.equal((await run(gate, { output: "rm -rf /" })).reason, "destructive command detected in output");
});

test("filesystem: traversal is two dots as a whole part of a path", async () => {
  const gate = gates.filesystem({ destructiveCommands: false, sensitivePaths: false });
  const out = ["..", "../x", "x/..", "a/../b", "a\\..\\b", "cd ..", "cd '..'", "\"..\"", "`..`", "cd ..\n", "\u00a0..\u2003"];
  const fine = ["...", "a..b", "1..2", "x/...", "..x", "x..", "and so on...", "(..)", "a/..b/c"];
  assert.deepEqual(await wrong(gate, out, false), []);
  assert.deepEqual(await wrong(gate, fine, true), []);
});

test("filesystem: sensitive paths are whole and at the start of a path", async () => {
  const gate = gates.filesystem({ destructiveCommands: false, traversal: false });
  const sensitive = [
    "/etc", "/etc/passwd", "/usr/bin", "/var", "cat /etc/hosts", "x=/etc/a", "x:/var/y", "(/etc/x)", "(/var", "a,/usr,b", "</etc", ">/var/log/x", "'/etc'",
    "file:///etc/passwd", "~/.ssh/id", "~/.aws", "~/.gnupg/x", "/home/me/.ssh/id", "/home/me/.aws/credentials",
  ];
  const fine = [
    "https://x.io/etc/a", "/etcetera", "/usrlocal", "/variable", "/tmp/etc", "/home/me/etc", "~/.sshx", "/home/.ssh", "~x/.ssh", ".ssh", "etc/passwd",
    "ls -la /tmp", "/home/me/work/.ssh", "(/etc)",
  ];
  assert.deepEqual(await wrong(gate, sensitive, false), []);
  assert.deepEqual(await wrong(gate, fine, true), []);
});

test("filesystem: each check can be off", async () => {
  const all = "rm -rf ../x /etc";
  assert.equal((await run(gates.filesystem({ destructiveCommands: false, traversal: false, sensitivePaths: false }), { output: all })).passed, true);
  assert.equal((await run(gates.filesystem({ destructiveCommands: false }), { output: all })).reason, "path traversal detected in output");
  assert.equal((await run(gates.filesystem({ destructiveCommands: false, traversal: false }), { output: all })).reason, "sensitive path detected in output");
});

test("pii: addresses, numbers and phones are found", async () => {
  const hits: [string, string][] = [
    ["user@example.com", "email address"], ["first.last+tag@company.co.uk", "email address"], ["<a@b.cd>", "email address"], ["@@a@b.cd", "email address"],
    ["123-45-6789", "SSN"], ["it is 899-99-9999.", "SSN"],
    ["555-867-5309", "phone number"], ["(555) 867-5309", "phone number"], ["+1-800-555-0100", "phone number"], ["555.867.5309", "phone number"], ["1 555 867 5309", "phone number"],
  ];
  for (const [output, what] of hits) {
    assert.equal((await run(gates.pii(), { output })).reason, `${what} detected in output`, output);
  }
  const fine = [
    "a@b", "a@b.c", "@example.com", "a @example.com", "a@.c", "000-12-3456", "666-00-1234", "900-12-3456", "123-00-4567", "123-45-0000", "1234-45-6789", "123-45-67890",
    "155-867-5309", "5558675309", "555-8675-309", "12345-867-53091", "555-867-530",
  ];
  assert.deepEqual(await wrong(gates.pii(), fine, true), []);
  assert.equal((await run(gates.pii({ email: false, ssn: false, phone: false }), { output: hits.map(([text]) => text) })).passed, true);
});

test("content: nothing is empty, false and 0 are something", async () => {
  const gate = gates.content({ refusals: false });
  assert.deepEqual(await wrong(gate, [undefined, null, "", " \t\n", "\u00a0\u3000\ufeff", [], {}], false), []);
  assert.deepEqual(await wrong(gate, [false, 0, "x", [null], { a: null }, "\u200b"], true), []);
  assert.equal((await run(gates.content({ empty: false }), { output: null })).passed, true);
});

test("content: refusals in any case, with any blanks and apostrophes", async () => {
  const refusals = [
    "I don't have access to it", "i do not have access", "I don\u2019t have the ability", "I DO NOT HAVE THE ABILITY", "I can't do that", "I cannot help", "I can\u02bct provide",
    "I cannot access", "I can't complete", "i cannot fulfill", "I can't  \n assist", "As an AI language model, I", "as an ai model", "I'm an AI", "I am an AI", "I'm just an AI", "I am just an AI",
    { deep: ["x", { deeper: "Sorry, I cannot\u00a0help." }] },
  ];
  const fine = [
    "Hi, I can help", "I can do it", "I cannot doubt it", "ski cannot help", "as an aide model", "I am an aide", "as an ai modelling", "I dont have access", "we cannot help", { "I cannot help": 1 },
    "\u0131 cannot help", "I cannot hel\u212a",
  ];
  assert.deepEqual(await wrong(gates.content(), refusals, false), []);
  assert.deepEqual(await wrong(gates.content(), fine, true), []);
  assert.equal((await run(gates.content({ refusals: false }), { output: "I cannot help" })).passed, true);
});

test("details say where, and show no key that may be a payload", async () => {
  const output = { list: [{ "a secret key": { said: "x" } }, { "a secret key": { said: "I cannot help" } }] };
  assert.deepEqual((await run(gates.content(), { output })).details, { where: "/list/1/*/said" });
  const ring: Record<string, unknown> = { text: "x" };
  ring["ring"] = ring;
  assert.equal((await run(gates.content(), { output: ring })).passed, true);
});

test("schema: the first issue is told, five are listed, all are counted, and no value is shown", async () => {
  const issues = Array.from({ length: 7 }, (_, at) => ({ path: ["a", at, "odd key", "price"], code: "too_small", message: "secret value" }));
  const gate = gates.schema({ safeParse: () => ({ success: false, error: { issues } }) });
  const result = await run(gate, { output: 1 });
  assert.equal(result.reason, "schema validation failed (7 issues): /a/0/*/price: too_small");
  assert.deepEqual(result.details, {
    issues: [0, 1, 2, 3, 4].map((at) => ({ path: `/a/${at}/*/price`, code: "too_small" })),
    total: 7,
  });
  const one = gates.schema({ safeParse: () => ({ success: false, error: { issues: [{ path: [], code: "a code with blanks" }] } }) });
  assert.equal((await run(one, { output: 1 })).reason, "schema validation failed (1 issue): (root): invalid");
  const none = gates.schema({ safeParse: () => ({ success: false }) });
  assert.equal((await run(none, { output: 1 })).reason, "schema validation failed (0 issues)");
});

test("schema: output or input is checked, and a schema that fails to check is an error", async () => {
  const isSeven = { safeParse: (value: unknown) => ({ success: value === 7 }) };
  assert.equal((await run(gates.schema(isSeven), { output: 7 })).passed, true);
  assert.equal((await run(gates.schema(isSeven), { output: 8, input: 7 })).passed, false);
  assert.equal((await run(gates.schema(isSeven, { target: "input" }), { output: 8, input: 7 })).passed, true);
  const asynchronous = { safeParse: (() => Promise.resolve({ success: true })) as never };
  assert.equal((await run(gates.schema(asynchronous), { output: 7 })).reason, "pecta:error");
  assert.throws(() => gates.schema({} as never), /safeParse/);
  assert.throws(() => gates.schema(isSeven, { target: "both" as never }), /target/);
});

test("a hostile output costs a bounded time", async () => {
  const size = 1 << 18;
  const ALL_COMMANDS = { argv: true, dd: true, mkfs: true, findDelete: true, shred: true, gitClean: true, chmodRoot: true, forkBomb: true, pipeToShell: true };
  const texts = ["dd ".repeat(size / 3), "find ".repeat(size / 5), "git clean ".repeat(size / 10), "git ".repeat(size / 4), "curl ".repeat(size / 5), "curl|".repeat(size / 5), "sh ".repeat(size / 3), "bash -c ".repeat(size / 8), ": ".repeat(size / 2), "shred ".repeat(size / 6), "chmod -R ".repeat(size / 9), ":".repeat(size), "1.".repeat(size / 2), "4 ".repeat(size / 2), "DE00 ".repeat(size / 5), "eyJ-".repeat(size / 4), "eyJaaaaaaaaaa.".repeat(size / 14), "eyJaaaaaaaaaa.eyJ" + "A".repeat(24 * size), "-eyJ".repeat(98) + ".eyJ" + "A".repeat(4 * size), "-----BEGIN PRIVATE KEY-----".repeat(size / 27), "sk-".repeat(size / 3), "/a".repeat(size / 2), "aws_secret_key ".repeat(size / 15), "a".repeat(size), "a@".repeat(size / 2), "rm ".repeat(size / 3), "rm -r ".repeat(size / 6), "i ".repeat(size / 2), "i" + " ".repeat(size), "../".repeat(size / 3).replaceAll("..", ".x"), "/home/".repeat(size / 6), "2".repeat(size), "+1 (".repeat(size / 4), "i can' ".repeat(size / 7)];
  let deep: unknown = "x";
  for (let depth = 0; depth < 20_000; depth += 1) {
    deep = [deep];
  }
  for (const output of [...texts, deep]) {
    const before = process.cpuUsage();
    for (const gate of [gates.filesystem(), gates.filesystem(ALL_COMMANDS), gates.pii({ card: true, iban: true, ip: true }), gates.content(), gates.secrets()]) {
      await run(gate, { output });
    }
    // Linear work takes some tens of milliseconds, quadratic work a minute.
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 5_000_000, typeof output === "string" ? output.slice(0, 20) : "a deep array");
  }
});
