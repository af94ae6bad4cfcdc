import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { PectaTelemetry, ReputeClient, ReputeSettingsError, ReputeTelemetry, type TelemetrySettings } from "../src/index.js";
import { connectionOf, telemetryOf } from "../src/settings.js";
import { PUBLISHABLE as apiKey, SECRET } from "./kit/program.js";

const NAMES = ["REPUTE_URL", "REPUTE_API_KEY", "REPUTE_SECRET_KEY"];
const saved = new Map<string, string | undefined>();
beforeEach(() => {
  for (const name of NAMES) {
    saved.set(name, process.env[name]);
    delete process.env[name];
  }
});
afterEach(() => {
  for (const [name, value] of saved) {
    if (value === undefined) {
      delete process.env[name];
    } else {
      process.env[name] = value;
    }
  }
});

test("the defaults are those of every client", () => {
  assert.deepEqual(telemetryOf({ apiKey }), {
    url: new URL("http://127.0.0.1:8080"),
    apiKey,
    secretKey: null,
    signTime: false,
    requestTimeoutMs: 10_000,
    retryBaseMs: 250,
    retryMaxMs: 30_000,
    agentId: null,
    sampleRate: 1,
    flushIntervalMs: 5_000,
    flushAt: 100,
    maxBuffer: 10_000,
    whenFull: "drop_newest",
    gzipAbove: 1_024,
    maxAgeMs: 3_600_000,
    spoolDir: null,
    maxSpoolBytes: 67_108_864,
    shutdownTimeoutMs: 5_000,
  });
});

test("address and keys may come from the environment, and a setting wins", () => {
  process.env["REPUTE_URL"] = "https://repute.internal/base/";
  process.env["REPUTE_API_KEY"] = apiKey;
  process.env["REPUTE_SECRET_KEY"] = SECRET;
  const fromEnvironment = connectionOf({});
  assert.equal(fromEnvironment.url.href, "https://repute.internal/base");
  assert.equal(fromEnvironment.apiKey, apiKey);
  assert.equal(fromEnvironment.secretKey, SECRET);
  assert.equal(connectionOf({ apiKey: SECRET, url: "http://a" }).apiKey, SECRET);
});

test("a wrong setting is an error that names it", () => {
  const file = join(mkdtempSync(join(tmpdir(), "repute-")), "file");
  writeFileSync(file, "");
  const wrong: [keyof TelemetrySettings, unknown[]][] = [
    ["url", ["nonsense", "ftp://a", "http://a/v1", "http://a/v1/", "http://a?b", "http://a#b", "http://u:p@a"]],
    ["apiKey", ["", "key", "pk_test_0123456789abcdefghijABCDEFGHIJxy", "pk_live_ä", "pk_live_a b", 7]],
    ["secretKey", ["key", apiKey, 7]],
    ["signTime", [true, "true", 1]],
    ["agentId", ["a".repeat(201), 7]],
    ["sampleRate", [-0.1, 1.1, NaN, "1"]],
    ["flushIntervalMs", [0, NaN, Infinity, "1"]],
    ["flushAt", [0, 101, 1.5]],
    ["maxBuffer", [0, 1.5, NaN]],
    ["whenFull", ["block", "drop"]],
    ["gzipAbove", [-1, 1.5, NaN]],
    ["requestTimeoutMs", [0, NaN, 2 ** 31]],
    ["retryBaseMs", [-1, NaN]],
    ["retryMaxMs", [-1, NaN]],
    ["maxAgeMs", [0, NaN]],
    ["spoolDir", [7, file]],
    ["maxSpoolBytes", [0, NaN]],
    ["shutdownTimeoutMs", [-1, NaN, Infinity]],
  ];
  for (const [setting, values] of wrong) {
    for (const value of values) {
      const make = (): unknown => new ReputeTelemetry({ apiKey, [setting]: value } as TelemetrySettings);
      assert.throws(make, (error) => error instanceof ReputeSettingsError && error.setting === setting, `${setting}: ${String(value)}`);
      assert.throws(make, new RegExp(`^ReputeSettingsError: ${setting}: `));
    }
  }
  assert.throws(() => new ReputeClient({ apiKey, url: "nonsense" }), /url/);
});

test("without a key there is no client", () => {
  assert.throws(() => new ReputeTelemetry(), /apiKey: missing: give it, or set REPUTE_API_KEY/);
});

test("a message never shows a key", () => {
  assert.throws(() => new ReputeTelemetry({ apiKey: "secret-text" }), (error) => !String(error).includes("secret-text"));
});

test("the name of the original is the same class", () => {
  assert.equal(PectaTelemetry, ReputeTelemetry);
});
