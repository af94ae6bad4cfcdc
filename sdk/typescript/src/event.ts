/** An event on its way to the server, and how what is tracked becomes a valid one. */

import type { Cut } from "./books.js";
import { newEvaluationId } from "./evaluation_id.js";
import { isTimestamp, timestampOf } from "./timestamp.js";

/** One gate's result, as it is sent. */
export interface EventGate {
  name: string;
  passed: boolean;
  latency_ms: number;
  reason?: string;
  skipped?: true;
}

/** One evaluation, as it is sent: nothing else leaves the process. */
export interface Event {
  agent_id: string;
  tool?: string;
  passed: boolean;
  gates: EventGate[];
  total_latency_ms: number;
  timestamp: string;
  evaluation_id: string;
}

/** What can be tracked: the result of an engine, or anything of its form. Other fields are left out. */
export interface Trackable {
  agent_id?: string | null | undefined;
  tool?: string | null | undefined;
  passed: boolean;
  gates: readonly TrackableGate[];
  total_latency_ms: number;
  timestamp?: string | Date | null | undefined;
  evaluation_id?: string | null | undefined;
}

/** One gate's result in what is tracked. */
export interface TrackableGate {
  name: string;
  passed: boolean;
  latency_ms: number;
  reason?: string | null | undefined;
  skipped?: boolean | null | undefined;
}

const MAX_NAME = 200;
/** The longest reason, in code points. */
export const MAX_REASON = 500;
const MAX_ID = 50;
const MAX_GATES = 50;
const MAX_TOTAL_LATENCY_MS = 60_000;
const MAX_GATE_LATENCY_MS = 1e9;

/** The valid event, or null where there is none; `cut` is told the name of each field that is changed. */
export function validEvent(
  tracked: Trackable,
  agentId: string | null,
  nowMs: number,
  cut: (field: Cut) => void,
): Event | null {
  if (typeof tracked !== "object" || tracked === null) {
    return null;
  }
  const agent = optional(tracked.agent_id) ?? agentId;
  const tool = optional(tracked.tool);
  const id = optional(tracked.evaluation_id) ?? newEvaluationId();
  const timestamp = timestampIn(tracked.timestamp, nowMs);
  if (typeof agent !== "string" || typeof id !== "string" || timestamp === null || typeof tracked.passed !== "boolean") {
    return null;
  }
  if (!isOptional(tool, "string") || !isOptional(tracked.total_latency_ms, "number")) {
    return null;
  }
  if (id.length > MAX_ID && codePoints(id) > MAX_ID) {
    return null;
  }
  const gates = validGates(tracked.gates, cut);
  if (gates === null) {
    return null;
  }
  const event: Event = {
    agent_id: validText(agent, MAX_NAME, "agent_id", cut),
    passed: tracked.passed,
    gates,
    total_latency_ms: validLatency(tracked.total_latency_ms, MAX_TOTAL_LATENCY_MS, "total_latency_ms", cut),
    timestamp,
    evaluation_id: validText(id, MAX_ID, "evaluation_id", cut),
  };
  if (typeof tool === "string") {
    event.tool = validText(tool, MAX_NAME, "tool", cut);
  }
  return event;
}

/** Whether it is of that type, or absent. */
function isOptional(value: unknown, type: "string" | "number" | "boolean"): boolean {
  return value === undefined || value === null || typeof value === type;
}

/** Null and the empty text are absent. */
function optional(value: unknown): unknown {
  return value === null || value === "" ? undefined : value;
}

function timestampIn(given: unknown, nowMs: number): string | null {
  const value = optional(given);
  if (value === undefined) {
    return timestampOf(nowMs);
  }
  if (typeof value === "string") {
    return isTimestamp(value) ? value : null;
  }
  // A date beyond the years that the server takes is written in another form, which it does not take either.
  if (value instanceof Date && !Number.isNaN(value.getTime())) {
    const text = value.toISOString();
    return isTimestamp(text) ? text : null;
  }
  return null;
}

function validGates(gates: unknown, cut: (field: Cut) => void): EventGate[] | null {
  // Also those that will be left out.
  if (!Array.isArray(gates) || !gates.every(isGate)) {
    return null;
  }
  let chosen: readonly TrackableGate[] = gates;
  if (gates.length > MAX_GATES) {
    cut("gates");
    chosen = firstGates(gates);
  }
  const valid: EventGate[] = [];
  for (const gate of chosen) {
    const made: EventGate = {
      name: validText(gate.name, MAX_NAME, "gates.name", cut),
      passed: gate.passed,
      latency_ms: validLatency(gate.latency_ms, MAX_GATE_LATENCY_MS, "gates.latency_ms", cut),
    };
    if (gate.reason) {
      made.reason = validText(gate.reason, MAX_REASON, "gates.reason", cut);
    }
    if (gate.skipped === true) {
      made.skipped = true;
    }
    valid.push(made);
  }
  return valid;
}

function isGate(gate: TrackableGate | null | undefined): gate is TrackableGate {
  return (
    typeof gate === "object" &&
    gate !== null &&
    typeof gate.name === "string" &&
    typeof gate.passed === "boolean" &&
    isOptional(gate.latency_ms, "number") &&
    isOptional(gate.reason, "string") &&
    isOptional(gate.skipped, "boolean")
  );
}

/** The first 50; each failed gate beyond them replaces the last among them that did not fail. */
function firstGates(gates: readonly TrackableGate[]): readonly TrackableGate[] {
  const failed = (gate: TrackableGate | undefined): boolean => gate?.passed === false && gate.skipped !== true;
  const chosen = gates.slice(0, MAX_GATES);
  let place = chosen.length - 1;
  for (const gate of gates.slice(MAX_GATES).filter(failed)) {
    while (place >= 0 && failed(chosen[place])) {
      place -= 1;
    }
    if (place < 0) {
      break;
    }
    chosen[place] = gate;
    place -= 1;
  }
  return chosen;
}

/** An absent one is 0. */
function validLatency(latency: number | null | undefined, most: number, field: Cut, cut: (field: Cut) => void): number {
  const given = latency ?? 0;
  if (given >= 0 && given <= most) {
    return given;
  }
  cut(field);
  return given > most ? most : 0;
}

/** A text without lone surrogates and of at most `most` code points. */
function validText(text: string, most: number, field: Cut, cut: (field: Cut) => void): string {
  if (text.length <= most && text.isWellFormed()) {
    return text;
  }
  const whole = text.toWellFormed();
  const valid = whole.length <= most ? whole : firstCodePoints(whole, most);
  if (valid !== text) {
    cut(field);
  }
  return valid;
}

/** The first code points of a text, at most that many. */
export function firstCodePoints(text: string, most: number): string {
  let end = 0;
  for (let count = 0; count < most && end < text.length; count += 1) {
    end += (text.codePointAt(end) as number) > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) {
    count += 1;
  }
  return count;
}
