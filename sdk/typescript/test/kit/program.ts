/** The real programs: the server, and the unkind proxy before it. */

import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../../../../", import.meta.url));

export const PUBLISHABLE = "pk_live_0123456789abcdefghijABCDEFGHIJxy";
export const SECRET = "sk_live_0123456789abcdefghijABCDEFGHIJxy";

function binary(): string {
  const path = process.env["REPUTE_BINARY"] ?? join(REPOSITORY, "target/debug/repute");
  if (!existsSync(path)) {
    throw new Error(`no server at ${path}: run \`cargo build -p repute\`, or name one in REPUTE_BINARY`);
  }
  return path;
}

/** Starts a program and waits for its `listening on http://…`. */
async function listening(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<[ChildProcess, string]> {
  const child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  const said: string[] = [];
  child.stderr.on("data", (text: Buffer) => said.push(text.toString()));
  const lines = createInterface(child.stdout);
  for await (const line of lines) {
    const url = /listening on (http:\S+)/.exec(line)?.[1];
    if (url !== undefined) {
      return [child, url];
    }
  }
  throw new Error(`${command} did not start: ${said.join("")}`);
}

function ended(child: ChildProcess): Promise<void> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once("exit", () => resolve()));
}

/** A server on a directory of its own. */
export class Repute {
  readonly #dir = mkdtempSync(join(tmpdir(), "repute-"));
  #child: ChildProcess | undefined;
  url = "http://127.0.0.1:0";

  static async start(): Promise<Repute> {
    const server = new Repute();
    await server.startAgain();
    return server;
  }

  /** On the same directory and the same port. */
  async startAgain(): Promise<void> {
    const listen = new URL(this.url).host;
    const args = ["serve", "--listen", listen === "127.0.0.1" ? "127.0.0.1:0" : listen, "--data-dir", this.#dir];
    const env = { REPUTE_BOOTSTRAP_PUBLISHABLE_KEY: PUBLISHABLE, REPUTE_BOOTSTRAP_SECRET_KEY: SECRET };
    [this.#child, this.url] = await listening(binary(), args, env);
  }

  get host(): string {
    return new URL(this.url).host;
  }

  /** As a power failure of the process would. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await (this.#child && ended(this.#child));
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** The bad network. */
export class UnkindProxy {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly url: string;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, url: string) {
    this.#child = child;
    this.#lines = lines;
    this.url = url;
  }

  /** With a probability for each fault; see `sdk/testing/unkind_proxy.py`. */
  static async start(upstream: string, faults: Record<string, number>): Promise<UnkindProxy> {
    const script = join(REPOSITORY, "sdk/testing/unkind_proxy.py");
    const args = [script, "--upstream", upstream, "--stdin"];
    for (const [name, value] of Object.entries(faults)) {
      args.push(`--${name}`, String(value));
    }
    const child = spawn("python3", args, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface(child.stdout as NodeJS.ReadableStream)[Symbol.asyncIterator]();
    const url = /listening on (http:\S+)/.exec((await lines.next()).value ?? "")?.[1];
    if (url === undefined) {
      throw new Error("the proxy did not start: is there a python3?");
    }
    return new UnkindProxy(child, lines, url);
  }

  /** How many requests came so far, and how many met each fault. */
  async counts(): Promise<Record<string, number>> {
    this.#child.stdin?.write("counts\n");
    return JSON.parse((await this.#lines.next()).value) as Record<string, number>;
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    await ended(this.#child);
  }
}
