/** The built-in gates, under the names that programs use. */

import { content } from "./gates/content.js";
import { filesystem } from "./gates/filesystem.js";
import { latency } from "./gates/latency.js";
import { pii } from "./gates/pii.js";
import { schema } from "./gates/schema.js";

/** Each makes a gate for `createEngine`. */
export const gates = { latency, schema, filesystem, pii, content } as const;
