import assert from "node:assert/strict";
import { test } from "node:test";
import { createEngine, type Gate, type GateOutcome, type GateResult } from "../src/index.js";
import { sleep } from "./kit/wait.js";

const passes = (name: string): Gate => ({ name, run: () => ({ passed: true }) });
const fails = (name: string): Gate => ({ name, run: () => ({ passed: false, reason: `${name} says no` }) });
const skips = (name: string): Gate => ({ name, run: () => ({ passed: false, skipped: true }) });
const slow = (name: string, waitMs: number, outcome: GateOutcome = { passed: true }): Gate => ({
  name,
  run: async () => {
    await sleep(waitMs);
    return outcome;
  },
});

/** Results without their times. */
function told(gates: readonly GateResult[]): object[] {
  return gates.map(({ latency_ms, ...rest }) => {
    assert.ok(latency_ms >= 0);
    return rest;
  });
}

test("results stand in list order, whoever is done first", async () => {
  const engine = createEngine({ gates: [slow("a", 20), passes("b"), slow("c", 5)], timeout: 5_000 });
  const result = await engine.evaluate({ agent_id: "agent", tool: "tool", output: 1 });
  assert.deepEqual(told(result.gates), ["a", "b", "c"].map((name) => ({ name, passed: true })));
  assert.equal(result.passed, true);
  assert.equal(result.agent_id, "agent");
  assert.equal(result.tool, "tool");
  assert.match(result.evaluation_id, /^[A-Za-z0-9]{22}$/);
  assert.match(result.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("gates run side by side and the total is wall clock", async () => {
  const engine = createEngine({ gates: ["a", "b", "c", "d"].map((name) => slow(name, 100)), timeout: 5_000 });
  const result = await engine.evaluate({ output: 1 });
  const own = result.gates.reduce((sum, { latency_ms }) => sum + latency_ms, 0);
  assert.ok(own > 380, String(own));
  assert.ok(result.total_latency_ms < own / 2, String(result.total_latency_ms));
});

test("a failure stops the rest by default", async () => {
  let ran = false;
  const last: Gate = { name: "last", run: () => ((ran = true), { passed: true }) };
  const result = await createEngine({ gates: [passes("first"), fails("bad"), last], timeout: 5_000 }).evaluate({ output: 1 });
  assert.deepEqual(told(result.gates), [
    { name: "first", passed: true },
    { name: "bad", passed: false, reason: "bad says no" },
    { name: "last", passed: true, skipped: true, reason: "pecta:aborted" },
  ]);
  assert.equal(result.gates[2]?.latency_ms, 0);
  assert.equal(result.passed, false);
  assert.equal(ran, false);
});

test("a failure tells gates at work by their signal", async () => {
  let signal: AbortSignal | undefined;
  const patient: Gate = {
    name: "patient",
    run: (_, given) => {
      signal = given;
      return new Promise(() => {});
    },
  };
  const result = await createEngine({ gates: [patient, slow("bad", 5, { passed: false })], timeout: 5_000 }).evaluate({ output: 1 });
  assert.deepEqual(told(result.gates), [
    { name: "patient", passed: true, skipped: true, reason: "pecta:aborted" },
    { name: "bad", passed: false },
  ]);
  assert.equal(signal?.aborted, true);
});

test("without failFast every gate reports", async () => {
  const result = await createEngine({ gates: [fails("a"), passes("b"), fails("c")], failFast: false, timeout: 5_000 }).evaluate({ output: 1 });
  assert.deepEqual(result.gates.map(({ passed }) => passed), [false, true, false]);
  assert.equal(result.passed, false);
});

test("gates out of the budget fail", async () => {
  let signal: AbortSignal | undefined;
  const patient: Gate = {
    name: "patient",
    run: (_, given) => {
      signal = given;
      return new Promise(() => {});
    },
  };
  const result = await createEngine({ gates: [passes("quick"), patient], timeout: 200 }).evaluate({ output: 1 });
  assert.deepEqual(told(result.gates), [
    { name: "quick", passed: true },
    { name: "patient", passed: false, reason: "pecta:timeout" },
  ]);
  assert.ok((result.gates[1]?.latency_ms ?? 0) >= 190);
  assert.equal(signal?.aborted, true);
  assert.equal(result.passed, false);
});

test("a gate is not started when the budget is over", async () => {
  let ran = false;
  const busy: Gate = {
    name: "busy",
    run: () => {
      const endMs = performance.now() + 30;
      while (performance.now() < endMs);
      return { passed: true };
    },
  };
  const last: Gate = { name: "last", run: () => ((ran = true), { passed: true }) };
  const result = await createEngine({ gates: [busy, last], timeout: 10, failFast: false }).evaluate({ output: 1 });
  assert.deepEqual(told(result.gates), [
    { name: "busy", passed: false, reason: "pecta:timeout" },
    { name: "last", passed: false, reason: "pecta:timeout" },
  ]);
  const stopped = await createEngine({ gates: [busy, last], timeout: 10 }).evaluate({ output: 1 });
  assert.deepEqual(told(stopped.gates), [
    { name: "busy", passed: false, reason: "pecta:timeout" },
    { name: "last", passed: true, skipped: true, reason: "pecta:aborted" },
  ]);
  assert.equal(ran, false);
});

test("a gate that comes too late changes nothing any more", async () => {
  const result = await createEngine({ gates: [slow("late", 400, { passed: true })], timeout: 10 }).evaluate({ output: 1 });
  const before = structuredClone(result);
  await sleep(450);
  assert.deepEqual(result, before);
});

test("a gate that throws, rejects or says nothing fails and never shows why", async () => {
  const error = new Error("a secret of the payload");
  const broken: Gate[] = [
    { name: "throws", run: () => { throw error; } },
    { name: "rejects", run: () => Promise.reject(error) },
    { name: "says nothing", run: () => undefined as never },
    { name: "says no verdict", run: () => ({ passed: "yes" }) as never },
  ];
  const result = await createEngine({ gates: broken, failFast: false, timeout: 5_000 }).evaluate({ output: 1 });
  assert.deepEqual(told(result.gates), broken.map(({ name }) => ({ name, passed: false, reason: "pecta:error" })));
});

test("a skipped gate is never a failure", async () => {
  const result = await createEngine({ gates: [skips("a"), passes("b")], timeout: 5_000 }).evaluate({ output: 1 });
  assert.equal(result.passed, true);
  assert.deepEqual(told(result.gates), [{ name: "a", passed: false, skipped: true }, { name: "b", passed: true }]);
});

test("an engine without gates passes", async () => {
  assert.equal((await createEngine({ gates: [] }).evaluate({ output: 1 })).passed, true);
});

test("an id of one's own is kept", async () => {
  assert.equal((await createEngine({ gates: [] }).evaluate({ output: 1, evaluation_id: "mine" })).evaluation_id, "mine");
});

test("evaluations at the same time do not disturb each other", async () => {
  const engine = createEngine({ gates: [{ name: "odd", run: async ({ output }) => (await sleep(1), { passed: Number(output) % 2 === 1 }) }], timeout: 5_000 });
  const results = await Promise.all(Array.from({ length: 50 }, (_, output) => engine.evaluate({ output })));
  assert.deepEqual(results.map(({ passed }) => passed), Array.from({ length: 50 }, (_, at) => at % 2 === 1));
});

test("a guard that ends the run leaves out the gates after it", async () => {
  let ran = false;
  const guard: Gate = { name: "guard", mustBeFirst: true, run: () => ({ passed: true, skipped: true, endsRun: true }) };
  const last: Gate = { name: "last", run: () => ((ran = true), { passed: false }) };
  const result = await createEngine({ gates: [guard, last], timeout: 5_000 }).evaluate({ output: 1 });
  assert.deepEqual(told(result.gates), [
    { name: "guard", passed: true, skipped: true },
    { name: "last", passed: true, skipped: true, reason: "pecta:deadline" },
  ]);
  assert.equal(result.passed, true);
  assert.equal(ran, false);
  assert.throws(() => createEngine({ gates: [last, guard] }), /guard must be the first/);
});

test("what is no engine is refused when it is made", () => {
  assert.throws(() => createEngine({ gates: [passes("a"), fails("a")] }), /two have the name a/);
  assert.throws(() => createEngine({ gates: [{ name: "", run: passes("a").run }] }), /each has a name/);
  assert.throws(() => createEngine({ gates: [{ name: "a" } as never] }), /run function/);
  assert.throws(() => createEngine({ gates: Array.from({ length: 51 }, (_, at) => passes(String(at))) }), /more than 50/);
  assert.throws(() => createEngine({ gates: [passes("n".repeat(201))] }), /1 to 200/);
  assert.throws(() => createEngine({ gates: "none" as never }), /not a list/);
  for (const timeout of [0, -1, NaN, Infinity, "50" as never]) {
    assert.throws(() => createEngine({ gates: [], timeout }), /timeout/);
  }
});
