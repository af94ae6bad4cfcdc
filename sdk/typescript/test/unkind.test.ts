import assert from "node:assert/strict";
import { test } from "node:test";
import { ReputeClient, ReputeTelemetry } from "../src/index.js";
import { balance, verdict } from "./kit/events.js";
import { PUBLISHABLE, Repute, SECRET, UnkindProxy } from "./kit/program.js";
import { sleep } from "./kit/wait.js";

const EVENTS = 100_000;
const AGENTS = 20;

/** Within the bound on memory, so that nothing is dropped. */
const MAX_HELD = 8_000;

const FAULTS = {
  seed: 20_260_507,
  delay: 0.04,
  refuse: 0.01,
  "cut-request": 0.01,
  "lose-answer": 0.02,
  "cut-answer": 0.01,
  throttle: 0.004,
  unavailable: 0.004,
  duplicate: 0.03,
  replay: 0.03,
  hang: 0.004,
  "delay-ms": 20,
  "hang-ms": 1_200,
};

test("100,000 events through a bad network and two killed servers are delivered exactly once", { timeout: 600_000 }, async () => {
  const server = await Repute.start();
  const proxy = await UnkindProxy.start(server.host, FAULTS);
  const telemetry = new ReputeTelemetry({
    url: proxy.url,
    apiKey: PUBLISHABLE,
    secretKey: SECRET,
    requestTimeoutMs: 1_000,
    retryBaseMs: 10,
    retryMaxMs: 200,
    shutdownTimeoutMs: 30_000,
  });
  let restart = Promise.resolve();
  try {
    let kills = 0;
    for (let at = 0; at < EVENTS; at += 1) {
      telemetry.track(verdict({ agent_id: `agent-${at % AGENTS}`, tool: String(at), passed: at % 10 !== 0 }));
      while (telemetry.books().waiting >= MAX_HELD) {
        await sleep(1);
      }
      if (kills < 2 && telemetry.books().delivered >= (EVENTS / 3) * (kills + 1)) {
        kills += 1;
        restart = server.kill().then(() => sleep(300)).then(() => server.startAgain());
      }
    }
    assert.equal(kills, 2);
    assert.ok(balance(telemetry.books()));
    await restart;
    const books = await telemetry.shutdown();
    assert.ok(balance(books));
    assert.deepEqual(
      { tracked: books.tracked, delivered: books.delivered, refused: books.refused, dropped: books.dropped, cut: books.cut },
      { tracked: EVENTS, delivered: EVENTS, refused: {}, dropped: {}, cut: {} },
    );
    // Resent after a lost answer: the server had them, and they count once.
    assert.ok(books.duplicates > 0);
    assert.ok(books.retries > 0);
    const counts = await proxy.counts();
    for (const [fault, count] of Object.entries(counts)) {
      assert.ok(count > 0, `${fault} never happened: ${JSON.stringify(counts)}`);
    }

    const client = new ReputeClient({ url: server.url, apiKey: PUBLISHABLE });
    let stored = 0;
    for await (const agent of client.agents()) {
      assert.equal(agent.eval_count, EVENTS / AGENTS, agent.agent_id);
      stored += agent.eval_count;
    }
    assert.equal(stored, EVENTS);
    const tools = new Set<string | null>();
    for await (const event of client.events({ agent_id: "agent-7" })) {
      assert.ok(event.signed);
      tools.add(event.tool_name);
    }
    assert.equal(tools.size, EVENTS / AGENTS);
  } finally {
    await telemetry.shutdown();
    await proxy.end();
    await server.remove();
  }
});
