// A server of the revision of 2026-07-28, made with the official package; it serves the era with sessions, too.

import { McpServer, inputRequired, acceptedContent } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { fromJsonSchema } from "@modelcontextprotocol/server";

const text = (text) => ({ content: [{ type: "text", text }] });

serveStdio(() => {
  const server = new McpServer({ name: "stateless", version: "1.0.0" }, { capabilities: { tools: {} } });
  const words = fromJsonSchema({ type: "object", properties: { text: { type: "string" } }, required: ["text"] });
  server.registerTool("say", { description: "Says it again", inputSchema: words }, async ({ text: said }) => text(said));
  server.registerTool("ask", { description: "Asks first" }, async (...given) => {
    const context = given.at(-1);
    const answer = acceptedContent(context.mcpReq.inputResponses, "name");
    if (answer) return text(`hello ${answer.name}`);
    const requestedSchema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
    return inputRequired({ inputRequests: { name: inputRequired.elicit({ message: "Who are you?", requestedSchema }) } });
  });
  return server;
});
