/** The engine: runs gates side by side within one budget of time. */

import { firstCodePoints, MAX_REASON } from "./event.js";
import { newEvaluationId } from "./evaluation_id.js";
import type { EvaluationContext, Gate, GateOutcome, GateResult } from "./gate.js";
import { timestampOf } from "./timestamp.js";

/** How an engine works. */
export interface EngineSettings {
  /** Their results stand in this order. */
  gates: readonly Gate[];
  /** Wall-clock budget for all gates together, in milliseconds; 50 by default. */
  timeout?: number | undefined;
  /** The first failure stops the rest; on by default. */
  failFast?: boolean | undefined;
}

/** A verdict. It can be tracked as it is. */
export interface EvaluationResult {
  agent_id?: string;
  tool?: string;
  /** Every gate passed or was skipped. */
  passed: boolean;
  gates: GateResult[];
  /** Wall clock. */
  total_latency_ms: number;
  timestamp: string;
  evaluation_id: string;
}

/** Evaluates contexts; it has no state and can be shared. */
export interface Engine {
  evaluate(ctx: EvaluationContext): Promise<EvaluationResult>;
}

/** More than an event can hold. */
const MAX_GATES = 50;
const MAX_NAME = 200;

/** Makes an engine; throws a `TypeError` for gates or a timeout that cannot be used. */
export function createEngine({ gates, timeout = 50, failFast = true }: EngineSettings): Engine {
  const own = checked(gates);
  if (typeof timeout !== "number" || !(timeout > 0 && timeout < 2 ** 31)) {
    throw new TypeError("timeout: not a number of milliseconds above 0");
  }
  return {
    async evaluate(ctx) {
      const startedMs = performance.now();
      const timestamp = timestampOf(Date.now());
      const results = await new Run(own, ctx, timeout, failFast).results();
      const result: EvaluationResult = {
        passed: results.every(({ passed, skipped }) => passed || skipped === true),
        gates: results,
        total_latency_ms: performance.now() - startedMs,
        timestamp,
        evaluation_id: ctx.evaluation_id || newEvaluationId(),
      };
      if (ctx.agent_id) {
        result.agent_id = ctx.agent_id;
      }
      if (ctx.tool) {
        result.tool = ctx.tool;
      }
      return result;
    },
  };
}

function checked(gates: readonly Gate[]): readonly Gate[] {
  if (!Array.isArray(gates)) {
    throw new TypeError("gates: not a list");
  }
  if (gates.length > MAX_GATES) {
    throw new TypeError(`gates: more than ${MAX_GATES}`);
  }
  const names = new Set<string>();
  for (const gate of gates as readonly Gate[]) {
    if (typeof gate?.name !== "string" || gate.name === "" || [...gate.name].length > MAX_NAME) {
      throw new TypeError(`gates: each has a name of 1 to ${MAX_NAME} characters`);
    }
    if (typeof gate.run !== "function") {
      throw new TypeError(`gates: ${gate.name} has no run function`);
    }
    if (gate.mustBeFirst === true && names.size > 0) {
      throw new TypeError(`gates: ${gate.name} must be the first`);
    }
    if (names.has(gate.name)) {
      throw new TypeError(`gates: two have the name ${gate.name}`);
    }
    names.add(gate.name);
  }
  return [...gates];
}

/** Why gates have no result of their own. */
type Ending = "pecta:timeout" | "pecta:aborted" | "pecta:deadline";

/** One evaluation. */
class Run {
  readonly #gates: readonly Gate[];
  readonly #ctx: EvaluationContext;
  readonly #timeoutMs: number;
  readonly #failFast: boolean;
  readonly #startedMs = performance.now();
  readonly #abort = new AbortController();
  readonly #results: (GateResult | undefined)[];
  #open: number;
  /** Gates up to here were started. */
  #begun = 0;
  /** Why nothing more is waited for. */
  #ending: Ending | null = null;
  #done: () => void = () => {};

  constructor(gates: readonly Gate[], ctx: EvaluationContext, timeoutMs: number, failFast: boolean) {
    this.#gates = gates;
    this.#ctx = { ...ctx, started_at: ctx.started_at ?? this.#startedMs };
    this.#timeoutMs = timeoutMs;
    this.#failFast = failFast;
    this.#results = gates.map(() => undefined);
    this.#open = gates.length;
  }

  async results(): Promise<GateResult[]> {
    this.#start();
    if (this.#open > 0 && this.#ending === null) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => this.#end("pecta:timeout"), this.#leftMs());
        this.#done = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#gates.map((_, place) => this.#results[place] ?? this.#unfinished(place));
  }

  /** Starts the gates in order, until one of them ends the run. */
  #start(): void {
    for (const [place, gate] of this.#gates.entries()) {
      if (this.#leftMs() <= 0) {
        this.#end("pecta:timeout");
      }
      if (this.#ending !== null) {
        return;
      }
      this.#begun = place + 1;
      const startedMs = performance.now();
      let outcome: GateOutcome | Promise<GateOutcome>;
      try {
        outcome = gate.run(this.#ctx, this.#abort.signal);
      } catch {
        this.#finish(place, startedMs, null);
        continue;
      }
      if (typeof (outcome as Promise<GateOutcome> | undefined)?.then === "function") {
        (outcome as Promise<GateOutcome>).then(
          (late) => this.#finish(place, startedMs, late),
          () => this.#finish(place, startedMs, null),
        );
      } else {
        this.#finish(place, startedMs, outcome as GateOutcome);
      }
    }
  }

  /** Takes one gate's outcome; null if it threw. */
  #finish(place: number, startedMs: number, outcome: GateOutcome | null): void {
    if (this.#ending === null && this.#leftMs() <= 0) {
      this.#end("pecta:timeout");
    }
    // An outcome that comes after the end comes too late.
    if (this.#ending !== null) {
      return;
    }
    const name = (this.#gates[place] as Gate).name;
    const result = resultOf(name, performance.now() - startedMs, outcome);
    this.#results[place] = result;
    this.#open -= 1;
    if (outcome?.endsRun === true) {
      this.#end("pecta:deadline");
    } else if (this.#failFast && !result.passed && result.skipped !== true) {
      this.#end("pecta:aborted");
    } else if (this.#open === 0) {
      this.#done();
    }
  }

  #end(ending: Ending): void {
    if (this.#ending === null) {
      this.#ending = ending;
      this.#abort.abort();
      this.#done();
    }
  }

  #unfinished(place: number): GateResult {
    const name = (this.#gates[place] as Gate).name;
    // Gates at work have failed with the time; with `failFast` that failure stops those that were not begun.
    const ending = this.#ending === "pecta:timeout" && this.#failFast && place >= this.#begun ? "pecta:aborted" : this.#ending;
    return ending === "pecta:timeout" || ending === null
      ? { name, passed: false, latency_ms: performance.now() - this.#startedMs, reason: "pecta:timeout" }
      : { name, passed: true, latency_ms: 0, reason: ending, skipped: true };
  }

  #leftMs(): number {
    return this.#startedMs + this.#timeoutMs - performance.now();
  }
}

function resultOf(name: string, latency_ms: number, outcome: GateOutcome | null): GateResult {
  if (typeof outcome !== "object" || outcome === null || typeof outcome.passed !== "boolean") {
    return { name, passed: false, latency_ms, reason: "pecta:error" };
  }
  const result: GateResult = { name, passed: outcome.passed, latency_ms };
  if (outcome.reason !== undefined) {
    result.reason = firstCodePoints(String(outcome.reason), MAX_REASON);
  }
  if (outcome.skipped !== undefined) {
    result.skipped = outcome.skipped === true;
  }
  if (outcome.details !== undefined) {
    result.details = outcome.details;
  }
  return result;
}
