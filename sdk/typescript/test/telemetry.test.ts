import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ReputeSettingsError, ReputeTelemetry, type TelemetrySettings, type Trackable } from "../src/index.js";
import { balance, verdict } from "./kit/events.js";
import { PUBLISHABLE as apiKey } from "./kit/program.js";
import { Scripted, type Answer, type Asked } from "./kit/scripted.js";
import { sleep, until } from "./kit/wait.js";

const taken = (asked: Asked): Answer => ({ status: 202, body: { accepted: eventsOf(asked).length, reputation_updates: [] } });
const down = (): Answer => ({ status: 503, headers: { "Retry-After": "60" } });

function eventsOf({ json }: Asked): { tool: string; timestamp: string; evaluation_id: string }[] {
  return (json as { events: never[] }).events;
}

async function against(
  t: TestContext,
  answers: Answer[] | ((asked: Asked) => Answer),
  settings: TelemetrySettings = {},
): Promise<[ReputeTelemetry, Scripted]> {
  const scripted = await Scripted.start(answers);
  const telemetry = new ReputeTelemetry({ url: scripted.url, apiKey, shutdownTimeoutMs: 0, ...settings });
  t.after(async () => {
    await telemetry.shutdown();
    await scripted.stop();
  });
  return [telemetry, scripted];
}

test("track does not send within the caller's turn, and 100 events start a send at once", async (t) => {
  const [telemetry, scripted] = await against(t, taken, { flushIntervalMs: 3_600_000 });
  for (let at = 0; at < 99; at += 1) {
    telemetry.track(verdict());
  }
  await sleep(50);
  assert.equal(scripted.asked.length, 0);
  telemetry.track(verdict());
  assert.equal(telemetry.books().requests, 0);
  await until(() => telemetry.books().delivered === 100, () => telemetry.books());
});

test("the oldest event waits no longer than the flush interval", async (t) => {
  const [telemetry] = await against(t, taken, { flushIntervalMs: 1_000 });
  const startedMs = performance.now();
  telemetry.track(verdict());
  await sleep(30);
  telemetry.track(verdict());
  await until(() => telemetry.books().delivered === 2, () => telemetry.books());
  assert.ok(performance.now() - startedMs >= 995);
  assert.equal(telemetry.books().requests, 1);
});

test("a request carries key, type, agent and, above the threshold, gzip", async (t) => {
  const [telemetry, scripted] = await against(t, taken);
  telemetry.track(verdict());
  await telemetry.flush();
  for (let at = 0; at < 50; at += 1) {
    telemetry.track(verdict());
  }
  await telemetry.flush();
  const [small, large] = scripted.asked;
  assert.equal(`${small?.method} ${small?.path}`, "POST /v1/ingest");
  assert.equal(small?.headers.authorization, `Bearer ${apiKey}`);
  assert.equal(small?.headers["content-type"], "application/json");
  assert.match(small?.headers["user-agent"] ?? "", /^repute-typescript\//);
  assert.equal(small?.headers["content-encoding"], undefined);
  assert.equal(small?.headers["x-pecta-signature"], undefined);
  assert.equal(large?.headers["content-encoding"], "gzip");
});

test("the address may have a path", async (t) => {
  const scripted = await Scripted.start(taken);
  const telemetry = new ReputeTelemetry({ url: `${scripted.url}/repute/`, apiKey });
  t.after(() => scripted.stop());
  telemetry.track(verdict());
  assert.equal((await telemetry.shutdown()).delivered, 1);
  assert.equal(scripted.asked[0]?.path, "/repute/v1/ingest");
});

test("an event that is sent again is the same to the byte", async (t) => {
  const [telemetry, scripted] = await against(t, [{ status: 503 }, "cut", { status: 202 }], { retryBaseMs: 1 });
  telemetry.track(verdict());
  assert.equal(await telemetry.flush(), true);
  assert.equal(scripted.asked.length, 3);
  assert.deepEqual(scripted.asked[1]?.bytes, scripted.asked[0]?.bytes);
  assert.deepEqual(scripted.asked[2]?.bytes, scripted.asked[0]?.bytes);
});

test("only one batch is in flight", async (t) => {
  const [telemetry, scripted] = await against(t, ["silence"], { requestTimeoutMs: 60_000, retryMaxMs: 0 });
  for (let at = 0; at < 1_000; at += 1) {
    telemetry.track(verdict());
  }
  await sleep(150);
  assert.equal(scripted.asked.length, 1);
  assert.equal(telemetry.books().waiting, 1_000);
});

test("flush tells whether all was delivered", async (t) => {
  const details = [{ event: 0, field: "tool", rule: "bad" }];
  const refused = { status: 400, body: { error: "a sentence", code: "validation_error", status: 400, details } };
  const [telemetry, scripted] = await against(t, [{ status: 202 }, refused, { status: 202 }, down()]);
  assert.equal(await telemetry.flush(), true);
  telemetry.track(verdict());
  assert.equal(await telemetry.flush(), true);
  telemetry.track(verdict());
  telemetry.track(verdict());
  assert.equal(await telemetry.flush(), false);
  telemetry.track(verdict());
  const startedMs = performance.now();
  assert.equal(await telemetry.flush(100), false);
  assert.ok(performance.now() - startedMs < 30_000);
  assert.equal(telemetry.books().waiting, 1);
  assert.equal(scripted.unexpected, 0);
});

test("a flush does not wait for what is tracked after it", async (t) => {
  const [telemetry] = await against(t, taken, { flushIntervalMs: 3_600_000 });
  telemetry.track(verdict());
  const flushed = telemetry.flush();
  await until(() => telemetry.books().requests === 1, () => telemetry.books());
  telemetry.track(verdict());
  assert.equal(await flushed, true);
  await sleep(50);
  assert.equal(telemetry.books().waiting, 1);
  assert.equal(telemetry.books().requests, 1);
});

test("what is dropped after a flush began is not the flush's", async (t) => {
  const settings = { maxBuffer: 2, whenFull: "drop_oldest", requestTimeoutMs: 2_000, retryBaseMs: 0 } as const;
  const [telemetry] = await against(t, ["silence", { status: 202 }], { ...settings, flushIntervalMs: 3_600_000 });
  telemetry.track(verdict());
  const flushed = telemetry.flush();
  await until(() => telemetry.books().requests === 1, () => telemetry.books());
  telemetry.track(verdict());
  telemetry.track(verdict());
  assert.deepEqual(telemetry.books().dropped, { full: 1 });
  assert.equal(await flushed, true);
  assert.equal(telemetry.books().delivered, 1);
});

test("a paused client ends a flush at once", async (t) => {
  const [telemetry] = await against(t, [{ status: 401 }]);
  const startedMs = performance.now();
  telemetry.track(verdict());
  assert.equal(await telemetry.flush(60_000), false);
  assert.equal(await telemetry.flush(60_000), false);
  assert.ok(performance.now() - startedMs < 30_000);
  assert.equal(telemetry.books().state, "paused");
});

test("a paused client tries again each minute and is ready when the key works", async (t) => {
  const realTimeout = setTimeout;
  // A wait for the minute looks at the clock every 50 ms; all other waits are real.
  t.mock.method(globalThis, "setTimeout", (call: () => void, waitMs: number) => realTimeout(call, waitMs > 30_000 ? 50 : waitMs));
  const realNow = performance.now.bind(performance);
  let aheadMs = 0;
  t.mock.method(performance, "now", () => realNow() + aheadMs);
  const warnings: string[] = [];
  const [telemetry, scripted] = await against(t, [{ status: 401 }, { status: 401 }, { status: 202 }], {
    onWarning: (text) => warnings.push(text),
    maxAgeMs: 1e9,
  });
  telemetry.track(verdict());
  assert.equal(await telemetry.flush(), false);
  await sleep(150);
  assert.equal(scripted.asked.length, 1);
  for (let minute = 1; minute < 3; minute += 1) {
    // Again where the answer before was not read yet when the minute passed.
    for (let look = 0; scripted.asked.length <= minute && look < 2_000; look += 1) {
      aheadMs += look % 400 === 0 ? 60_001 : 0;
      await sleep(5);
    }
    assert.equal(scripted.asked.length, minute + 1);
  }
  await until(() => telemetry.books().delivered === 1, () => telemetry.books());
  assert.equal(telemetry.books().state, "ready");
  assert.equal(warnings.length, 1);
});

test("a server that cannot be reached is told with its address and the failure, once until it answers", async (t) => {
  const warnings: string[] = [];
  const settings = { retryMaxMs: 1, onWarning: (text: string) => warnings.push(text) };
  const down = Array<Answer>(7).fill({ status: 503, body: { code: "unavailable" } });
  const [telemetry, scripted] = await against(t, [...down, { status: 202 }], settings);
  telemetry.track(verdict());
  assert.equal(await telemetry.flush(), true);
  assert.deepEqual([warnings.length, telemetry.books().requests], [1, 8]);
  assert.ok(warnings[0]?.includes(`${scripted.url}/: HTTP 503 unavailable`), warnings[0]);
  telemetry.track(verdict());
  void telemetry.flush();
  await until(() => warnings.length === 2, () => warnings);
  assert.match(warnings[1] ?? "", /socket hang up/);

  const [nobody] = await against(t, [], { ...settings, url: "http://localhost:9", flushAt: 1 });
  nobody.track(verdict());
  await until(() => warnings.length === 3, () => warnings);
  assert.match(warnings[2] ?? "", /http:\/\/localhost:9\/: .*ECONNREFUSED/);
});

test("a key that is no key is refused by setApiKey and the old one stays", async (t) => {
  const [telemetry, scripted] = await against(t, taken);
  assert.throws(() => telemetry.setApiKey("nonsense"), ReputeSettingsError);
  telemetry.track(verdict());
  await telemetry.flush();
  assert.equal(scripted.asked[0]?.headers.authorization, `Bearer ${apiKey}`);
});

test("an event that is too old is dropped and does not block the rest", async (t) => {
  const dropped: unknown[] = [];
  const [telemetry, scripted] = await against(t, ["silence", { status: 202 }], {
    requestTimeoutMs: 1_500,
    retryBaseMs: 0,
    maxAgeMs: 1_200,
    flushAt: 1,
    onDropped: (events, reason) => dropped.push(...events, reason),
  });
  telemetry.track(verdict({ tool: "old" }));
  await sleep(1_200);
  telemetry.track(verdict({ tool: "new" }));
  await until(() => telemetry.books().delivered === 1, () => telemetry.books());
  assert.deepEqual(telemetry.books().dropped, { too_old: 1 });
  assert.equal(eventsOf(scripted.asked[1] as Asked)[0]?.tool, "new");
  assert.equal((dropped[0] as Trackable).tool, "old");
  assert.equal(dropped[1], "too_old");
});

test("an event ages out while the server asks for patience", async (t) => {
  const [telemetry] = await against(t, down, { maxAgeMs: 100, flushAt: 1 });
  telemetry.track(verdict());
  await until(() => telemetry.books().dropped.too_old === 1, () => telemetry.books());
  assert.equal(telemetry.books().waiting, 0);
});

test("a full buffer never drops what is in flight", async (t) => {
  const [telemetry] = await against(t, ["silence"], { maxBuffer: 2, flushAt: 2, whenFull: "drop_oldest", requestTimeoutMs: 60_000 });
  telemetry.track(verdict());
  telemetry.track(verdict());
  await until(() => telemetry.books().requests === 1, () => telemetry.books());
  telemetry.track(verdict());
  assert.deepEqual(telemetry.books().dropped, { full: 1 });
  assert.equal(telemetry.books().waiting, 2);
});

test("what is tracked after shutdown is counted as closed", async (t) => {
  const [telemetry] = await against(t, taken, { shutdownTimeoutMs: 5_000 });
  telemetry.track(verdict());
  const books = await telemetry.shutdown();
  assert.equal(books.delivered, 1);
  telemetry.track(verdict());
  assert.deepEqual(telemetry.books().dropped, { closed: 1 });
  assert.equal(telemetry.books().state, "closed");
  assert.ok(balance(telemetry.books()));
});

test("shutdown ends within its time and tells what it could not deliver", async (t) => {
  const [telemetry] = await against(t, ["silence"], { shutdownTimeoutMs: 100 });
  telemetry.track(verdict());
  const startedMs = performance.now();
  const books = await telemetry.shutdown();
  assert.ok(performance.now() - startedMs < 30_000);
  assert.deepEqual(books.dropped, { shutdown: 1 });
  assert.ok(balance(books));
  assert.deepEqual(await telemetry.shutdown(), books);
});

test("shutdown does not wait for a try that would come later than it ends", async (t) => {
  const [telemetry] = await against(t, down, { shutdownTimeoutMs: 50_000, flushAt: 1 });
  telemetry.track(verdict());
  await until(() => telemetry.books().state === "backoff", () => telemetry.books());
  const startedMs = performance.now();
  assert.deepEqual((await telemetry.shutdown()).dropped, { shutdown: 1 });
  assert.ok(performance.now() - startedMs < 30_000);
});

test("shutdown drains all that is held", async (t) => {
  const [telemetry] = await against(t, taken, { shutdownTimeoutMs: 10_000 });
  for (let at = 0; at < 1_234; at += 1) {
    telemetry.track(verdict());
  }
  assert.equal((await telemetry.shutdown()).delivered, 1_234);
});

test("without onWarning a warning goes to the console, once, and what that throws is swallowed", async (t) => {
  const said: unknown[][] = [];
  t.mock.method(console, "warn", (...words: unknown[]) => {
    said.push(words);
    throw new Error("a console that is gone");
  });
  const late = { status: 202, body: { accepted: 1, late: 1 } };
  const [telemetry] = await against(t, [late, late]);
  telemetry.track(verdict());
  await telemetry.flush();
  telemetry.track(verdict());
  assert.equal(await telemetry.flush(), true);
  const [mute] = await against(t, [late], { onWarning: () => {} });
  mute.track(verdict());
  assert.equal(await mute.flush(), true);
  assert.equal(said.length, 1);
  assert.match(String(said[0]), /^repute: late: /);
});

test("what a callback throws is swallowed", async (t) => {
  const fail = (): never => {
    throw new Error("the caller's own");
  };
  const answers = [{ status: 202, body: { accepted: 1, late: 1 } }, { status: 410 }, { status: 202 }];
  const callbacks = { onDelivered: fail, onRefused: fail, onDropped: fail, onWarning: fail };
  const [telemetry] = await against(t, answers, callbacks);
  for (let at = 0; at < 3; at += 1) {
    telemetry.track(verdict());
    await telemetry.flush();
  }
  telemetry.track(verdict({ agent_id: "" }));
  const { delivered, refused, dropped } = telemetry.books();
  assert.deepEqual({ delivered, refused, dropped }, { delivered: 2, refused: { http_410: 1 }, dropped: { invalid: 1 } });
});

test("track never throws, whatever it is given", async (t) => {
  const [telemetry] = await against(t, taken);
  const trap = Object.defineProperty({}, "passed", {
    get: () => {
      throw new Error("the caller's own");
    },
  });
  for (const value of [undefined, null, 7, "text", [], {}, trap, { ...verdict(), gates: [null] }, verdict({ timestamp: new Date(NaN) })]) {
    telemetry.track(value as Trackable);
  }
  assert.deepEqual(telemetry.books().dropped, { invalid: 9 });
  assert.ok(balance(telemetry.books()));
});

test("a date is sent as a time", async (t) => {
  const [telemetry, scripted] = await against(t, taken);
  telemetry.track(verdict({ timestamp: new Date("2026-05-07T14:22:10.5Z") }));
  telemetry.track(verdict({ timestamp: new Date("+012026-05-07T14:22:10Z") }));
  await telemetry.flush();
  assert.deepEqual(eventsOf(scripted.asked[0] as Asked).map(({ timestamp }) => timestamp), ["2026-05-07T14:22:10.500Z"]);
  assert.deepEqual(telemetry.books().dropped, { invalid: 1 });
});

test("sampling keeps a share of the passed events and all failed ones", async (t) => {
  const [telemetry] = await against(t, taken, { sampleRate: 0.25, maxBuffer: 100_000, flushIntervalMs: 3_600_000 });
  for (let at = 0; at < 8_000; at += 1) {
    telemetry.track(verdict());
  }
  const { tracked } = telemetry.books();
  // Eight standard deviations around 2,000.
  assert.ok(tracked > 1_690 && tracked < 2_310, String(tracked));
  for (let at = 0; at < 100; at += 1) {
    telemetry.track(verdict({ passed: false }));
  }
  assert.equal(telemetry.books().tracked, tracked + 100);
});

test("ids are unique and of 22 letters and digits", async (t) => {
  const [telemetry, scripted] = await against(t, taken);
  for (let at = 0; at < 2_000; at += 1) {
    telemetry.track(verdict());
  }
  await telemetry.flush();
  const ids = scripted.asked.flatMap(eventsOf).map(({ evaluation_id }) => evaluation_id);
  assert.equal(new Set(ids).size, 2_000);
  assert.ok(ids.every((id) => /^[A-Za-z0-9]{22}$/.test(id)));
  // Each of the 62 is as likely: expected 710 times, within eight standard deviations.
  const counts = new Map<string, number>();
  for (const letter of ids.join("")) {
    counts.set(letter, (counts.get(letter) ?? 0) + 1);
  }
  assert.equal(counts.size, 62);
  assert.ok([...counts.values()].every((count) => count > 490 && count < 930), JSON.stringify([...counts]));
});

test("a broken server cannot fill the books with codes", async (t) => {
  let number = 0;
  const [telemetry] = await against(t, () => ({ status: 418, body: { code: `code_${number++}` } }), { flushAt: 1 });
  for (let at = 0; at < 80; at += 1) {
    telemetry.track(verdict());
    await telemetry.flush();
  }
  const { refused } = telemetry.books();
  assert.equal(Object.keys(refused).length, 65);
  assert.equal(refused["other"], 16);
});

test("an answer without end is no answer", async (t) => {
  const [telemetry] = await against(t, [{ status: 202, text: "x".repeat(65 * 1024 * 1024) }, { status: 202 }], { retryBaseMs: 0 });
  telemetry.track(verdict());
  assert.equal(await telemetry.flush(), true);
  assert.equal(telemetry.books().retries, 1);
});
