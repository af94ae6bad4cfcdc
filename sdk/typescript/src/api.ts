/** What goes in and out of the API, as `docs/api.md` describes it. Answers may gain fields. */

/** `new` 0 evaluations, `calibrating` 1–49, `active` 50–499, `mature` 500. */
export type Status = "new" | "calibrating" | "active" | "mature";

/** One gate's result. */
export interface ApiGate {
  name: string;
  passed: boolean;
  latency_ms: number;
  reason?: string;
  skipped?: boolean;
}

/** One gate's result, as the raw `ingest` takes it. */
export interface IngestGate {
  name: string;
  passed: boolean;
  latency_ms: number;
  reason?: string | null | undefined;
  skipped?: boolean | null | undefined;
}

/** An event as the raw `ingest` takes it. */
export interface IngestEvent {
  agent_id: string;
  tool?: string | null | undefined;
  passed: boolean;
  gates: readonly IngestGate[];
  total_latency_ms: number;
  timestamp?: string | Date | null | undefined;
  evaluation_id?: string | null | undefined;
}

/** The answer to an ingest. */
export interface IngestAnswer {
  accepted: number;
  reputation_updates: { agent_id: string; score: number; status: Status }[];
  duplicates?: number;
  late?: number;
  clamped?: number;
  rejected?: { event: number; field: string; rule: string }[];
}

/** What `evaluate` takes. */
export interface EvaluateRequest {
  agent_id: string;
  output: unknown;
  tool?: string | null | undefined;
  input?: unknown;
  /** The agent's own latency. */
  latency_ms?: number | null | undefined;
  /** Made by the client if it is not given, so that a repeat records nothing twice. */
  evaluation_id?: string | null | undefined;
}

/** The answer to an evaluate, for a failing verdict too. */
export interface EvaluateAnswer {
  evaluation_id: string;
  passed: boolean;
  /** `shadow`: it only watches, and is skipped. */
  gates: (ApiGate & { details?: unknown; shadow?: boolean })[];
  total_latency_ms: number;
  reputation: { score: number; lifecycle: Status; eval_count: number };
  duplicate?: boolean;
}

/** One agent's standing. */
export interface Reputation {
  agent_id: string;
  score: number;
  evaluations: number;
  passed: number;
  pass_rate: number;
  avg_latency_ms: number;
  streak: number;
  status: Status;
}

/** A stored event. */
export interface StoredEvent {
  id: string;
  evaluation_id: string | null;
  agent_id: string;
  tool_name: string | null;
  passed: boolean;
  gates: ApiGate[];
  total_latency_ms: number;
  reputation_score: number;
  created_at: string;
  received_at: string;
  source: "ingest" | "evaluate";
  key_id: string;
  signed: boolean;
  late: boolean;
  agent_latency_ms: number | null;
}

/** Which events. */
export interface EventsQuery {
  agent_id?: string | undefined;
  passed?: boolean | undefined;
  /** Inclusive. */
  from?: string | Date | undefined;
  /** Inclusive. */
  to?: string | Date | undefined;
  tool?: string | undefined;
  failed_gate?: string | undefined;
  /** Needs `agent_id`. */
  evaluation_id?: string | undefined;
  /** Events a page, 1 to 100; the iterator goes on over all pages. */
  limit?: number | undefined;
}

/** A known agent. */
export interface Agent {
  agent_id: string;
  first_seen: string;
  last_seen: string;
  eval_count: number;
  /** With `include: "reputation"`. */
  score?: number;
  /** With `include: "reputation"`. */
  status?: Status;
}

/** Which agents, and how. */
export interface AgentsQuery {
  order?: "last_seen" | "agent_id" | undefined;
  include?: "reputation" | undefined;
  /** Agents a page, 1 to 500; the iterator goes on over all pages. */
  limit?: number | undefined;
}

/** Who is asking. */
export interface WhoAmI {
  organisation: string;
  key_id: string;
  kind: "publishable" | "secret";
  scopes: ("ingest" | "evaluate" | "read" | "admin")[];
  limits: {
    /** `POST /v1/ingest` requests per rolling 60 seconds; 0 is no limit. */
    ingest_rate_limit: number;
    /** All other requests per rolling 60 seconds; 0 is no limit. */
    rate_limit: number;
    max_agents: number;
    max_body_bytes: number;
    require_signature: boolean;
    /** Whether the time of the signature must be signed, too; older servers do not say. */
    require_timestamp?: boolean;
  };
  /** The server's. */
  version: string;
}
