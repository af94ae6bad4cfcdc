/** `ReputeTelemetry`: what a program calls. */

import { Ledger, type Books, type Dropped } from "./books.js";
import { Delivery } from "./delivery.js";
import { validEvent, type Event, type Trackable } from "./event.js";
import { Listeners } from "./listeners.js";
import * as ending from "./process.js";
import { apiKeyOf, telemetryOf, ReputeSettingsError, type Telemetry, type TelemetrySettings } from "./settings.js";
import { Spool } from "./spool.js";

/** How long a flush waits if it is not told. */
const FLUSH_TIMEOUT_MS = 10_000;

/** How often a client looks for what dead processes left in the spool. */
const TAKE_OVER_MS = 60_000;

/**
 * Sends verdicts in the background. `track` never blocks, never throws and does no I/O; the books say at any
 * moment where each event is.
 */
export class ReputeTelemetry {
  readonly #settings: Telemetry;
  readonly #ledger = new Ledger();
  readonly #listeners: Listeners;
  readonly #spool: Spool | null;
  readonly #delivery: Delivery;
  readonly #takeOver: NodeJS.Timeout | undefined;
  readonly #atEnd: ending.Ending;
  #end: Promise<Books> | undefined;

  /** Throws a `ReputeSettingsError` for a setting that cannot be used; nothing else here throws but `setApiKey`. */
  constructor(settings: TelemetrySettings = {}) {
    this.#settings = telemetryOf(settings);
    this.#listeners = new Listeners(settings);
    this.#spool = this.#openSpool();
    this.#delivery = new Delivery(this.#settings, this.#ledger, this.#listeners, this.#spool);
    if (this.#spool !== null) {
      void this.#takeOverFrom(this.#spool);
      this.#takeOver = setInterval(this.#takeOverFrom.bind(this, this.#spool), TAKE_OVER_MS).unref();
    }
    const [delivery, spool] = [this.#delivery, this.#spool];
    this.#atEnd = {
      get holds(): boolean {
        return delivery.held > 0;
      },
      drain: () => delivery.drain(this.#settings.shutdownTimeoutMs),
      abandon: () => {
        delivery.abandon();
        spool?.close();
      },
    };
    ending.opened(this.#atEnd);
  }

  /** Takes one verdict: the result of an engine, or anything of its form. */
  track(result: Trackable): void {
    let event: Event | null = null;
    let why: Dropped = "invalid";
    try {
      if (result.passed === true && this.#settings.sampleRate < 1 && Math.random() >= this.#settings.sampleRate) {
        return;
      }
      if (this.#end === undefined) {
        event = validEvent(result, this.#settings.agentId, Date.now(), this.#cut);
      } else {
        why = "closed";
      }
    } catch {
      // A getter of the caller's object threw.
    }
    this.#ledger.tracked += 1;
    if (event === null) {
      this.#ledger.drop(1, why);
      this.#listeners.dropped([result], why);
    } else {
      this.#delivery.push(event);
    }
  }

  /**
   * Sends what is held now. True when all of it was delivered; false when some was not, at the latest after the
   * timeout in milliseconds, and at once while the server refuses the key.
   */
  flush(timeoutMs: number = FLUSH_TIMEOUT_MS): Promise<boolean> {
    return this.#delivery.flush(timeoutMs);
  }

  /** Takes no more events, delivers what it can within `shutdownTimeoutMs`, spools or drops the rest; gives the last books. */
  shutdown(): Promise<Books> {
    this.#end ??= this.#shutDown();
    return this.#end;
  }

  /** Where each event is. */
  books(): Books {
    return this.#ledger.books(this.#delivery.waiting, this.#delivery.state);
  }

  /** Uses another key from now on; a paused client tries it at once. Throws a `ReputeSettingsError` if it is none. */
  setApiKey(key: string): void {
    this.#delivery.setApiKey(apiKeyOf(key));
  }

  async #shutDown(): Promise<Books> {
    clearInterval(this.#takeOver);
    await this.#delivery.drain(this.#settings.shutdownTimeoutMs);
    this.#delivery.close();
    await this.#spool?.idle();
    this.#spool?.close();
    ending.closed(this.#atEnd);
    return this.books();
  }

  #openSpool(): Spool | null {
    const { spoolDir, maxSpoolBytes } = this.#settings;
    if (spoolDir === null) {
      return null;
    }
    try {
      return new Spool(spoolDir, maxSpoolBytes, this.#ledger, this.#listeners);
    } catch (error) {
      throw new ReputeSettingsError("spoolDir", String(error));
    }
  }

  async #takeOverFrom(spool: Spool): Promise<void> {
    try {
      await spool.takeOver();
      this.#delivery.nudge();
    } catch {
      // The spool has warned of it; the next minute may be better.
    }
  }

  readonly #cut = this.#ledger.cut.bind(this.#ledger);
}
