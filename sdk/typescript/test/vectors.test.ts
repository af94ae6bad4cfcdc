import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, longestWait, retryAfter } from "../src/backoff.js";
import { isCompressed, signatureHeaders } from "../src/body.js";
import { Ledger } from "../src/books.js";
import { validEvent, type Trackable } from "../src/event.js";
import { isTimestamp, timestampOf } from "../src/timestamp.js";
import { meant, vectors } from "./kit/vectors.js";

interface EventCase {
  name: string;
  settings?: { agent_id?: string };
  track: unknown;
  becomes?: object;
  dropped?: "invalid";
  cut?: Record<string, number>;
  made?: ("evaluation_id" | "timestamp")[];
}

for (const each of vectors<{ cases: EventCase[] }>("events").cases) {
  test(`making an event valid: ${each.name}`, () => {
    const ledger = new Ledger();
    const nowMs = Date.parse("2026-05-07T14:22:10.000Z");
    const cut = ledger.cut.bind(ledger);
    const event = validEvent(meant(each.track) as Trackable, each.settings?.agent_id ?? null, nowMs, cut);
    const sent = event && (JSON.parse(JSON.stringify(event)) as Record<string, unknown>);
    for (const field of each.made ?? []) {
      assert.match(String(sent?.[field]), field === "timestamp" ? /^2026-05-07T14:22:10.000Z$/ : /^[A-Za-z0-9]{22}$/);
      delete sent?.[field];
    }
    assert.deepEqual(sent, each.becomes === undefined ? null : meant(each.becomes));
    assert.equal(sent === null, each.dropped === "invalid");
    if (sent !== null) {
      assert.deepEqual(ledger.books(0, "ready").cut, each.cut ?? {});
    }
  });
}

const times = vectors<{ taken: string[]; not_taken: string[]; written: { unix_ms: number; text: string }[] }>("timestamps");

test("the times that the server takes are taken", () => {
  assert.deepEqual(times.taken.filter((text) => !isTimestamp(text)), []);
});

test("the times that the server does not take are not taken", () => {
  assert.deepEqual(times.not_taken.filter(isTimestamp), []);
});

test("a time is written in UTC to the millisecond", () => {
  assert.deepEqual(times.written.map(({ unix_ms }) => timestampOf(unix_ms)), times.written.map(({ text }) => text));
});

const waits = vectors<{
  waits: { retry_base_ms: number; retry_max_ms: number; failures: number; at_most_ms: number }[];
  retry_after: { header: string; now: string; wait_ms: number | null }[];
}>("backoff");

for (const { retry_base_ms, retry_max_ms, failures, at_most_ms } of waits.waits) {
  test(`try ${failures} with ${retry_base_ms} and ${retry_max_ms} ms waits at most ${at_most_ms} ms, anywhere below it`, () => {
    assert.equal(longestWait(failures, retry_base_ms, retry_max_ms), at_most_ms);
    const sample = Array.from({ length: 1_000 }, () => backoff(failures, retry_base_ms, retry_max_ms));
    assert.ok(Math.max(...sample) <= at_most_ms);
    assert.ok(Math.min(...sample) >= 0);
    assert.ok(at_most_ms === 0 || Math.max(...sample) > at_most_ms / 2);
    assert.ok(at_most_ms === 0 || Math.min(...sample) < at_most_ms / 2);
  });
}

for (const { header, now, wait_ms } of waits.retry_after) {
  test(`Retry-After: ${header || "(nothing)"} at ${now} is ${wait_ms} ms`, () => {
    assert.equal(retryAfter(header, Date.parse(now)), wait_ms);
  });
}

test("a signature is over the bytes as sent", () => {
  const { cases } = vectors<{ cases: { secret_key: string; unix_s?: number; body_base64: string; header: string }[] }>("signatures");
  for (const { secret_key, unix_s, body_base64, header } of cases) {
    const time = unix_s === undefined ? {} : { "X-Repute-Timestamp": String(unix_s) };
    const headers = signatureHeaders(Buffer.from(body_base64, "base64"), secret_key, unix_s ?? null);
    assert.deepEqual(headers, { "X-Pecta-Signature": header, ...time });
  }
});

test("a body above the threshold is compressed", () => {
  const { cases } = vectors<{ cases: { gzip_above: number | null; body_bytes: number; gzip: boolean }[] }>("gzip");
  for (const { gzip_above, body_bytes, gzip } of cases) {
    assert.equal(isCompressed(body_bytes, gzip_above), gzip, `${body_bytes} above ${gzip_above}`);
  }
});
