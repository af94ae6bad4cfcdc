/** The settings of a client: their names, their defaults, and what is wrong with them. */

import type { Dropped } from "./books.js";
import type { Event } from "./event.js";

/** What happens to a new event when `maxBuffer` events are held. */
export type WhenFull = "drop_newest" | "drop_oldest";

/** Where the server is and who asks. */
export interface ConnectionSettings {
  /** The server's address without `/v1`; default: `REPUTE_URL`, else `http://127.0.0.1:8080`. */
  url?: string | undefined;
  /** A `pk_live_` or `sk_live_` key; default: `REPUTE_API_KEY`. */
  apiKey?: string | undefined;
  /** An `sk_live_` key that signs every body; default: `REPUTE_SECRET_KEY`, else none. */
  secretKey?: string | undefined;
  /**
   * Whether the time is signed along with each body, so that a captured request is of use for 300 s at most. Needs a `secretKey`, and a
   * Repute server: others would find the signature wrong.
   */
  signTime?: boolean | undefined;
  /** For one request, answer included, in milliseconds. */
  requestTimeoutMs?: number | undefined;
  /** Longest wait before the first retry, doubled with each further one, in milliseconds. */
  retryBaseMs?: number | undefined;
  /** No wait before a retry is longer, in milliseconds. */
  retryMaxMs?: number | undefined;
}

/** Settings of `ReputeTelemetry`. All have defaults but for the key. */
export interface TelemetrySettings extends ConnectionSettings {
  /** The agent of events that name none. */
  agentId?: string | undefined;
  /** The share of passed events that is kept, 0 to 1; a failed event is always kept. */
  sampleRate?: number | undefined;
  /** The oldest event waits no longer than this, in milliseconds. */
  flushIntervalMs?: number | undefined;
  /** Events that start a send at once, 1 to 100. */
  flushAt?: number | undefined;
  /** Events held in memory, those being sent included. */
  maxBuffer?: number | undefined;
  /** What happens to a new event when memory is full. */
  whenFull?: WhenFull | undefined;
  /** Bodies of more bytes are compressed; null: never. */
  gzipAbove?: number | null | undefined;
  /** An event not delivered within this leaves memory, in milliseconds. */
  maxAgeMs?: number | undefined;
  /** A directory for what could not be delivered. */
  spoolDir?: string | undefined;
  /** Bytes that the spool directory may hold. */
  maxSpoolBytes?: number | undefined;
  /** How long `shutdown`, and the end of the process, wait for what is left, in milliseconds. */
  shutdownTimeoutMs?: number | undefined;
  /** Told of every batch that is delivered. */
  onDelivered?: ((count: number) => void) | undefined;
  /** Told of events that the server will never take. */
  onRefused?: ((events: readonly Event[], code: string) => void) | undefined;
  /** Told of events that are given up; an invalid one is told as it was tracked. */
  onDropped?: ((events: readonly unknown[], reason: Dropped) => void) | undefined;
  /** Told once of what an operator should know; default: `console.warn`. */
  onWarning?: ((text: string) => void) | undefined;
}

/** A setting that cannot be used; the message begins with its name. */
export class ReputeSettingsError extends TypeError {
  override readonly name = "ReputeSettingsError";

  constructor(
    /** The setting's name. */
    readonly setting: string,
    rule: string,
  ) {
    super(`${setting}: ${rule}`);
  }
}

/** Connection settings in force. */
export interface Connection {
  readonly url: URL;
  readonly apiKey: string;
  readonly secretKey: string | null;
  readonly signTime: boolean;
  readonly requestTimeoutMs: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
}

/** Telemetry settings in force. */
export interface Telemetry extends Connection {
  readonly agentId: string | null;
  readonly sampleRate: number;
  readonly flushIntervalMs: number;
  readonly flushAt: number;
  readonly maxBuffer: number;
  readonly whenFull: WhenFull;
  readonly gzipAbove: number | null;
  readonly maxAgeMs: number;
  readonly spoolDir: string | null;
  readonly maxSpoolBytes: number;
  readonly shutdownTimeoutMs: number;
}

/** The longest time a timer of the platform can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A batch never holds more; the server's own limit. */
export const MAX_BATCH = 100;

/** Reads connection settings, or throws a `ReputeSettingsError`. */
export function connectionOf(settings: ConnectionSettings): Connection {
  const secretKey = secretKeyOf(settings.secretKey ?? process.env["REPUTE_SECRET_KEY"]);
  return {
    url: urlOf(settings.url ?? process.env["REPUTE_URL"] ?? "http://127.0.0.1:8080"),
    apiKey: apiKeyOf(settings.apiKey ?? process.env["REPUTE_API_KEY"]),
    secretKey,
    signTime: signTimeOf(settings.signTime ?? false, secretKey),
    requestTimeoutMs: within("requestTimeoutMs", settings.requestTimeoutMs ?? 10_000, 1, MAX_TIMER_MS),
    retryBaseMs: within("retryBaseMs", settings.retryBaseMs ?? 250, 0, MAX_TIMER_MS),
    retryMaxMs: within("retryMaxMs", settings.retryMaxMs ?? 30_000, 0, MAX_TIMER_MS),
  };
}

/** Reads telemetry settings, or throws a `ReputeSettingsError`. */
export function telemetryOf(settings: TelemetrySettings): Telemetry {
  const maxBuffer = whole("maxBuffer", settings.maxBuffer ?? 10_000, 1, Number.MAX_SAFE_INTEGER);
  return {
    ...connectionOf(settings),
    agentId: agentIdOf(settings.agentId),
    sampleRate: within("sampleRate", settings.sampleRate ?? 1, 0, 1),
    flushIntervalMs: within("flushIntervalMs", settings.flushIntervalMs ?? 5_000, 1, MAX_TIMER_MS),
    flushAt: whole("flushAt", settings.flushAt ?? MAX_BATCH, 1, MAX_BATCH),
    maxBuffer,
    whenFull: whenFullOf(settings.whenFull ?? "drop_newest"),
    gzipAbove:
      settings.gzipAbove === null
        ? null
        : whole("gzipAbove", settings.gzipAbove ?? 1_024, 0, Number.MAX_SAFE_INTEGER),
    maxAgeMs: within("maxAgeMs", settings.maxAgeMs ?? 3_600_000, 1, Number.MAX_SAFE_INTEGER),
    spoolDir: spoolDirOf(settings.spoolDir),
    maxSpoolBytes: whole("maxSpoolBytes", settings.maxSpoolBytes ?? 64 * 1024 * 1024, 1, Number.MAX_SAFE_INTEGER),
    shutdownTimeoutMs: within("shutdownTimeoutMs", settings.shutdownTimeoutMs ?? 5_000, 0, MAX_TIMER_MS),
  };
}

/** A key that the server may know, or throws. */
export function apiKeyOf(key: unknown): string {
  if (key === undefined || key === "") {
    throw new ReputeSettingsError("apiKey", "missing: give it, or set REPUTE_API_KEY");
  }
  if (typeof key !== "string" || !/^(pk|sk)_live_[\x21-\x7e]+$/.test(key)) {
    throw new ReputeSettingsError("apiKey", "not a key that begins with pk_live_ or sk_live_");
  }
  return key;
}

function secretKeyOf(key: unknown): string | null {
  if (key === undefined || key === "") {
    return null;
  }
  if (typeof key !== "string" || !/^sk_live_[\x21-\x7e]+$/.test(key)) {
    throw new ReputeSettingsError("secretKey", "not a key that begins with sk_live_");
  }
  return key;
}

function signTimeOf(signTime: unknown, secretKey: string | null): boolean {
  if (typeof signTime !== "boolean") {
    throw new ReputeSettingsError("signTime", "neither true nor false");
  }
  if (signTime && secretKey === null) {
    throw new ReputeSettingsError("signTime", "needs a secretKey to sign with");
  }
  return signTime;
}

function urlOf(text: unknown): URL {
  let url: URL;
  try {
    url = new URL(String(text));
  } catch {
    throw new ReputeSettingsError("url", "not an address like http://127.0.0.1:8080");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new ReputeSettingsError("url", "neither http nor https");
  }
  if (url.search || url.hash || url.username || url.password) {
    throw new ReputeSettingsError("url", "an address has no query, fragment or password");
  }
  url.pathname = url.pathname.replace(/\/+$/, "");
  if (url.pathname.endsWith("/v1")) {
    throw new ReputeSettingsError("url", "without /v1");
  }
  return url;
}

function agentIdOf(id: unknown): string | null {
  if (id === undefined || id === "") {
    return null;
  }
  if (typeof id !== "string" || [...id].length > 200) {
    throw new ReputeSettingsError("agentId", "not a text of 1 to 200 characters");
  }
  return id;
}

function whenFullOf(policy: unknown): WhenFull {
  if (policy === "drop_newest" || policy === "drop_oldest") {
    return policy;
  }
  const why = policy === "block" ? "track cannot block here; " : "";
  throw new ReputeSettingsError("whenFull", `${why}drop_newest or drop_oldest`);
}

function spoolDirOf(dir: unknown): string | null {
  if (dir === undefined || dir === "") {
    return null;
  }
  if (typeof dir !== "string") {
    throw new ReputeSettingsError("spoolDir", "not a path");
  }
  return dir;
}

function within(setting: string, number: unknown, least: number, most: number): number {
  if (typeof number !== "number" || !(number >= least && number <= most)) {
    throw new ReputeSettingsError(setting, `not a number from ${least} to ${most}`);
  }
  return number;
}

function whole(setting: string, number: unknown, least: number, most: number): number {
  if (!Number.isInteger(number)) {
    throw new ReputeSettingsError(setting, `not a whole number from ${least} to ${most}`);
  }
  return within(setting, number, least, most);
}
