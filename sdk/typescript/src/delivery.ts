/** The delivery machine: takes events from memory in batches, sends one at a time, and does what the answer says. */

import { isElsewhere, outcomeOf, type Outcome } from "./answer.js";
import { backoff } from "./backoff.js";
import { bodyOf } from "./body.js";
import type { Dropped, Ledger, State } from "./books.js";
import { Buffer, type Held } from "./buffer.js";
import type { Event } from "./event.js";
import { Flushes } from "./flushes.js";
import { Server, whyIn } from "./http.js";
import type { Listeners } from "./listeners.js";
import { MAX_BATCH, type Telemetry } from "./settings.js";
import type { Spool } from "./spool.js";

/** Failures in a row that open the circuit. */
const OPEN_AFTER = 5;

/** A paused client tries again after this, in case something was changed on the other side. */
const PAUSE_MS = 60_000;

/** The state of everything that is not delivered yet. Times are on the clock of `performance.now()`. */
export class Delivery {
  readonly #settings: Telemetry;
  readonly #ledger: Ledger;
  readonly #listeners: Listeners;
  readonly #spool: Spool | null;
  readonly #server: Server;
  #apiKey: string;
  #gzipAbove: number | null;

  readonly #buffer = new Buffer();
  /** Batches out of the buffer or a spool's file; the first is sent next, or is in flight. */
  #batches: Held[][] = [];
  #flight: AbortController | null = null;
  /** Events in memory that no file holds. */
  #held = 0;
  #serial = 0;

  readonly #flushes = new Flushes();
  /** Events up to this serial are sent without waiting for more. */
  #dueUpTo = 0;

  #failures = 0;
  #notBeforeMs = 0;
  /** Why, while it is. */
  #paused: string | null = null;
  #timer: NodeJS.Timeout | undefined;
  #nudged = false;
  #loading = false;
  #draining: { readonly untilMs: number; readonly done: () => void } | null = null;
  #closed = false;

  constructor(settings: Telemetry, ledger: Ledger, listeners: Listeners, spool: Spool | null) {
    this.#settings = settings;
    this.#ledger = ledger;
    this.#listeners = listeners;
    this.#spool = spool;
    this.#apiKey = settings.apiKey;
    this.#gzipAbove = settings.gzipAbove;
    // One batch in flight, and so one connection.
    this.#server = new Server(settings.url, 1);
  }

  /** Events in memory and in the spool. */
  get waiting(): number {
    return this.#held + (this.#spool?.waiting ?? 0);
  }

  /** Events that would be lost with the process. */
  get held(): number {
    return this.#held;
  }

  get state(): State {
    if (this.#closed) {
      return "closed";
    }
    if (this.#paused !== null) {
      return "paused";
    }
    return this.#failures >= OPEN_AFTER ? "open" : this.#failures > 0 ? "backoff" : "ready";
  }

  /** Takes an event into memory, or drops one if there is no room. */
  push(event: Event): void {
    const nowMs = performance.now();
    if (this.#held >= this.#settings.maxBuffer) {
      const oldest = this.#settings.whenFull === "drop_oldest" ? this.#buffer.take(1) : [];
      if (oldest.length === 0) {
        // Also where everything is in flight: what may have been delivered is not dropped.
        this.#ledger.drop(1, "full");
        this.#listeners.dropped([event], "full");
        return;
      }
      this.#drop(oldest, "full");
    }
    this.#held += 1;
    this.#serial += 1;
    this.#buffer.push({ event, sinceMs: nowMs, serial: this.#serial, spooled: null });
    // The first one starts the clocks; a full batch goes at once, unless the server asked for patience.
    const isFull = this.#buffer.length >= this.#settings.flushAt;
    if (this.#buffer.length === 1 || (isFull && nowMs >= this.#notBeforeMs)) {
      this.nudge();
    }
  }

  /** Looks soon, outside the caller's turn, whether there is something to do. */
  nudge(): void {
    if (!this.#nudged && this.#flight === null) {
      this.#nudged = true;
      setImmediate(() => {
        this.#nudged = false;
        this.#proceed();
      });
    }
  }

  setApiKey(key: string): void {
    this.#apiKey = key;
    if (this.#paused !== null) {
      this.#paused = null;
      this.#notBeforeMs = 0;
      this.nudge();
    }
  }

  /** Sends what is held now; whether all of it was delivered. */
  flush(timeoutMs: number): Promise<boolean> {
    if (this.#paused !== null && this.#held > 0) {
      return Promise.resolve(false);
    }
    this.#dueUpTo = this.#serial;
    this.nudge();
    return this.#flushes.wait(this.#serial, this.#held, timeoutMs);
  }

  /** Delivers what is held, as far as that is possible within the time; spools or drops the rest. */
  async drain(timeoutMs: number): Promise<void> {
    this.#putBack();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#draining = { untilMs: performance.now() + timeoutMs, done };
      this.nudge();
    });
    this.#draining = null;
    const rest = this.#takeAll();
    this.#leave(rest, "shutdown");
    await this.#spool?.idle();
  }

  /** The same without waiting for anything: the process ends now. */
  abandon(): void {
    const rest = this.#takeAll();
    if (this.#spool === null || rest.length === 0) {
      this.#drop(rest, "shutdown");
    } else {
      this.#held -= rest.length;
      this.#spool.putNow(rest.map(({ event }) => event));
    }
  }

  /** No request is made from now on. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#server.close();
  }

  /** Ends the request in flight and takes all events out of memory; gives those that no file holds. */
  #takeAll(): Held[] {
    const batches = this.#batches;
    this.#batches = [];
    this.#flight?.abort();
    this.#flight = null;
    return [...this.#unload(batches.flat()), ...this.#buffer.take(Infinity)];
  }

  #proceed(): void {
    if (this.#closed || this.#flight !== null || this.#loading) {
      return;
    }
    const nowMs = performance.now();
    this.#expire(nowMs);
    const drain = this.#draining;
    if (drain !== null && (this.#held === 0 || this.#paused !== null || this.#notBeforeMs > drain.untilMs)) {
      drain.done();
      return;
    }
    if (nowMs < this.#notBeforeMs) {
      this.#wakeAt(nowMs, this.#notBeforeMs);
      return;
    }
    if (this.#batches.length === 0 && this.#isDue(nowMs)) {
      this.#batches.push(this.#buffer.take(MAX_BATCH));
    }
    const batch = this.#batches[0];
    if (batch !== undefined) {
      void this.#send(batch);
    } else if (this.#spool?.hasFiles && (this.#failures === 0 || this.#buffer.length === 0)) {
      void this.#load(this.#spool);
    } else {
      this.#wakeAt(nowMs, (this.#buffer.oldest?.sinceMs ?? Infinity) + this.#settings.flushIntervalMs);
    }
  }

  /** Whether the buffer is to be sent now. */
  #isDue(nowMs: number): boolean {
    const { oldest, length } = this.#buffer;
    return (
      oldest !== undefined &&
      (length >= this.#settings.flushAt ||
        this.#draining !== null ||
        oldest.serial <= this.#dueUpTo ||
        nowMs - oldest.sinceMs >= this.#settings.flushIntervalMs)
    );
  }

  /** Wakes at that moment, or when the oldest event becomes too old. An idle timer does not keep the process alive. */
  #wakeAt(nowMs: number, dueMs: number): void {
    const oldestMs = this.#batches[0]?.[0]?.sinceMs ?? this.#buffer.oldest?.sinceMs ?? Infinity;
    const atMs = Math.min(dueMs, oldestMs + this.#settings.maxAgeMs);
    clearTimeout(this.#timer);
    if (atMs < Infinity) {
      // A timer may fire a moment early; one more millisecond spares a second look.
      const waitMs = Math.min(Math.max(atMs - nowMs, 0) + 1, 2 ** 31 - 1);
      this.#timer = setTimeout(() => this.#proceed(), waitMs).unref();
    }
  }

  /** Takes out of memory what is too old. */
  #expire(nowMs: number): void {
    const beforeMs = nowMs - this.#settings.maxAgeMs;
    const old: Held[] = [];
    this.#batches = this.#batches
      .map((batch) => batch.filter((held) => held.sinceMs >= beforeMs || !old.push(held)))
      .filter((batch) => batch.length > 0);
    old.push(...this.#buffer.takeOlder(beforeMs));
    this.#leave(old, "too_old");
  }

  async #send(batch: Held[]): Promise<void> {
    const flight = new AbortController();
    this.#flight = flight;
    this.#ledger.requests += 1;
    this.#ledger.retries += this.#failures > 0 ? 1 : 0;
    let outcome: Outcome;
    try {
      const json = `{"events":${JSON.stringify(batch.map(({ event }) => event))}}`;
      const body = await bodyOf(json, this.#gzipAbove, this.#settings);
      const headers = { ...body.headers, Authorization: `Bearer ${this.#apiKey}` };
      const timeoutMs = this.#settings.requestTimeoutMs;
      const reply = await this.#server.request("POST", "/v1/ingest", headers, body.bytes, timeoutMs, flight.signal);
      outcome = outcomeOf(reply, batch.length, body.gzip, Date.now());
      if (reply.status >= 300 && reply.status < 400) {
        this.#listeners.warnOnce("redirect", `url: the server answers ${reply.status}; a key is never sent on elsewhere`);
      }
    } catch (error) {
      outcome = { is: "retry", afterMs: null, why: whyIn(error) };
    }
    // Where the flight was ended meanwhile, its events have already gone elsewhere.
    if (this.#flight === flight) {
      this.#flight = null;
      this.#apply(outcome, batch);
      this.#proceed();
    }
  }

  #apply(outcome: Outcome, batch: Held[]): void {
    if (outcome.is === "retry") {
      this.#failures += 1;
      const { retryBaseMs, retryMaxMs } = this.#settings;
      const waitMs = outcome.afterMs ?? backoff(this.#failures, retryBaseMs, retryMaxMs);
      this.#notBeforeMs = performance.now() + waitMs;
      this.#putBack();
      if (this.#failures === OPEN_AFTER) {
        this.#listeners.warn(`open: ${OPEN_AFTER} requests in a row failed at ${this.#settings.url}: ${outcome.why}; events wait while this process lives`);
      }
      return;
    }
    this.#failures = 0;
    if (outcome.is === "pause") {
      this.#notBeforeMs = performance.now() + PAUSE_MS;
      this.#putBack();
      this.#flushes.giveUp();
      const why = this.#whyPaused(outcome.status, outcome.code);
      if (this.#paused !== why) {
        this.#paused = why;
        this.#listeners.warn(`paused: ${why}; events wait while this process lives, and it is tried again each minute`);
      }
      return;
    }
    this.#paused = null;
    this.#batches.shift();
    switch (outcome.is) {
      case "delivered":
        this.#delivered(outcome, batch);
        break;
      case "refused": {
        const refused = batch.filter((_, place) => outcome.places.has(place));
        const rest = batch.filter((_, place) => !outcome.places.has(place));
        this.#batches.unshift(...(rest.length > 0 ? [rest] : []));
        this.#settle(refused, false);
        this.#ledger.refuse(refused.length, outcome.code);
        this.#listeners.refused(refused.map(({ event }) => event), outcome.code);
        break;
      }
      case "halve": {
        const half = Math.ceil(batch.length / 2);
        this.#batches.unshift(batch.slice(0, half), batch.slice(half));
        break;
      }
      case "plain":
        this.#gzipAbove = null;
        this.#batches.unshift(batch);
        this.#listeners.warnOnce("gzip", "gzip: the server does not read it; bodies go plain from now on");
        break;
    }
  }

  #whyPaused(status: number, code: string): string {
    if (isElsewhere(status)) {
      return `it is no Repute at ${this.#settings.url}: HTTP ${status}`;
    }
    if (code === "hmac_missing") {
      return `the organisation requires signatures (${code}): set secretKey, and signTime if their time is required, too`;
    }
    return `the server refuses the key (${code})`;
  }

  #delivered(told: { duplicates: number; late: number; clamped: number }, batch: Held[]): void {
    this.#settle(batch, true);
    this.#ledger.delivered += batch.length;
    this.#ledger.duplicates += told.duplicates;
    this.#ledger.late += told.late;
    this.#ledger.clamped += told.clamped;
    this.#listeners.delivered(batch.length);
    if (told.duplicates > 0) {
      this.#listeners.warnOnce("duplicates", "duplicates: the server had some events already; they count once");
    }
    if (told.late > 0) {
      this.#listeners.warnOnce("late", "late: some events are older than a full window and change no score");
    }
    if (told.clamped > 0) {
      this.#listeners.warnOnce("clamped", "clamped: some times are ahead of the server's; is this machine's clock right?");
    }
  }

  /** Events that a file holds go back to it, but for those in flight: memory is for new ones. */
  #putBack(): void {
    const inFlight = this.#flight === null ? [] : this.#batches.slice(0, 1);
    const others = this.#batches.slice(inFlight.length).map((batch) => this.#unload(batch));
    this.#batches = [...inFlight, ...others.filter((batch) => batch.length > 0)];
  }

  /** Gives back to the spool what its files hold; gives the others. */
  #unload(held: readonly Held[]): Held[] {
    for (const { spooled } of held) {
      if (spooled !== null) {
        this.#spool?.unload(spooled.file);
      }
    }
    return held.filter(({ spooled }) => spooled === null);
  }

  /** Brings a spool's file into memory. */
  async #load(spool: Spool): Promise<void> {
    this.#loading = true;
    const taken = await spool.take().catch(() => null);
    this.#loading = false;
    if (taken !== null) {
      const { file, events } = taken;
      const held = [...events].map(([line, event]): Held => {
        return { event, sinceMs: Infinity, serial: 0, spooled: { file, line } };
      });
      for (let from = 0; from < held.length; from += MAX_BATCH) {
        this.#batches.push(held.slice(from, from + MAX_BATCH));
      }
      if (this.#draining !== null) {
        this.#putBack();
      }
    }
    this.#proceed();
  }

  /** These leave memory undelivered: into the spool, if there is one. */
  #leave(held: readonly Held[], reason: Dropped): void {
    if (held.length === 0) {
      return;
    }
    if (this.#spool === null) {
      this.#drop(held, reason);
    } else {
      this.#settle(held, false);
      // What is on disk may come back at once, if the server answers.
      void this.#spool.put(held.map(({ event }) => event)).then(() => this.nudge(), () => {});
    }
  }

  #drop(held: readonly Held[], reason: Dropped): void {
    if (held.length > 0) {
      this.#settle(held, false);
      this.#ledger.drop(held.length, reason);
      this.#listeners.dropped(held.map(({ event }) => event), reason);
    }
  }

  /** These found an end as far as memory is concerned. */
  #settle(held: readonly Held[], delivered: boolean): void {
    for (const { spooled } of held) {
      if (spooled === null) {
        this.#held -= 1;
      } else {
        this.#spool?.settle(spooled.file, spooled.line);
      }
    }
    this.#flushes.left(held, delivered);
  }
}
