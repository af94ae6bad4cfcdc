/** `schema`: the output, or the input, does not have the form that it should have. */

import type { Gate } from "../gate.js";
import { pointerTo, shown } from "./walk.js";

/** Anything that can check a value: a schema of zod, valibot's or another library's adapter, or your own. */
export interface Schema {
  safeParse(value: unknown): { success: boolean; error?: unknown };
}

/** What it takes. */
export interface SchemaOptions {
  /** What is checked. */
  target?: "output" | "input" | undefined;
  name?: string | undefined;
}

/** What is told of one issue. Its message is not: libraries put the value into it. */
interface Issue {
  readonly path: string;
  readonly code: string;
}

const MAX_ISSUES = 5;

/** Fails when `safeParse` does not succeed. */
export function schema(schema: Schema, { target = "output", name = "schema" }: SchemaOptions = {}): Gate {
  if (typeof schema?.safeParse !== "function") {
    throw new TypeError("schema: it has no safeParse");
  }
  if (target !== "output" && target !== "input") {
    throw new TypeError("target: output or input");
  }
  return {
    name,
    run(ctx) {
      const parsed = schema.safeParse(ctx[target]);
      if (typeof parsed?.success !== "boolean") {
        throw new TypeError("safeParse gave no verdict");
      }
      if (parsed.success) {
        return { passed: true };
      }
      const told = (parsed.error as { issues?: unknown } | undefined)?.issues;
      const all = Array.isArray(told) ? told : [];
      const issues = all.slice(0, MAX_ISSUES).map(issueOf);
      return { passed: false, reason: reasonOf(all.length, issues[0]), details: { issues, total: all.length } };
    },
  };
}

function reasonOf(total: number, first: Issue | undefined): string {
  const count = total === 1 ? "1 issue" : `${total} issues`;
  const where = first && `: ${first.path || "(root)"}: ${first.code}`;
  return `schema validation failed (${count})${where ?? ""}`;
}

function issueOf(issue: unknown): Issue {
  const { path, code } = (issue ?? {}) as { path?: unknown; code?: unknown };
  const steps = (Array.isArray(path) ? path : []).map((step) => (typeof step === "number" ? step : shown(String(step))));
  return {
    path: steps.reduce<string>((pointer, step) => pointerTo(pointer, String(step)), ""),
    code: typeof code === "string" && /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : "invalid",
  };
}
