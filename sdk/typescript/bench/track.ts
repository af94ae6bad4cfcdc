/** How long `track` takes in the caller's turn: `npm run bench`. The server is the real one, or `REPUTE_URL`. */

import { ReputeTelemetry } from "../src/index.js";
import { PUBLISHABLE, Repute } from "../test/kit/program.js";
import { sleep } from "../test/kit/wait.js";

const ROUNDS = 40;
const EVENTS_A_ROUND = 5_000;

const server = await Repute.start();
const telemetry = new ReputeTelemetry({ url: server.url, apiKey: PUBLISHABLE, shutdownTimeoutMs: 60_000 });
const gates = [
  { name: "filesystem", passed: true, latency_ms: 0.21 },
  { name: "pii", passed: false, latency_ms: 0.4, reason: "email address detected in output" },
  { name: "content", passed: true, latency_ms: 0.1 },
];

const micros: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const startedMs = performance.now();
  for (let at = 0; at < EVENTS_A_ROUND; at += 1) {
    telemetry.track({ agent_id: `agent-${at % 50}`, tool: "send_mail", passed: at % 7 !== 0, gates, total_latency_ms: 0.8 });
  }
  micros.push(((performance.now() - startedMs) * 1_000) / EVENTS_A_ROUND);
  // The next round begins with room in the buffer.
  while (telemetry.books().waiting > 0) {
    await sleep(1);
  }
}
const books = await telemetry.shutdown();
await server.remove();

micros.sort((one, other) => one - other);
const rank = (share: number): string => (micros[Math.floor(share * (ROUNDS - 1))] as number).toFixed(2);
console.log(`track: median ${rank(0.5)} µs, slowest of ${ROUNDS} rounds ${rank(1)} µs; ${books.delivered} of ${books.tracked} delivered`);
