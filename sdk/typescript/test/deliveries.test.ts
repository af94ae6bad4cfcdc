import assert from "node:assert/strict";
import { test } from "node:test";
import { ReputeTelemetry, type Books, type TelemetrySettings } from "../src/index.js";
import { balance, verdict } from "./kit/events.js";
import { Scripted, type Answer, type Asked } from "./kit/scripted.js";
import { vectors } from "./kit/vectors.js";
import { sleep, until } from "./kit/wait.js";

interface Delivery {
  name: string;
  settings?: Record<string, unknown>;
  track: number;
  failed?: number[];
  answers: Answer[] | string;
  requests: string[];
  books: Partial<Books>;
  state?: string;
  calls?: { requests: number; retries: number };
  warned?: string[];
  gzip?: boolean[];
  then?: "set_api_key";
  at_end?: Partial<Books>;
}

const KEY = "pk_live_0123456789abcdefghijABCDEFGHIJxy";
const OTHER_KEY = "pk_live_0123456789abcdefghijABCDEFGHIJzz";

for (const each of vectors<{ cases: Delivery[] }>("deliveries").cases) {
  test(`delivery: ${each.name}`, async () => {
    const scripted = await Scripted.start(typeof each.answers === "string" ? takes(each.answers) : each.answers);
    const warnings: string[] = [];
    const told = { delivered: 0, refused: 0, dropped: 0 };
    const telemetry = new ReputeTelemetry({
      url: scripted.url,
      apiKey: KEY,
      flushIntervalMs: 3_600_000,
      shutdownTimeoutMs: 0,
      onWarning: (text) => warnings.push(text),
      onDelivered: (count) => (told.delivered += count),
      onRefused: (events) => (told.refused += events.length),
      onDropped: (events) => (told.dropped += events.length),
      ...inCamelCase(each.settings ?? {}),
    });
    try {
      for (let at = 0; at < each.track; at += 1) {
        telemetry.track(verdict({ tool: String(at), passed: !each.failed?.includes(at) }));
        assert.ok(balance(telemetry.books()));
      }
      void telemetry.flush();
      if (each.then === "set_api_key") {
        await until(() => telemetry.books().state === "paused", () => telemetry.books());
        telemetry.setApiKey(OTHER_KEY);
      }
      const expected = { ...wholeBooks(each.books) };
      await until(
        () => scripted.asked.length >= each.requests.length && same(telemetry.books(), expected),
        () => [telemetry.books(), scripted.asked.map(toolsOf)],
      );
      // What should not be sent would be sent now.
      await sleep(20);
      const books = telemetry.books();
      assert.deepEqual(wholeBooks(books), expected);
      assert.ok(balance(books));
      assert.deepEqual(scripted.asked.map(toolsOf), each.requests.map(numbersIn));
      assert.equal(scripted.unexpected, 0);
      assert.equal(books.state, each.state ?? books.state);
      assert.deepEqual({ requests: books.requests, retries: books.retries, ...each.calls }, {
        requests: books.requests,
        retries: books.retries,
      });
      if (each.gzip) {
        assert.deepEqual(scripted.asked.map(({ headers }) => headers["content-encoding"] === "gzip"), each.gzip);
      }
      if (each.then === "set_api_key") {
        const keys = scripted.asked.map(({ headers }) => headers.authorization);
        assert.deepEqual(keys, [`Bearer ${KEY}`, `Bearer ${OTHER_KEY}`]);
      }
      assert.equal(warnings.length, each.warned?.length ?? 0, warnings.join("\n"));
      for (const word of each.warned ?? []) {
        assert.equal(warnings.filter((text) => text.includes(word)).length, 1, `${word} in ${warnings.join("\n")}`);
      }
      const last = await telemetry.shutdown();
      assert.deepEqual(wholeBooks(last), wholeBooks(each.at_end ?? each.books));
      assert.equal(last.state, "closed");
      assert.ok(balance(last));
      assert.deepEqual(told, { delivered: last.delivered, refused: total(last.refused), dropped: total(last.dropped) });
    } finally {
      await telemetry.shutdown();
      await scripted.stop();
    }
  });
}

/** Takes batches up to a size. */
function takes(rule: string): (asked: Asked) => Answer {
  const most = Number(/^takes (\d+)$/.exec(rule)?.[1]);
  return (asked) => {
    const count = toolsOf(asked).length;
    return count <= most
      ? { status: 202, body: { accepted: count, reputation_updates: [] } }
      : { status: 413, body: { error: "a sentence", code: "body_too_large", status: 413 } };
  };
}

function toolsOf({ json }: Asked): number[] {
  return (json as { events: { tool: string }[] }).events.map(({ tool }) => Number(tool));
}

/** `0-2,5` is 0, 1, 2, 5. */
function numbersIn(text: string): number[] {
  return text.split(",").flatMap((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  });
}

function wholeBooks(books: Partial<Books>): object {
  const { tracked = 0, delivered = 0, waiting = 0, duplicates = 0, late = 0, clamped = 0, refused = {}, dropped = {} } = books;
  return { tracked, delivered, waiting, duplicates, late, clamped, refused, dropped };
}

function same(books: Books, expected: object): boolean {
  try {
    assert.deepEqual(wholeBooks(books), expected);
    return true;
  } catch {
    return false;
  }
}

function total(counts: object): number {
  return Object.values(counts).reduce<number>((sum, count) => sum + Number(count), 0);
}

function inCamelCase(settings: Record<string, unknown>): TelemetrySettings {
  const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [camel(name), value]));
}
