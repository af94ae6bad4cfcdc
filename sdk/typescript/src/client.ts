/** `ReputeClient`: typed calls for the whole API. These throw. */

import { codeOf, isTriedAgain, objectIn } from "./answer.js";
import type {
  Agent,
  AgentsQuery,
  EvaluateAnswer,
  EvaluateRequest,
  EventsQuery,
  IngestAnswer,
  IngestEvent,
  Reputation,
  StoredEvent,
  WhoAmI,
} from "./api.js";
import { backoff, retryAfter } from "./backoff.js";
import { bodyOf } from "./body.js";
import { ReputeError, type Detail } from "./error.js";
import { newEvaluationId } from "./evaluation_id.js";
import { Server, whyIn, type Reply } from "./http.js";
import { connectionOf, type Connection, type ConnectionSettings } from "./settings.js";

/** Tries after the first one, where a repeat does no harm. */
const RETRIES = 3;

const MAX_SOCKETS = 16;

/** One server, one key. */
export class ReputeClient {
  readonly #connection: Connection;
  readonly #server: Server;

  /** Throws a `ReputeSettingsError` for a setting that cannot be used. */
  constructor(settings: ConnectionSettings = {}) {
    this.#connection = connectionOf(settings);
    this.#server = new Server(this.#connection.url, MAX_SOCKETS);
  }

  /** Runs the server's gates on an output and records the verdict. Throws a `TypeError` where there is no `output`; null is one. */
  async evaluate(request: EvaluateRequest): Promise<EvaluateAnswer> {
    if (request.output === undefined) {
      throw new TypeError("output: missing; null would be judged, and recorded as a failure");
    }
    // The same id at every try, so that the verdict is recorded once.
    const evaluation_id = request.evaluation_id || newEvaluationId();
    return this.#call("POST", "/v1/evaluate", { ...request, evaluation_id }, RETRIES);
  }

  /**
   * Sends 1 to 100 events once, without cutting anything; fields that are not of the API stay here. Most programs
   * want `ReputeTelemetry`.
   */
  async ingest(events: readonly IngestEvent[]): Promise<IngestAnswer> {
    return this.#call("POST", "/v1/ingest", { events: events.map(sentOf) }, 0);
  }

  /** Stored events, newest first, over all pages. */
  async *events(query: EventsQuery = {}): AsyncGenerator<StoredEvent, void, undefined> {
    yield* this.#pages<StoredEvent>("/v1/events", { limit: 100, ...query }, "events");
  }

  /** One stored event. */
  async event(id: string): Promise<StoredEvent> {
    return this.#get(`/v1/events/${encodeURIComponent(id)}`);
  }

  /** One agent's standing; an agent never seen has zeros. Throws a `TypeError` for an empty id. */
  async reputation(agentId: string): Promise<Reputation> {
    if (!agentId) {
      throw new TypeError("agent_id: missing or empty");
    }
    if (agentId === "." || agentId === "..") {
      // In a path these would be steps of it.
      return (await this.reputations([agentId]))[0] as Reputation;
    }
    return this.#get(`/v1/reputation/${encodeURIComponent(agentId)}`);
  }

  /** The standing of 1 to 100 agents, in the order asked. */
  async reputations(agentIds: readonly string[]): Promise<Reputation[]> {
    const query = new URLSearchParams(agentIds.map((id): [string, string] => ["agent_id", id]));
    return (await this.#get<{ reputations: Reputation[] }>(`/v1/reputation?${query}`)).reputations;
  }

  /** Known agents, over all pages. */
  async *agents(query: AgentsQuery = {}): AsyncGenerator<Agent, void, undefined> {
    yield* this.#pages<Agent>("/v1/agents", { limit: 500, ...query }, "agents");
  }

  /** Makes an agent known before its first event. */
  async registerAgent(agentId: string): Promise<{ agent_id: string; registered: boolean }> {
    return this.#call("POST", "/v1/agents", { agent_id: agentId }, 0);
  }

  /** Who is asking, and what they may do. */
  async whoami(): Promise<WhoAmI> {
    return this.#get("/v1/whoami");
  }

  /** Ends idle connections; they do not keep the process alive in any case. */
  close(): void {
    this.#server.close();
  }

  async *#pages<Item>(path: string, query: object, field: string): AsyncGenerator<Item, void, undefined> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) {
        parameters.set(name, value instanceof Date ? value.toISOString() : String(value));
      }
    }
    for (;;) {
      const page = await this.#get<Record<string, unknown>>(`${path}?${parameters}`);
      yield* page[field] as Item[];
      // Only its absence means the end: a page with a filter may be short, or empty.
      if (typeof page["next_cursor"] !== "string") {
        return;
      }
      parameters.set("cursor", page["next_cursor"]);
    }
  }

  #get<Answer>(path: string): Promise<Answer> {
    return this.#call("GET", path, null, RETRIES);
  }

  async #call<Answer>(method: "GET" | "POST", path: string, body: object | null, retries: number): Promise<Answer> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#once<Answer>(method, path, body);
      } catch (error) {
        const again = error instanceof ReputeError && (error.status === 0 || isTriedAgain(error.status));
        if (!again || failures > retries) {
          throw error;
        }
        const { retryBaseMs, retryMaxMs } = this.#connection;
        await sleep(error.retryAfterMs ?? backoff(failures, retryBaseMs, retryMaxMs));
      }
    }
  }

  async #once<Answer>(method: "GET" | "POST", path: string, body: object | null): Promise<Answer> {
    const { apiKey, requestTimeoutMs } = this.#connection;
    const sent = body && (await bodyOf(JSON.stringify(body), null, this.#connection));
    const headers = { ...sent?.headers, Authorization: `Bearer ${apiKey}` };
    let reply: Reply;
    try {
      reply = await this.#server.request(method, path, headers, sent?.bytes ?? null, requestTimeoutMs);
    } catch (cause) {
      throw new ReputeError(`no answer: ${whyIn(cause)}`, { status: 0, code: "no_answer", cause });
    }
    if (reply.status < 200 || reply.status > 299) {
      throw refusalIn(reply);
    }
    try {
      return JSON.parse(reply.text) as Answer;
    } catch (cause) {
      throw new ReputeError("the answer is not JSON", { status: reply.status, code: "bad_answer", cause });
    }
  }
}

/** The API's fields alone: the result of an engine also has details, which never leave the process. */
function sentOf(event: IngestEvent): IngestEvent {
  const { agent_id, tool, passed, gates, total_latency_ms, timestamp, evaluation_id } = event;
  const sent = gates.map(({ name, passed, latency_ms, reason, skipped }) => ({ name, passed, latency_ms, reason, skipped }));
  return { agent_id, tool, passed, gates: sent, total_latency_ms, timestamp, evaluation_id };
}

function refusalIn(reply: Reply): ReputeError {
  const body = objectIn(reply.text);
  const sentence = typeof body["error"] === "string" ? body["error"] : `the server answered ${reply.status}`;
  const requestId = reply.headers["x-request-id"];
  return new ReputeError(sentence, {
    status: reply.status,
    code: codeOf(reply.status, body),
    details: Array.isArray(body["details"]) ? (body["details"] as Detail[]) : [],
    requestId: typeof requestId === "string" ? requestId : null,
    retryAfterMs: retryAfter(reply.headers["retry-after"], Date.now()),
  });
}

function sleep(waitMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, waitMs));
}
