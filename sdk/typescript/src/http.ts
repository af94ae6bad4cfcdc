/** One server over HTTP/1.1: requests out, whole answers back. Redirects are not followed. */

import * as http from "node:http";
import * as https from "node:https";

/** A whole answer. */
export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** An answer larger than this is none. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

const USER_AGENT = "repute-typescript/0.1.0";

/** What an error of `request` says; where several addresses of a host failed it has no message. */
export function whyIn(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return message || code || String(error);
}

/** Kept connections to one server. */
export class Server {
  readonly #url: URL;
  readonly #module: typeof http | typeof https;
  readonly #agent: http.Agent;

  constructor(url: URL, maxSockets: number) {
    this.#url = url;
    this.#module = url.protocol === "https:" ? https : http;
    this.#agent = new this.#module.Agent({ keepAlive: true, maxSockets });
  }

  /** The answer, or an error if there is no whole one within the time or before the signal. */
  request(
    method: "GET" | "POST",
    path: string,
    headers: Record<string, string>,
    bytes: Uint8Array | null,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const options: http.RequestOptions = {
        method,
        agent: this.#agent,
        headers: { ...headers, "User-Agent": USER_AGENT, "Content-Length": bytes?.length ?? 0 },
      };
      if (signal) {
        options.signal = signal;
      }
      const request = this.#module.request(this.#url.origin + this.#url.pathname.replace(/\/$/, "") + path, options);
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      request.on("error", fail);
      request.on("response", (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > MAX_REPLY_BYTES) {
            request.destroy(new Error(`an answer of more than ${MAX_REPLY_BYTES} bytes`));
          }
        });
        // An answer that breaks off is an error here, not an end.
        response.on("error", fail);
        response.on("end", () => {
          clearTimeout(timer);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() });
        });
      });
      request.end(bytes ?? undefined);
    });
  }

  /** Ends all connections. */
  close(): void {
    this.#agent.destroy();
  }
}
