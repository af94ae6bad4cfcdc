import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createEngine, gates, type EvaluationContext, type Gate } from "../src/index.js";

interface Vector {
  options?: Record<string, unknown>;
  output?: unknown;
  input?: unknown;
  output_text?: string;
  input_text?: string;
  latency_ms?: number;
  tmax_ms?: number;
  elapsed_ms?: number;
  repeated_keys?: true;
  exact?: true;
  expect: { passed: boolean; skipped?: boolean; reason?: string; reason_begins?: string; where?: string };
}

const file = new URL("../../../../gates/gates.json", import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, "utf8")) as { vectors: Record<string, Vector[]> };

/** All gates of the file but `schema`: its vectors are JSON Schemas, and here a schema is anything with `safeParse`. */
const MAKERS: Record<string, (options: never) => Gate> = {
  latency: gates.latency,
  filesystem: gates.filesystem,
  pii: gates.pii,
  content: gates.content,
  secrets: gates.secrets,
  "rtb.tmax-guard": gates.rtb.tmaxGuard,
  "rtb.impid-match": gates.rtb.impidMatch,
  "rtb.adomain-verify": gates.rtb.adomainVerify,
  "rtb.bid-sanity": gates.rtb.bidSanity,
  "rtb.audience-safety": gates.rtb.audienceSafety,
  "rtb.bcat-compliance": gates.rtb.bcatCompliance,
};

test("every gate of the file is known here", () => {
  assert.deepEqual(Object.keys(vectors).filter((name) => !(name in MAKERS)), ["schema"]);
});

for (const [name, make] of Object.entries(MAKERS)) {
  test(`${name} says what its vectors say`, async (t) => {
    // A clock that stands still, so that no verdict depends on the machine.
    t.mock.method(performance, "now", () => 1_000_000);
    const cases = (vectors[name] ?? []).filter(({ repeated_keys, exact }) => !repeated_keys && !exact);
    assert.ok(cases.length >= 38);
    for (const vector of cases) {
      const gate = make(inCamelCase(vector.options ?? {}) as never);
      const { output_text, input_text, latency_ms, tmax_ms, elapsed_ms = 0, expect } = vector;
      const ctx: EvaluationContext = {
        output: output_text === undefined ? vector.output : JSON.parse(output_text),
        input: input_text === undefined ? vector.input : JSON.parse(input_text),
        latency_ms,
        tmax_ms,
        started_at: 1_000_000 - elapsed_ms,
      };
      const [result] = (await createEngine({ gates: [gate] }).evaluate(ctx)).gates;
      const told = JSON.stringify([vector, result], null, 1);
      assert.equal(result?.passed, expect.passed, told);
      assert.equal(result?.skipped ?? false, expect.skipped ?? false, told);
      if (expect.reason_begins === undefined) {
        assert.equal(result?.reason, expect.reason, told);
      } else {
        assert.ok(result?.reason?.startsWith(expect.reason_begins), told);
      }
      if (expect.where !== undefined) {
        assert.equal((result?.details as { where?: string } | undefined)?.where, expect.where, told);
      }
    }
  });
}

function inCamelCase(options: Record<string, unknown>): Record<string, unknown> {
  const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [camel(name), value]));
}
