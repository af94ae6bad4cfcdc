import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { test, type TestContext } from "node:test";
import { ReputeTelemetry, type Event, type TelemetrySettings } from "../src/index.js";
import { balance, sum, verdict } from "./kit/events.js";
import { PUBLISHABLE as apiKey } from "./kit/program.js";
import { Scripted, type Answer, type Asked } from "./kit/scripted.js";
import { sleep, until } from "./kit/wait.js";

const FILE = /^\d{13}-[A-Za-z0-9]+-\d+\.jsonl$/;
const taken = (asked: Asked): Answer => ({ status: 202, body: { accepted: toolsOf(asked).length } });
const down = (): Answer => ({ status: 503, headers: { "Retry-After": "60" } });

function toolsOf({ json }: Asked): string[] {
  return (json as { events: Event[] }).events.map(({ tool }) => tool ?? "");
}

class Place {
  readonly dir = mkdtempSync(join(tmpdir(), "repute-spool-"));
  readonly #t: TestContext;

  constructor(t: TestContext) {
    this.#t = t;
    t.after(() => rmSync(this.dir, { recursive: true, force: true }));
  }

  names(): string[] {
    return existsSync(this.dir) ? readdirSync(this.dir).sort() : [];
  }

  files(): string[] {
    return this.names().filter((name) => FILE.test(name));
  }

  lines(): string[] {
    return this.files().flatMap((name) => readFileSync(join(this.dir, name), "utf8").trimEnd().split("\n"));
  }

  client(url: string, settings: TelemetrySettings = {}): ReputeTelemetry {
    const telemetry = new ReputeTelemetry({ url, apiKey, shutdownTimeoutMs: 0, spoolDir: this.dir, ...settings });
    this.#t.after(() => telemetry.shutdown());
    return telemetry;
  }

  async server(answers: Answer[] | ((asked: Asked) => Answer)): Promise<Scripted> {
    const scripted = await Scripted.start(answers);
    this.#t.after(() => scripted.stop());
    return scripted;
  }

  /** A client that could deliver nothing and is gone. */
  async leave(count: number, settings: TelemetrySettings = {}): Promise<ReputeTelemetry> {
    const server = await this.server(down);
    const telemetry = this.client(server.url, settings);
    for (let at = 0; at < count; at += 1) {
      telemetry.track(verdict({ tool: String(at) }));
    }
    await telemetry.shutdown();
    return telemetry;
  }
}

test("what shutdown could not deliver is on disk, and the next client delivers it", async (t) => {
  const place = new Place(t);
  const first = await place.leave(250);
  const books = first.books();
  assert.equal(books.waiting, 250);
  assert.ok(balance(books));
  assert.deepEqual(place.names(), place.files(), "the lock is gone");
  assert.equal(place.files().length, 1);
  assert.equal(statSync(join(place.dir, place.files()[0] ?? "")).mode & 0o777, 0o600);
  assert.equal(place.lines().length, 250);

  const server = await place.server(taken);
  const second = place.client(server.url);
  await until(() => second.books().delivered === 250, () => second.books());
  const { tracked, recovered, waiting } = second.books();
  assert.deepEqual({ tracked, recovered, waiting }, { tracked: 250, recovered: 250, waiting: 0 });
  assert.deepEqual(server.asked.flatMap(toolsOf), Array.from({ length: 250 }, (_, at) => String(at)));
  assert.ok(server.asked.every((asked) => toolsOf(asked).length <= 100));
  await until(() => place.files().length === 0, () => place.names());
});

test("an event that gets too old goes to disk and comes back when the server answers", async (t) => {
  const place = new Place(t);
  const server = await place.server([{ status: 503, headers: { "Retry-After": "1" } }, { status: 202 }, { status: 202 }]);
  const telemetry = place.client(server.url, { maxAgeMs: 100, flushAt: 1 });
  telemetry.track(verdict({ tool: "old" }));
  await until(() => place.files().length === 1, () => telemetry.books());
  assert.equal(telemetry.books().waiting, 1);
  assert.ok(balance(telemetry.books()));
  await until(() => telemetry.books().delivered === 1, () => telemetry.books());
  telemetry.track(verdict({ tool: "new" }));
  await until(() => telemetry.books().delivered === 2, () => telemetry.books());
  assert.deepEqual(server.asked.map(toolsOf), [["old"], ["old"], ["new"]]);
  assert.equal(telemetry.books().recovered, 0);
  await until(() => place.files().length === 0, () => place.names());
});

test("a file goes only after the last of its events, refused ones included", async (t) => {
  const place = new Place(t);
  await place.leave(150);
  const refused = { status: 400, body: { code: "validation_error", details: [{ event: 3 }] } };
  const server = await place.server([refused, { status: 202 }, { status: 503, headers: { "Retry-After": "60" } }]);
  const second = place.client(server.url);
  await until(() => second.books().state === "backoff", () => second.books());
  assert.equal(second.books().delivered, 99);
  assert.deepEqual(second.books().refused, { validation_error: 1 });
  assert.equal(second.books().waiting, 50);
  assert.ok(balance(second.books()));
  assert.equal(place.files().length, 1);
});

test("what was delivered of a file is not sent again by the same client", async (t) => {
  const place = new Place(t);
  await place.leave(150);
  const server = await place.server([{ status: 202 }, { status: 503 }, { status: 202 }]);
  const second = place.client(server.url, { retryBaseMs: 1 });
  await until(() => second.books().delivered === 150, () => second.books());
  assert.deepEqual(server.asked.map((asked) => toolsOf(asked).length), [100, 50, 50]);
  assert.ok(balance(second.books()));
});

test("files are of at most 1,000 events and about 1 MiB", async (t) => {
  const place = new Place(t);
  await place.leave(2_500);
  assert.deepEqual(place.files().map((name) => readFileSync(join(place.dir, name), "utf8").split("\n").length - 1), [1_000, 1_000, 500]);
  const large = new Place(t);
  const server = await large.server(down);
  const telemetry = large.client(server.url);
  const gates = Array.from({ length: 50 }, () => ({ name: "n".repeat(200), passed: true, latency_ms: 1, reason: "r".repeat(500) }));
  for (let at = 0; at < 100; at += 1) {
    telemetry.track(verdict({ gates }));
  }
  await telemetry.shutdown();
  const sizes = large.files().map((name) => statSync(join(large.dir, name)).size);
  assert.ok(sizes.length > 2);
  assert.ok(sizes.every((size) => size < 1_200_000), String(sizes));
  assert.equal(large.lines().length, 100);
});

test("a full spool lets its oldest file go", async (t) => {
  const place = new Place(t);
  const server = await place.server(down);
  const dropped: unknown[] = [];
  const telemetry = place.client(server.url, {
    maxSpoolBytes: 1_500,
    maxAgeMs: 50,
    flushAt: 1,
    onDropped: (events, reason) => dropped.push([(events as Event[]).map(({ tool }) => tool), reason]),
  });
  for (let at = 0; at < 12; at += 1) {
    telemetry.track(verdict({ tool: String(at) }));
    await until(() => place.lines().some((line) => line.includes(`"tool":"${at}"`)), () => telemetry.books());
    assert.ok(balance(telemetry.books()));
  }
  const bytes = place.files().reduce((total, name) => total + statSync(join(place.dir, name)).size, 0);
  assert.ok(bytes <= 1_500);
  const { waiting, dropped: counts } = telemetry.books();
  assert.equal(waiting + sum(counts), 12);
  assert.ok(waiting > 3);
  assert.deepEqual(dropped, Array.from({ length: counts.spool_full ?? 0 }, (_, at) => [[String(at)], "spool_full"]));
});

test("what does not fit at all is dropped", async (t) => {
  const place = new Place(t);
  const telemetry = await place.leave(10, { maxSpoolBytes: 100 });
  assert.deepEqual(telemetry.books().dropped, { spool_full: 10 });
  assert.deepEqual(place.names(), []);
});

test("no file goes for what would not fit even then", async (t) => {
  const place = new Place(t);
  const server = await place.server(down);
  const telemetry = place.client(server.url, { maxSpoolBytes: 1_000, maxAgeMs: 50, flushAt: 1 });
  telemetry.track(verdict({ tool: "kept" }));
  await until(() => place.files().length === 1, () => telemetry.books());
  for (let at = 0; at < 10; at += 1) {
    telemetry.track(verdict());
  }
  await until(() => telemetry.books().dropped.spool_full === 10, () => telemetry.books());
  assert.equal(telemetry.books().waiting, 1);
  assert.match(place.lines()[0] ?? "", /"tool":"kept"/);
});

test("the files of a process that lives are left alone", async (t) => {
  const place = new Place(t);
  const server = await place.server(down);
  const first = place.client(server.url, { maxAgeMs: 50, flushAt: 1 });
  first.track(verdict());
  await until(() => place.files().length === 1, () => first.books());
  const up = await place.server(taken);
  const second = place.client(up.url);
  await sleep(100);
  assert.equal(second.books().recovered, 0);
  assert.equal(up.asked.length, 0);
  assert.equal(first.books().waiting, 1);
});

test("the files of a dead process are taken over, by one of those who try", async (t) => {
  const place = new Place(t);
  await place.leave(300);
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  const [name = ""] = place.files();
  writeFileSync(join(place.dir, `${name.split("-")[1]}.lock`), JSON.stringify({ pid: dead, started: "1" }));
  writeFileSync(join(place.dir, name.replace(/-\d+\.jsonl$/, "-7.jsonl.tmp")), "half of a line");
  const server = await place.server(taken);
  const warnings: string[] = [];
  const clients = [1, 2, 3].map(() => place.client(server.url, { onWarning: (text) => warnings.push(text) }));
  const books = (): ReturnType<ReputeTelemetry["books"]>[] => clients.map((client) => client.books());
  await until(() => books().reduce((total, { delivered }) => total + delivered, 0) === 300, books);
  await sleep(50);
  assert.equal(books().reduce((total, { recovered }) => total + recovered, 0), 300);
  assert.ok(books().every(balance));
  assert.deepEqual(warnings, []);
  await until(() => place.names().length === 3, () => place.names());
  assert.ok(place.names().every((left) => left.endsWith(".lock")), "the locks of the three are all that is left");
});

test("a process with the id of a dead one is not mistaken for it", async (t) => {
  const place = new Place(t);
  await place.leave(5);
  const [name = ""] = place.files();
  // In a container every process may have the same id: it is ours now, but started at another time.
  writeFileSync(join(place.dir, `${name.split("-")[1]}.lock`), JSON.stringify({ pid: process.pid, started: "1" }));
  const server = await place.server(taken);
  const client = place.client(server.url);
  await until(() => client.books().delivered === 5, () => client.books());
});

test("a file that cannot be read is set aside and warned of", async (t) => {
  const place = new Place(t);
  await place.leave(5);
  const [good = ""] = place.files();
  const bad = ["0000000000001-x-0.jsonl", "0000000000002-x-1.jsonl", "0000000000003-x-2.jsonl"];
  const text = readFileSync(join(place.dir, good), "utf8");
  writeFileSync(join(place.dir, bad[0] as string), text.slice(0, -10));
  writeFileSync(join(place.dir, bad[1] as string), "\0\0\0\0\n");
  writeFileSync(join(place.dir, bad[2] as string), "7\n");
  const server = await place.server(taken);
  const warnings: string[] = [];
  const second = place.client(server.url, { onWarning: (warning) => warnings.push(warning) });
  await until(() => second.books().delivered === 5, () => second.books());
  assert.equal(second.books().recovered, 5);
  assert.equal(warnings.length, 3);
  assert.ok(warnings.every((warning) => /set aside as .*\.bad/.test(warning)));
  await until(() => place.names().filter((name) => name.endsWith(".jsonl.bad")).length === 3, () => place.names());
});

test("a file that is damaged while its owner lives is counted as dropped", async (t) => {
  const place = new Place(t);
  const server = await place.server([{ status: 503, headers: { "Retry-After": "1" } }, { status: 202 }]);
  const telemetry = place.client(server.url, { maxAgeMs: 50, flushAt: 1 });
  telemetry.track(verdict());
  await until(() => place.files().length === 1, () => telemetry.books());
  writeFileSync(join(place.dir, place.files()[0] as string), "damage");
  await until(() => telemetry.books().waiting === 0, () => telemetry.books());
  assert.deepEqual(telemetry.books().dropped, { spool_full: 1 });
  assert.ok(balance(telemetry.books()));
});

test("a directory that is gone loses what should go there, with a warning, and nothing else", async (t) => {
  const place = new Place(t);
  const server = await place.server([{ status: 503, headers: { "Retry-After": "1" } }, { status: 202 }]);
  const warnings: string[] = [];
  const telemetry = place.client(server.url, { maxAgeMs: 100, flushAt: 1, onWarning: (text) => warnings.push(text) });
  await sleep(50);
  renameSync(place.dir, `${place.dir}-away`);
  t.after(() => rmSync(`${place.dir}-away`, { recursive: true, force: true }));
  telemetry.track(verdict());
  await until(() => telemetry.books().dropped.spool_full === 1, () => telemetry.books());
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /^spool: /);
  await sleep(1_000);
  telemetry.track(verdict());
  await until(() => telemetry.books().delivered === 1, () => telemetry.books());
});

test("a directory that cannot be made is a wrong setting", (t) => {
  const place = new Place(t);
  writeFileSync(join(place.dir, "file"), "");
  assert.throws(() => place.client("http://a", { spoolDir: join(place.dir, "file", "spool") }), /^ReputeSettingsError: spoolDir: /);
  mkdirSync(join(place.dir, "deep"));
  chmodSync(join(place.dir, "deep"), 0o700);
  assert.doesNotThrow(() => place.client("http://a", { spoolDir: join(place.dir, "deep", "er", "spool") }));
});
