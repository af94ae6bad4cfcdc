/** Who owns files of a spool: a name, and a lock that tells whether its process lives. */

import * as fs from "node:fs";
import * as path from "node:path";
import { newEvaluationId } from "./evaluation_id.js";

/** The owners of this thread, so that a lock with our own process id can be told from one of an earlier process. */
const ours = new Set<string>();

/** This client's ownership of its files in a spool directory. The platform has no lock, so the file holds a process id. */
export class Owner {
  readonly name = newEvaluationId();
  readonly #path: string;

  constructor(dir: string) {
    this.#path = lockPath(dir, this.name);
    const temporary = `${this.#path}.tmp`;
    fs.writeFileSync(temporary, JSON.stringify({ pid: process.pid, started: startOf(process.pid) }), { mode: 0o600 });
    fs.renameSync(temporary, this.#path);
    ours.add(this.name);
  }

  /** Lets go: whoever sees files of this name from now on may take them. */
  release(): void {
    ours.delete(this.name);
    fs.rmSync(this.#path, { force: true });
  }
}

/** Whether the owner of that name still lives. */
export function lives(dir: string, name: string): boolean {
  if (ours.has(name)) {
    return true;
  }
  let lock: { pid?: unknown; started?: unknown };
  try {
    lock = JSON.parse(fs.readFileSync(lockPath(dir, name), "utf8"));
  } catch {
    return false;
  }
  if (typeof lock.pid !== "number" || !isRunning(lock.pid)) {
    return false;
  }
  const started = startOf(lock.pid);
  // In a container every process may get the same id as the one before it: its start tells them apart.
  return started === null || lock.started === null ? lock.pid !== process.pid : started === lock.started;
}

/** Removes what a dead owner leaves beside its files. */
export function forget(dir: string, name: string): void {
  fs.rmSync(lockPath(dir, name), { force: true });
}

function lockPath(dir: string, name: string): string {
  return path.join(dir, `${name}.lock`);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When that process started, in a form that only compares; null where the platform does not say. */
function startOf(pid: number): string | null {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field, the name, may hold blanks and brackets; the 20th after it is the start.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}
