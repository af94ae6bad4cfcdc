/** What a gate is. */

/** What a gate looks at. */
export interface EvaluationContext {
  agent_id?: string | null | undefined;
  tool?: string | null | undefined;
  input?: unknown;
  output?: unknown;
  /** The agent's own latency. */
  latency_ms?: number | null | undefined;
  /** The time that the request as a whole has. */
  tmax_ms?: number | null | undefined;
  /** When the request began, as `performance.now()` or `Date.now()` told it; default: when its evaluation begins. */
  started_at?: number | null | undefined;
  /** An id of your own; the engine makes one if there is none. */
  evaluation_id?: string | null | undefined;
}

/** What a gate says. */
export interface GateOutcome {
  passed: boolean;
  /** Why, in at most 500 characters. Never put a payload's text into it: it is sent. */
  reason?: string | undefined;
  /** It had nothing to look at. Never a failure. */
  skipped?: boolean | undefined;
  /** For you alone: never sent. */
  details?: unknown;
  /** There is no time for the gates after this one: they are left out, `pecta:deadline`. */
  endsRun?: boolean | undefined;
}

/** Looks at a context. `signal` is aborted when the time is over, or another gate failed. */
export type GateRun = (ctx: EvaluationContext, signal: AbortSignal) => GateOutcome | Promise<GateOutcome>;

/** A named check. */
export interface Gate {
  /** Unique in its engine. */
  readonly name: string;
  readonly run: GateRun;
  /** It decides whether the others run, so an engine takes it in the first place only. */
  readonly mustBeFirst?: boolean | undefined;
}

/** A gate's outcome with its name and run time. */
export interface GateResult {
  name: string;
  passed: boolean;
  /** The gate's own run time. */
  latency_ms: number;
  reason?: string;
  skipped?: boolean;
  details?: unknown;
}
