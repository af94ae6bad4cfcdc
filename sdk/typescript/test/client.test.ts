import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createEngine, gates, ReputeClient, ReputeError, ReputeTelemetry, type EvaluateRequest } from "../src/index.js";
import { verdict } from "./kit/events.js";
import { PUBLISHABLE, Repute, SECRET } from "./kit/program.js";
import { Scripted } from "./kit/scripted.js";

let server: Repute;
let client: ReputeClient;
before(async () => {
  server = await Repute.start();
  client = new ReputeClient({ url: server.url, apiKey: PUBLISHABLE });
});
after(() => server.remove());

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) {
    list.push(item);
  }
  return list;
}

test("what is tracked is listed, with the engine's names and no more than was sent", async () => {
  const telemetry = new ReputeTelemetry({ url: server.url, apiKey: PUBLISHABLE, secretKey: SECRET, agentId: "by default" });
  telemetry.track({
    tool: "send_mail",
    passed: false,
    gates: [{ name: "pii", passed: false, latency_ms: 1.5, reason: "email address detected in output" }, { name: "x", passed: true, latency_ms: 0, skipped: true }],
    total_latency_ms: 1.8,
    timestamp: "2026-05-07T14:22:10.123Z",
    evaluation_id: "mine",
  });
  assert.equal((await telemetry.shutdown()).delivered, 1);
  const [event] = await all(client.events({ agent_id: "by default", evaluation_id: "mine" }));
  const { id, received_at, key_id, ...rest } = event ?? assert.fail("not listed");
  assert.deepEqual(rest, {
    evaluation_id: "mine",
    agent_id: "by default",
    tool_name: "send_mail",
    passed: false,
    gates: [{ name: "pii", passed: false, latency_ms: 1.5, reason: "email address detected in output" }, { name: "x", passed: true, latency_ms: 0, skipped: true }],
    total_latency_ms: 1.8,
    reputation_score: rest.reputation_score,
    created_at: "2026-05-07T14:22:10.123Z",
    source: "ingest",
    signed: true,
    late: false,
    agent_latency_ms: null,
  });
  assert.deepEqual(await client.event(id), event);
});

test("events are iterated over all pages, filtered, newest first", async () => {
  const events = Array.from({ length: 230 }, (_, at) => ({
    ...verdict({ agent_id: "pages", tool: `t${at % 2}`, passed: at % 10 !== 0 }),
    agent_id: "pages",
    timestamp: new Date(Date.UTC(2026, 0, 1) + at * 1_000).toISOString(),
    evaluation_id: String(at),
    gates: [],
  }));
  for (let from = 0; from < events.length; from += 100) {
    await client.ingest(events.slice(from, from + 100));
  }
  const listed = await all(client.events({ agent_id: "pages", limit: 7 }));
  assert.deepEqual(listed.map(({ evaluation_id }) => evaluation_id), events.map(({ evaluation_id }) => evaluation_id).reverse());
  assert.equal((await all(client.events({ agent_id: "pages", passed: false }))).length, 23);
  assert.equal((await all(client.events({ agent_id: "pages", tool: "t1", limit: 10 }))).length, 115);
  const [from, to] = [new Date(Date.UTC(2026, 0, 1) + 10_000), "2026-01-01T00:00:19Z"];
  assert.equal((await all(client.events({ agent_id: "pages", from, to }))).length, 10);
  let seen = 0;
  for await (const _ of client.events({ agent_id: "pages", limit: 5 })) {
    seen += 1;
    if (seen === 12) {
      break;
    }
  }
  assert.equal(seen, 12);
});

test("details of a gate never leave the process, not even with a raw ingest", async (t) => {
  const scripted = await Scripted.start([{ status: 202, body: { accepted: 1, reputation_updates: [] } }]);
  t.after(() => scripted.stop());
  const result = await createEngine({ gates: [gates.content()], timeout: 10_000 }).evaluate({ agent_id: "a", output: { said: "I cannot help you" } });
  assert.notEqual(result.gates[0]?.details, undefined);
  await new ReputeClient({ url: scripted.url, apiKey: PUBLISHABLE }).ingest([{ ...result, agent_id: "a" }]);
  assert.ok(!scripted.asked[0]?.bytes.includes("details"));
  assert.ok(scripted.asked[0]?.bytes.includes("refusal"));
});

test("an ingest tells what became of the batch", async () => {
  const event = { ...verdict(), agent_id: "raw", gates: [], evaluation_id: "once", timestamp: "2026-01-01T00:00:00Z" };
  const answer = await client.ingest([event, event]);
  assert.deepEqual(answer, {
    accepted: 2,
    reputation_updates: [{ agent_id: "raw", score: answer.reputation_updates[0]?.score, status: "calibrating" }],
    duplicates: 1,
  });
});

test("an output is judged by the server, recorded, and counted once", async () => {
  const letter = { agent_id: "judged", output: { text: "write to jane@corp.example" }, tool: "send_mail", latency_ms: 420 };
  const first = await client.evaluate(letter);
  assert.equal(first.passed, false);
  assert.deepEqual(
    first.gates.filter((gate) => !gate.passed).map(({ name, reason }) => [name, reason]),
    [["pii", "email address detected in output"]],
  );
  assert.equal(first.reputation.eval_count, 1);
  const again = await client.evaluate({ ...letter, evaluation_id: first.evaluation_id });
  assert.equal(again.duplicate, true);
  assert.equal(again.reputation.eval_count, 1);
  const listed = [];
  for await (const event of client.events({ agent_id: "judged" })) {
    listed.push([event.evaluation_id, event.source, event.agent_latency_ms]);
  }
  assert.deepEqual(listed, [[first.evaluation_id, "evaluate", 420]]);
});

test("a standing is read for one agent and for many, any name", async () => {
  const name = "a/b ü?&#%";
  await client.ingest([{ ...verdict(), agent_id: name, gates: [] }]);
  const one = await client.reputation(name);
  assert.equal(one.agent_id, name);
  assert.equal(one.evaluations, 1);
  const nobody = await client.reputation("nobody");
  assert.deepEqual({ score: nobody.score, status: nobody.status }, { score: 0, status: "new" });
  assert.deepEqual(await client.reputations(["nobody", name]), [nobody, one]);
});

test("a name that a path cannot hold is asked for, an empty one is none", async () => {
  for (const agent_id of [".", ".."]) {
    await client.ingest([{ ...verdict(), agent_id, gates: [] }]);
    const { evaluations, ...standing } = await client.reputation(agent_id);
    assert.deepEqual([standing.agent_id, evaluations], [agent_id, 1]);
  }
  await assert.rejects(client.reputation(""), { name: "TypeError", message: /^agent_id: / });
});

test("agents are registered and iterated", async () => {
  for (let at = 0; at < 12; at += 1) {
    assert.deepEqual(await client.registerAgent(`r${at}`), { agent_id: `r${at}`, registered: true });
  }
  const agents = await all(client.agents({ limit: 5, order: "agent_id", include: "reputation" }));
  const names = agents.map(({ agent_id }) => agent_id);
  assert.deepEqual(names.filter((name) => /^r\d+$/.test(name)), [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9].map((at) => `r${at}`));
  assert.equal(agents.find(({ agent_id }) => agent_id === "r3")?.status, "new");
});

test("whoami says who is asking", async () => {
  const me = await client.whoami();
  assert.equal(me.organisation, "default");
  assert.equal(me.kind, "publishable");
  assert.deepEqual(me.scopes, ["ingest", "evaluate", "read"]);
  assert.equal(me.limits.require_signature, false);
});

test("a refusal carries all that the server says", async () => {
  const bad = { ...verdict(), agent_id: "a", gates: [], total_latency_ms: -1 };
  const error = await client.ingest([{ ...bad, total_latency_ms: 1 }, bad]).catch((caught: unknown) => caught);
  assert.ok(error instanceof ReputeError);
  assert.equal(error.status, 400);
  assert.equal(error.code, "validation_error");
  assert.match(error.message, /^events\[1\]\.total_latency_ms: /);
  assert.deepEqual(error.details.map(({ event, field }) => [event, field]), [[1, "total_latency_ms"]]);
  assert.match(error.requestId ?? "", /^[A-Za-z0-9._-]{1,64}$/);
  assert.equal(error.retryAfterMs, null);
  const stranger = new ReputeClient({ url: server.url, apiKey: "pk_live_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz" });
  await assert.rejects(stranger.whoami(), { name: "ReputeError", status: 401, code: "auth_invalid" });
  await assert.rejects(client.event("999999999"), { status: 404, code: "not_found" });
});

test("a signed call is taken, one signed with another key is not", async () => {
  const event = { ...verdict(), agent_id: "signed", gates: [] };
  const good = new ReputeClient({ url: server.url, apiKey: PUBLISHABLE, secretKey: SECRET });
  assert.equal((await good.ingest([event])).accepted, 1);
  const timed = new ReputeClient({ url: server.url, apiKey: PUBLISHABLE, secretKey: SECRET, signTime: true });
  assert.equal((await timed.ingest([event])).accepted, 1);
  const bad = new ReputeClient({ url: server.url, apiKey: PUBLISHABLE, secretKey: "sk_live_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz" });
  await assert.rejects(bad.ingest([event]), { code: "hmac_invalid" });
});

test("reads and evaluates are tried three times more, an ingest is not", async (t) => {
  const scripted = await Scripted.start([]);
  t.after(() => scripted.stop());
  const impatient = new ReputeClient({ url: scripted.url, apiKey: PUBLISHABLE, retryBaseMs: 1 });
  const verdictOf = { evaluation_id: "x", passed: true, gates: [], total_latency_ms: 1, reputation: { score: 1, lifecycle: "new", eval_count: 1 } };

  scripted.add({ status: 503 }, "cut", { status: 429 }, { status: 200, body: { agent_id: "a", score: 7 } });
  assert.equal((await impatient.reputation("a")).score, 7);
  scripted.add({ status: 500, body: { error: "a sentence", code: "internal", status: 500 } }, { status: 500 }, { status: 500 }, { status: 500, body: { error: "the last", code: "internal", status: 500 } });
  await assert.rejects(impatient.reputation("a"), { status: 500, message: "the last" });
  scripted.add({ status: 400 });
  await assert.rejects(impatient.reputation("a"), { status: 400, code: "http_400" });

  scripted.asked.length = 0;
  scripted.add("cut", { status: 503 }, { status: 200, body: verdictOf });
  await impatient.evaluate({ agent_id: "a", output: null });
  const bodies = scripted.asked.map(({ json }) => json as { output: unknown; evaluation_id: string });
  assert.equal(new Set(bodies.map(({ evaluation_id }) => evaluation_id)).size, 1);
  assert.match(bodies[0]?.evaluation_id ?? "", /^[A-Za-z0-9]{22}$/);
  assert.equal(bodies[0]?.output, null);
  scripted.add({ status: 200, body: verdictOf });
  await impatient.evaluate({ agent_id: "a", output: 1, evaluation_id: "mine" });
  assert.equal((scripted.asked.at(-1)?.json as { evaluation_id?: string } | undefined)?.evaluation_id, "mine");

  scripted.add("cut");
  await assert.rejects(impatient.ingest([]), { status: 0, code: "no_answer" });
  assert.equal(scripted.unexpected, 0);
  assert.ok(scripted.isOver);
});

test("an output that is absent is an error, and nothing is sent", async (t) => {
  const scripted = await Scripted.start([]);
  t.after(() => scripted.stop());
  const asking = new ReputeClient({ url: scripted.url, apiKey: PUBLISHABLE, retryBaseMs: 1 });
  for (const request of [{ agent_id: "a" }, { agent_id: "a", output: undefined }]) {
    await assert.rejects(asking.evaluate(request as EvaluateRequest), { name: "TypeError", message: /^output: / });
  }
  assert.equal(scripted.asked.length, 0);
});

test("an answer that is no JSON is an error", async (t) => {
  const scripted = await Scripted.start([{ status: 200, text: "<html>" }]);
  t.after(() => scripted.stop());
  await assert.rejects(new ReputeClient({ url: scripted.url, apiKey: PUBLISHABLE }).whoami(), { code: "bad_answer" });
});

test("a request that is not answered ends in its time", async (t) => {
  const scripted = await Scripted.start(["silence"]);
  t.after(() => scripted.stop());
  const impatient = new ReputeClient({ url: scripted.url, apiKey: PUBLISHABLE, requestTimeoutMs: 50 });
  await assert.rejects(impatient.ingest([]), { status: 0, code: "no_answer", message: /no answer within 50 ms/ });
});
