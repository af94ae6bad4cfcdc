/** The caller's callbacks: whatever they throw is swallowed, and each warning of a kind is said once. */

import type { Dropped } from "./books.js";
import type { Event } from "./event.js";
import type { TelemetrySettings } from "./settings.js";

/** What a warning is about; of each kind there is one. */
export type Warning = "duplicates" | "late" | "clamped" | "gzip" | "redirect" | "spool";

type Callbacks = Pick<TelemetrySettings, "onDelivered" | "onRefused" | "onDropped" | "onWarning">;

/** Calls them. */
export class Listeners {
  readonly #callbacks: Callbacks;
  readonly #said = new Set<Warning>();

  constructor(callbacks: Callbacks) {
    this.#callbacks = callbacks;
  }

  delivered(count: number): void {
    swallow(() => this.#callbacks.onDelivered?.(count));
  }

  refused(events: readonly Event[], code: string): void {
    swallow(() => this.#callbacks.onRefused?.(events, code));
  }

  dropped(events: readonly unknown[], reason: Dropped): void {
    swallow(() => this.#callbacks.onDropped?.(events, reason));
  }

  /** Says it the first time. */
  warnOnce(about: Warning, text: string): void {
    if (!this.#said.has(about)) {
      this.#said.add(about);
      this.warn(text);
    }
  }

  warn(text: string): void {
    swallow(() => (this.#callbacks.onWarning ?? toConsole)(text));
  }
}

function toConsole(text: string): void {
  console.warn(`repute: ${text}`);
}

function swallow(call: () => unknown): void {
  try {
    const result = call();
    if (result instanceof Promise) {
      result.catch(() => {});
    }
  } catch {
    // A callback's failure is its own.
  }
}
