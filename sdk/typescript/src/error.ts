/** What the calls of `ReputeClient` throw. */

/** One bad event of a batch, or one refused for its agent. */
export interface Detail {
  readonly event: number;
  readonly field: string;
  readonly rule: string;
}

/** The server refused a request, or did not answer it. */
export class ReputeError extends Error {
  override readonly name = "ReputeError";
  /** The HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** The server's machine code; `http_<status>` if it gave none, `no_answer` if there was no answer. */
  readonly code: string;
  /** What is wrong with which event. */
  readonly details: readonly Detail[];
  /** The server's log has more under this. */
  readonly requestId: string | null;
  /** When to try again, in milliseconds. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    told: {
      status: number;
      code: string;
      details?: readonly Detail[];
      requestId?: string | null;
      retryAfterMs?: number | null;
      cause?: unknown;
    },
  ) {
    super(message, { cause: told.cause });
    this.status = told.status;
    this.code = told.code;
    this.details = told.details ?? [];
    this.requestId = told.requestId ?? null;
    this.retryAfterMs = told.retryAfterMs ?? null;
  }
}
