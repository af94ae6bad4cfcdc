/** The built-in gates, under the names that programs use. */

import { content } from "./gates/content.js";
import { filesystem } from "./gates/filesystem.js";
import { latency } from "./gates/latency.js";
import { pii } from "./gates/pii.js";
import { rtb } from "./gates/rtb.js";
import { schema } from "./gates/schema.js";
import { secrets } from "./gates/secrets.js";

/** Each makes a gate for `createEngine`. `docs/gates.md` describes them. */
export const gates = { latency, schema, filesystem, pii, content, secrets, rtb } as const;
