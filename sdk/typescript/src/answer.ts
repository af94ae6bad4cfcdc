/** What an answer to a batch means. */

import type { Reply } from "./http.js";
import { retryAfter } from "./backoff.js";

/** What becomes of the batch. */
export type Outcome =
  | { readonly is: "delivered"; readonly duplicates: number; readonly late: number; readonly clamped: number }
  /** The events at these places are refused, the rest is sent again at once. */
  | { readonly is: "refused"; readonly places: ReadonlySet<number>; readonly code: string }
  | { readonly is: "halve"; readonly code: string }
  /** The server reads no gzip. */
  | { readonly is: "plain" }
  /** Events wait until the key, or the address, is another. */
  | { readonly is: "pause"; readonly status: number; readonly code: string }
  | { readonly is: "retry"; readonly afterMs: number | null; readonly why: string };

/** Reads an answer to a batch of that many events. */
export function outcomeOf(reply: Reply, events: number, gzip: boolean, nowMs: number): Outcome {
  const { status } = reply;
  const body = objectIn(reply.text);
  const code = codeOf(status, body);
  if (status >= 200 && status < 300) {
    if (status !== 202 && typeof body["accepted"] !== "number") {
      return retry(reply, code, nowMs);
    }
    return {
      is: "delivered",
      duplicates: countIn(body["duplicates"]),
      late: countIn(body["late"]),
      clamped: countIn(body["clamped"]),
    };
  }
  if (gzip && (status === 415 || (status === 400 && code === "bad_json"))) {
    return { is: "plain" };
  }
  if (status === 400 || (status === 403 && code === "agent_limit")) {
    const named = placesIn(body["details"], events);
    return { is: "refused", places: named.size > 0 ? named : everyPlace(events), code };
  }
  if (status === 401 || status === 403 || isElsewhere(status)) {
    return { is: "pause", status, code };
  }
  if (status === 413) {
    return events > 1 ? { is: "halve", code } : { is: "refused", places: everyPlace(1), code };
  }
  if (isTriedAgain(status)) {
    return retry(reply, code, nowMs);
  }
  return { is: "refused", places: everyPlace(events), code };
}

/** Whether it was no Repute that answered: each has a `POST /v1/ingest`. */
export function isElsewhere(status: number): boolean {
  return status === 404 || status === 405;
}

/** Whether the same request may fare better later. */
export function isTriedAgain(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** The code in an error's body, else one made of the status. */
export function codeOf(status: number, body: Record<string, unknown>): string {
  const code = body["code"];
  return typeof code === "string" && /^[a-z0-9_]{1,64}$/.test(code) ? code : `http_${status}`;
}

/** The object that a text is, else an empty one. */
export function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function retry({ status, headers }: Reply, code: string, nowMs: number): Outcome {
  const why = code === `http_${status}` ? `HTTP ${status}` : `HTTP ${status} ${code}`;
  return { is: "retry", afterMs: retryAfter(headers["retry-after"], nowMs), why };
}

function placesIn(details: unknown, events: number): Set<number> {
  const places = new Set<number>();
  for (const entry of Array.isArray(details) ? details : []) {
    const place: unknown = (entry as { event?: unknown } | null)?.event;
    if (Number.isInteger(place) && (place as number) >= 0 && (place as number) < events) {
      places.add(place as number);
    }
  }
  return places;
}

function everyPlace(events: number): Set<number> {
  return new Set(Array.from({ length: events }, (_, place) => place));
}

function countIn(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0;
}
