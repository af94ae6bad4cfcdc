// The proxy between real clients and real servers: invisible, but where a gate blocks.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Client as ModernClient } from "@modelcontextprotocol/client";
import { StdioClientTransport as ModernTransport } from "@modelcontextprotocol/client/stdio";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { survey } from "./blocks.mjs";
import { call, everything, filesystem, hello, proxied, stateless, talk } from "./raw.mjs";

const SECRET = "AKIAIOSFODNN7QWERTYU"; // nobody's
const directory = mkdtempSync(join(tmpdir(), "proxy-peers-"));
after(() => rmSync(directory, { recursive: true }));
const file = (name, text) => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};
file("hello.txt", "caf\u00e9, \ud83e\udd80 and \\ \"quotes\"\r\n".repeat(300));
file("script.sh", "#!/usr/bin/env bash\nrm -rf build\ncat /etc/hosts\n");
file("picture.png", "not really");
file("empty.txt", "");

/** The decisions in a log. */
const decisions = (log) => {
  const lines = readdirSync(log).flatMap((name) => readFileSync(join(log, name), "utf8").trim().split("\n"));
  return lines.map((line) => JSON.parse(line));
};

/** Talks with and without the proxy: all must be the same, to the last byte. */
async function invisible(server, messages, reply) {
  const plain = await talk(server, messages, reply);
  for (const flags of [[], ["--fail-closed", "--gate-arguments"]]) {
    assert.deepEqual(await talk(proxied(server, flags), messages, reply), plain);
  }
  return plain;
}

test("the filesystem server is the same behind the proxy", async () => {
  const paths = ["hello.txt", "script.sh", "empty.txt"].map((name) => join(directory, name));
  const { out, code, answers } = await invisible(filesystem(directory), [
    ...hello(),
    { id: 1, method: "tools/list" },
    ...paths.map((path, index) => call(`read ${index}`, "read_text_file", { path })),
    call(10, "read_media_file", { path: join(directory, "picture.png") }),
    call(11, "read_multiple_files", { paths }),
    call(12, "list_directory", { path: directory }),
    call(13, "directory_tree", { path: directory }),
    call(14, "search_files", { path: directory, pattern: "**/*.txt" }),
    call(15, "list_allowed_directories"),
    call(16, "read_text_file", { path: join(directory, "missing") }),
    call(17, "no_such_tool"),
    { id: 18, method: "no/such/method" },
    { id: 19, method: "ping" },
  ]);
  assert.equal(code, 0);
  assert.equal(answers.length, 15);
  assert.match(out, /usr\/bin\/env/);
});

test("the everything server is the same behind the proxy, with its own requests and progress", async () => {
  const capabilities = { sampling: {}, elicitation: {} };
  const reply = ({ method }) =>
    ({
      "sampling/createMessage": { result: { role: "assistant", content: { type: "text", text: "sampled" }, model: "m" } },
      "elicitation/create": { result: { action: "accept", content: { name: "Ann", check: true } } },
    })[method] ?? { error: { code: -32601, message: "no" } };
  const { out, code } = await invisible(
    everything,
    [
      ...hello(capabilities),
      { id: 1, method: "prompts/list" },
      { id: 2, method: "prompts/get", params: { name: "simple-prompt" } },
      { id: 3, method: "resources/templates/list" },
      call(4, "echo", { message: "hello" }),
      call("4", "get-sum", { a: 1, b: 2.5 }),
      call(5, "get-tiny-image"),
      call(6, "get-annotated-message", { messageType: "error", includeImage: true }),
      call(7, "get-resource-links", { count: 3 }),
      call(8, "get-structured-content", { location: "Chicago" }),
      call(9, "trigger-long-running-operation", { duration: 0.2, steps: 4 }, { _meta: { progressToken: "p" } }),
      call(10, "get-sum", { a: "no number" }),
      { method: "notifications/cancelled", params: { requestId: 99 } },
      { id: 11, method: "ping" },
    ],
    reply,
  );
  assert.equal(code, 0);
  assert.equal(out.match(/notifications\/progress/g).length, 4);
});

test("a server of the stateless revision is the same behind the proxy", async () => {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": { elicitation: {} },
  };
  const inputResponses = { name: { action: "accept", content: { name: "Ann" } } };
  const { answers } = await invisible(stateless, [
    { id: "d", method: "server/discover", params: { _meta } },
    { id: 1, method: "tools/list", params: { _meta } },
    call(2, "say", { text: "again" }, { _meta }),
    call(3, "ask", {}, { _meta }),
    call(4, "ask", {}, { _meta, inputResponses }),
  ]);
  assert.equal(answers[3].result.resultType, "input_required");
  assert.deepEqual(answers[4].result.content, [{ type: "text", text: "hello Ann" }]);
});

/** What an official client sees of the everything server. */
async function seen(command, args) {
  const client = new Client({ name: "peer", version: "1" }, { capabilities: { sampling: {}, roots: {}, elicitation: {} } });
  client.setRequestHandler(CreateMessageRequestSchema, () => ({ role: "assistant", content: { type: "text", text: "sampled" }, model: "m" }));
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [] }));
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: { name: "Ann" } }));
  await client.connect(new StdioClientTransport({ command, args, stderr: "ignore" }));
  const { tools } = await client.listTools();
  const has = (name) => tools.some((tool) => tool.name === name);
  const results = [client.getServerVersion(), tools];
  const calls = [
    ["echo", { message: "m" }],
    ["get-sum", { a: 2, b: 3 }],
    ["trigger-sampling-request", { prompt: "p" }],
    ["trigger-elicitation-request", {}],
    ["get-roots-list", {}],
  ];
  for (const [name, given] of calls) {
    if (has(name)) results.push(name, await client.callTool({ name, arguments: given }));
  }
  await client.close();
  return results;
}

test("the official client sees the same", async () => {
  const [command, ...args] = everything;
  const [proxy, ...rest] = proxied(everything, ["--fail-closed"]);
  const plain = await seen(command, args);
  assert.ok(plain.includes("trigger-sampling-request"), "the server's own requests are among it");
  assert.deepEqual(await seen(proxy, rest), plain);
});

test("the official client gets an error with the gates where one blocks", async () => {
  const log = join(directory, "log");
  const path = file("key.txt", `key = ${SECRET}\n`);
  const [command, ...args] = proxied(filesystem(directory), ["--gate-arguments"], log);
  const client = new Client({ name: "peer", version: "1" });
  await client.connect(new StdioClientTransport({ command, args, stderr: "ignore" }));
  await assert.rejects(client.callTool({ name: "read_text_file", arguments: { path } }), (error) => {
    assert.equal(error.code, -32000);
    assert.deepEqual(error.data.gates, [{ name: "secrets", reason: "AWS access key detected in output" }]);
    return true;
  });
  await assert.rejects(client.callTool({ name: "read_text_file", arguments: { path: "/etc/passwd" } }), (error) => error.data.of === "arguments");
  await client.callTool({ name: "read_text_file", arguments: { path: join(directory, "hello.txt") } });
  await client.close();
  const told = decisions(log).map(({ agent_id, tool, of, decision }) => [agent_id, tool, of, decision]);
  const line = (of, decision) => ["secure-filesystem-server", "read_text_file", of, decision];
  assert.deepEqual(told, [
    line("arguments", "passed"),
    line("result", "blocked"),
    line("arguments", "blocked"),
    line("arguments", "passed"),
    line("result", "passed"),
  ]);
});

test("the official client of the stateless revision is asked, answers, and is kept from a secret", async () => {
  const log = join(directory, "stateless-log");
  const [command, ...args] = proxied(stateless, [], log);
  const client = new ModernClient(
    { name: "peer", version: "1" },
    { capabilities: { elicitation: {} }, versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Ann" } }));
  await client.connect(new ModernTransport({ command, args, stderr: "ignore" }));
  const asked = await client.callTool({ name: "ask", arguments: {} });
  assert.deepEqual(asked.content, [{ type: "text", text: "hello Ann" }]);
  await assert.rejects(client.callTool({ name: "say", arguments: { text: SECRET } }), (error) => error.code === -32000);
  await client.close();
  // The question is no evaluation.
  const told = decisions(log).map(({ agent_id, tool, decision }) => [agent_id, tool, decision]);
  assert.deepEqual(told, [["stateless", "ask", "passed"], ["stateless", "say", "blocked"]]);
});

test("the output of a task of the everything server is judged", async () => {
  const log = join(directory, "task-log");
  const capabilities = { tasks: { list: {}, cancel: {} } };
  const begin = call(1, "simulate-research-query", { topic: "crabs" }, { task: { ttl: 60_000 } });
  // The id of a task is known only when it has begun.
  const [command, ...args] = proxied(everything, [], log);
  const server = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
  const waiting = new Map();
  let rest = "";
  server.stdout.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    for (const message of lines.map((line) => JSON.parse(line))) waiting.get(message.id)?.(message);
  });
  const ask = (message) =>
    new Promise((resolve) => {
      waiting.set(message.id, resolve);
      server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    });
  const [initialize, initialized] = hello(capabilities);
  await ask(initialize);
  server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...initialized })}\n`);
  const { taskId } = (await ask(begin)).result.task;
  const { result } = await ask({ id: 2, method: "tasks/result", params: { taskId } });
  assert.match(JSON.stringify(result.content), /crabs/);
  // It keeps the task for minutes, also when nobody is there any more: clients end it.
  server.kill("SIGTERM");
  await new Promise((resolve) => server.on("close", resolve));
  const told = decisions(log).map(({ tool, of, decision }) => [tool, of, decision]);
  assert.deepEqual(told, [["simulate-research-query", "result", "passed"]]);
});

test("at most 1 % of what the reference servers give is blocked", async () => {
  const { calls, failed, blocked } = await survey();
  assert.ok(calls >= 1_000 && failed < calls / 100, `${calls} calls, ${failed} failed`);
  assert.ok(blocked.length <= calls / 100, `${blocked.length} of ${calls}: ${blocked.slice(0, 5)}`);
});
