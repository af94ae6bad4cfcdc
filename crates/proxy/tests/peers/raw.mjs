// A client that keeps every byte: it sends messages one after another, each when the one before was answered.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The program that is tested. */
export const repute = process.env.REPUTE_BINARY ?? here("../../../../target/debug/repute");
/** The reference servers, and one of the stateless era. */
export const filesystem = (directory) => [process.execPath, here("node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"), directory];
export const everything = [process.execPath, here("node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "stdio"];
export const stateless = [process.execPath, here("stateless_server.mjs")];

/** A server's command, behind the proxy. */
export const proxied = (server, flags = [], log = "/nowhere") => [repute, "proxy", "--log-dir", log, ...flags, "--", ...server];

/** The messages with which a client of the era with sessions begins. */
export const hello = (capabilities = {}) => [
  { id: 0, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities, clientInfo: { name: "raw", version: "1" } } },
  { method: "notifications/initialized" },
];

export const call = (id, name, args = {}, more = {}) => ({ id, method: "tools/call", params: { name, arguments: args, ...more } });

/** Talks with a server to its end: all that it wrote, and how it ended. `reply` answers the server's own requests. */
export async function talk([command, ...args], messages, reply = () => ({})) {
  const server = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  let [out, errors, rest] = ["", "", ""];
  const waiting = new Map();
  const answers = [];
  const ended = new Promise((resolve) => server.on("close", (code, signal) => resolve({ code, signal })));
  const send = (message) => server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  server.stderr.on("data", (data) => (errors += data));
  server.stdout.on("data", (data) => {
    out += data;
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const message = JSON.parse(line);
      if (message.method && message.id !== undefined) send({ id: message.id, ...reply(message) });
      else if (message.id !== undefined) {
        answers.push(message);
        waiting.get(message.id)?.();
      }
    }
  });
  for (const message of messages) {
    const answered = message.id === undefined ? undefined : new Promise((resolve) => waiting.set(message.id, resolve));
    send(message);
    await Promise.race([answered, ended]);
  }
  server.stdin.end();
  return { out, errors, answers, ...(await ended) };
}
