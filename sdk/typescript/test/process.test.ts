import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Scripted, type Answer, type Asked } from "./kit/scripted.js";
import { PUBLISHABLE } from "./kit/program.js";

const taken = (asked: Asked): Answer => ({ status: 202, body: { accepted: countOf(asked) } });
const down = (): Answer => ({ status: 503, headers: { "Retry-After": "60" } });
const INDEX = new URL("../src/index.js", import.meta.url).href;

function countOf({ json }: Asked): number {
  return (json as { events: object[] }).events.length;
}

/** Runs a program that uses the package; gives its exit code and what it said. */
function run(url: string, program: string): Promise<{ code: number | null; said: string; complained: string }> {
  const text = `
    import { ReputeTelemetry } from ${JSON.stringify(INDEX)};
    const verdict = { agent_id: "a", passed: true, gates: [], total_latency_ms: 1 };
    ${program}`;
  const env = { ...process.env, REPUTE_URL: url, REPUTE_API_KEY: PUBLISHABLE };
  const child = spawn(process.execPath, ["--input-type=module", "-e", text], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (piece: Buffer) => (said += piece.toString()));
  let complained = "";
  child.stderr.on("data", (piece: Buffer) => (complained += piece.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, said, complained })));
}

/** How many events a new process with that spool directory delivers; it ends after 20 of them. */
async function deliveredFrom(dir: string, url: string): Promise<number> {
  const { said } = await run(url, `
    let delivered = 0;
    const patience = setTimeout(() => {}, 60_000);
    new ReputeTelemetry({
      spoolDir: ${JSON.stringify(dir)},
      onDelivered: (count) => (delivered += count) >= 20 && clearTimeout(patience),
    });
    process.on("exit", () => console.log(delivered));
  `);
  return Number(said);
}

test("a program that just ends delivers what it tracked", async (t) => {
  const server = await Scripted.start(taken);
  t.after(() => server.stop());
  const { code } = await run(server.url, `
    const telemetry = new ReputeTelemetry();
    for (let at = 0; at < 250; at += 1) telemetry.track(verdict);
  `);
  assert.equal(code, 0);
  assert.equal(server.asked.reduce((sum, asked) => sum + countOf(asked), 0), 250);
});

test("a client that has nothing to do does not keep its process alive", async (t) => {
  const server = await Scripted.start(taken);
  t.after(() => server.stop());
  const startedMs = performance.now();
  const { code } = await run(server.url, `
    const telemetry = new ReputeTelemetry({ flushIntervalMs: 60_000 });
    telemetry.track(verdict);
    await telemetry.flush();
  `);
  assert.equal(code, 0);
  assert.ok(performance.now() - startedMs < 55_000, "it waited for a timer");
  assert.equal(server.asked.length, 1);
});

test("a program that ends while the server is down waits no longer than it may", async (t) => {
  const server = await Scripted.start(["silence", "silence"]);
  t.after(() => server.stop());
  const startedMs = performance.now();
  const { code, said } = await run(server.url, `
    const telemetry = new ReputeTelemetry({ shutdownTimeoutMs: 300, requestTimeoutMs: 30_000, onDropped: (events, reason) => console.log(events.length, reason) });
    telemetry.track(verdict);
  `);
  assert.equal(code, 0);
  assert.equal(said, "1 shutdown\n");
  assert.ok(performance.now() - startedMs < 25_000);
});

test("a program that goes on after all begins anew", async (t) => {
  const server = await Scripted.start(["silence", { status: 202 }]);
  t.after(() => server.stop());
  const { said } = await run(server.url, `
    const telemetry = new ReputeTelemetry({ shutdownTimeoutMs: 1_500 });
    telemetry.track(verdict);
    process.once("beforeExit", () => setTimeout(async () => {
      telemetry.track(verdict);
      const delivered = await telemetry.flush();
      const { requests, retries, dropped } = telemetry.books();
      console.log(JSON.stringify({ delivered, requests, retries, dropped }));
    }, 2_500));
  `);
  assert.deepEqual(JSON.parse(said), { delivered: true, requests: 2, retries: 0, dropped: { shutdown: 1 } });
});

test("process.exit spools what is held, and tells of it without a spool", async (t) => {
  const server = await Scripted.start(down);
  t.after(() => server.stop());
  const dir = mkdtempSync(join(tmpdir(), "repute-spool-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const spooled = await run(server.url, `
    const telemetry = new ReputeTelemetry({ spoolDir: ${JSON.stringify(dir)} });
    for (let at = 0; at < 1500; at += 1) telemetry.track(verdict);
    process.exit(7);
  `);
  assert.equal(spooled.code, 7);
  const files = readdirSync(dir);
  assert.equal(files.length, 2, String(files));
  assert.equal(files.flatMap((name) => readFileSync(join(dir, name), "utf8").trimEnd().split("\n")).length, 1_500);

  const told = await run(server.url, `
    const telemetry = new ReputeTelemetry({ onDropped: (events, reason) => console.log(events.length, reason) });
    telemetry.track(verdict);
    telemetry.track(verdict);
    process.exit(7);
  `);
  assert.equal(told.code, 7);
  assert.equal(told.said, "2 shutdown\n");
});

test("an uncaught error spools what is held", async (t) => {
  const server = await Scripted.start(down);
  t.after(() => server.stop());
  const dir = mkdtempSync(join(tmpdir(), "repute-spool-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const { code, complained } = await run(server.url, `
    const telemetry = new ReputeTelemetry({ spoolDir: ${JSON.stringify(dir)} });
    telemetry.track(verdict);
    setTimeout(() => { throw new Error("the program's own"); }, 10);
  `);
  assert.equal(code, 1);
  assert.match(complained, /the program's own/);
  assert.equal(readdirSync(dir).filter((name) => name.endsWith(".jsonl")).length, 1);
});

test("what another process spooled at its end is delivered by the next one", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "repute-spool-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const server = await Scripted.start(down);
  await run(server.url, `
    const telemetry = new ReputeTelemetry({ spoolDir: ${JSON.stringify(dir)} });
    for (let at = 0; at < 20; at += 1) telemetry.track(verdict);
  `);
  await server.stop();
  assert.equal(readdirSync(dir).length, 1);
  const up = await Scripted.start(taken);
  t.after(() => up.stop());
  assert.equal(await deliveredFrom(dir, up.url), 20);
  assert.deepEqual(readdirSync(dir), []);
});

test("a killed process leaves its spool to the next one", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "repute-spool-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const server = await Scripted.start(down);
  await run(server.url, `
    import { readdirSync, readFileSync } from "node:fs";
    const dir = ${JSON.stringify(dir)};
    const linesOf = (name) => readFileSync(dir + "/" + name, "utf8").split("\\n").length - 1;
    const telemetry = new ReputeTelemetry({ spoolDir: dir, flushAt: 1, maxAgeMs: 50 });
    for (let at = 0; at < 20; at += 1) telemetry.track(verdict);
    setInterval(() => {
      const files = readdirSync(dir).filter((name) => name.endsWith(".jsonl"));
      if (files.reduce((sum, name) => sum + linesOf(name), 0) === 20) process.kill(process.pid, "SIGKILL");
    }, 10);
  `);
  await server.stop();
  assert.equal(readdirSync(dir).filter((name) => name.endsWith(".lock")).length, 1, "its lock is still there");
  const up = await Scripted.start(taken);
  t.after(() => up.stop());
  assert.equal(await deliveredFrom(dir, up.url), 20);
  assert.deepEqual(readdirSync(dir), []);
});
