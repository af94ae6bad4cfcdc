/** A server on loopback that plays answers, for what the real one cannot be made to answer. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

/** One answer, as `sdk/vectors/README.md` describes it. */
export type Answer =
  | { status: number; headers?: Record<string, string>; body?: unknown; text?: string }
  | "cut"
  | "cut the answer"
  | "silence";

/** What came. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly bytes: Buffer;
  readonly json: never;
}

/** Plays a list of answers, one for each request, or makes them. */
export class Scripted {
  readonly asked: Asked[] = [];
  /** Requests for which there was no answer left. */
  unexpected = 0;
  readonly #answers: Answer[];
  readonly #make: ((asked: Asked) => Answer) | null;
  readonly #server: Server;

  private constructor(answers: Answer[] | ((asked: Asked) => Answer)) {
    this.#answers = Array.isArray(answers) ? [...answers] : [];
    this.#make = Array.isArray(answers) ? null : answers;
    this.#server = createServer((request, response) => void this.#play(request, response));
  }

  static async start(answers: Answer[] | ((asked: Asked) => Answer)): Promise<Scripted> {
    const scripted = new Scripted(answers);
    await new Promise<void>((resolve) => scripted.#server.listen(0, "127.0.0.1", resolve));
    return scripted;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** All answers were played. */
  get isOver(): boolean {
    return this.#answers.length === 0;
  }

  /** More of them. */
  add(...answers: Answer[]): void {
    this.#answers.push(...answers);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #play(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) {
        chunks.push(chunk as Buffer);
      }
    } catch {
      return;
    }
    const bytes = Buffer.concat(chunks);
    const plain = request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
    const asked: Asked = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      bytes,
      json: (plain.length > 0 ? JSON.parse(plain.toString()) : null) as never,
    };
    this.asked.push(asked);
    const answer = this.#make?.(asked) ?? this.#answers.shift();
    if (answer === undefined) {
      this.unexpected += 1;
      request.socket.destroy();
    } else if (answer === "cut") {
      request.socket.destroy();
    } else if (answer === "cut the answer") {
      response.writeHead(202, { "Content-Length": 1_000 }).write('{"accepted":');
      setTimeout(() => request.socket.destroy(), 20);
    } else if (answer !== "silence") {
      const text = answer.text ?? (answer.body === undefined ? "" : JSON.stringify(answer.body));
      response.writeHead(answer.status, answer.headers).end(text);
    }
  }
}
