/** Events on disk that outlive the process: files of JSON lines in a directory that processes share. */

import * as fs from "node:fs";
import * as path from "node:path";
import type { Ledger } from "./books.js";
import type { Event } from "./event.js";
import type { Listeners } from "./listeners.js";
import { forget, lives, Owner } from "./owner.js";

/** A file of ours. */
export interface SpoolFile {
  name: string;
  readonly bytes: number;
  /** Lines whose events found no end yet. */
  readonly left: Set<number>;
  /** Whether its events are in memory. */
  loaded: boolean;
}

const MAX_FILE_EVENTS = 1_000;
const FILE_BYTES = 1024 * 1024;
const NAME = /^(\d{13})-([A-Za-z0-9]+)-(\d+)\.jsonl$/;
const UNFINISHED = /^\d{13}-([A-Za-z0-9]+)-\d+\.jsonl\.tmp$/;

/** One client's part of a spool directory. */
export class Spool {
  readonly #dir: string;
  readonly #maxBytes: number;
  readonly #ledger: Ledger;
  readonly #listeners: Listeners;
  readonly #owner: Owner;
  /** Ours, oldest first. */
  #files: SpoolFile[] = [];
  #names = 0;
  /** Events on their way into a file; what is written goes from the front. */
  #unwritten: Event[] = [];
  /** Everything that touches the directory, one after the other. */
  #work: Promise<unknown> = Promise.resolve();

  /** Opens the directory, and makes it if need be; throws if that fails. */
  constructor(dir: string, maxBytes: number, ledger: Ledger, listeners: Listeners) {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#dir = dir;
    this.#maxBytes = maxBytes;
    this.#ledger = ledger;
    this.#listeners = listeners;
    this.#owner = new Owner(dir);
  }

  /** Events that found no end yet, those in memory included. */
  get waiting(): number {
    return this.#files.reduce((sum, file) => sum + file.left.size, this.#unwritten.length);
  }

  /** Whether there is a file that is not in memory. */
  get hasFiles(): boolean {
    return this.#files.some((file) => !file.loaded);
  }

  /** Resolves when all that was asked for so far is done. */
  idle(): Promise<unknown> {
    return this.#work;
  }

  /** Takes over what dead owners left. */
  takeOver(): Promise<void> {
    return this.#inTurn(async () => {
      const dead = new Set<string>();
      for (const name of await this.#list()) {
        const owner = NAME.exec(name)?.[2] ?? UNFINISHED.exec(name)?.[1];
        if (owner === undefined || owner === this.#owner.name || (!dead.has(owner) && lives(this.#dir, owner))) {
          continue;
        }
        dead.add(owner);
        if (NAME.test(name)) {
          await this.#adopt(name);
        } else {
          await fs.promises.rm(this.#path(name), { force: true });
        }
      }
      for (const owner of dead) {
        forget(this.#dir, owner);
      }
      this.#files.sort((one, other) => (one.name < other.name ? -1 : 1));
    });
  }

  /** Makes a file ours by renaming it: of several that try, one succeeds. */
  async #adopt(name: string): Promise<void> {
    const own = this.#newName(NAME.exec(name)?.[1] as string);
    try {
      await fs.promises.rename(this.#path(name), this.#path(own));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") {
        return;
      }
      throw error;
    }
    const text = await this.#read(own);
    if (text !== null) {
      const file = fileOf(own, Buffer.byteLength(text), eventsIn(text).length);
      this.#files.push(file);
      this.#ledger.tracked += file.left.size;
      this.#ledger.recovered += file.left.size;
    }
  }

  /** Keeps these events, or counts them as dropped. */
  put(events: readonly Event[]): Promise<void> {
    this.#unwritten.push(...events);
    return this.#inTurn(async () => {
      while (this.#unwritten.length > 0) {
        const piece = pieceOf(this.#unwritten);
        if (!(await this.#keep(piece))) {
          this.#unwritten.splice(0, piece.events.length);
          this.#drop(piece.events.length, piece.events);
        }
      }
    });
  }

  /** The same at the end of the process, when nothing can be waited for; also for what was being written. */
  putNow(events: readonly Event[]): void {
    this.#unwritten.push(...events);
    while (this.#unwritten.length > 0) {
      const piece = pieceOf(this.#unwritten);
      const name = this.#newName(millis());
      try {
        const descriptor = fs.openSync(this.#path(`${name}.tmp`), "wx", 0o600);
        fs.writeFileSync(descriptor, piece.text);
        fs.fsyncSync(descriptor);
        fs.closeSync(descriptor);
        fs.renameSync(this.#path(`${name}.tmp`), this.#path(name));
        this.#written(name, piece);
      } catch (error) {
        this.#warn(error);
        this.#unwritten.splice(0, piece.events.length);
        this.#drop(piece.events.length, piece.events);
      }
    }
  }

  /** The oldest file that is not in memory, with the events in it that found no end yet. */
  take(): Promise<{ file: SpoolFile; events: Map<number, Event> } | null> {
    return this.#inTurn(async () => {
      const file = this.#files.find((each) => !each.loaded);
      if (file === undefined) {
        return null;
      }
      const text = await this.#read(file.name);
      const events = text === null ? [] : eventsIn(text);
      if (events.length === 0) {
        this.#files = this.#files.filter((each) => each !== file);
        this.#drop(file.left.size, []);
        return null;
      }
      file.loaded = true;
      return { file, events: new Map([...file.left].map((line) => [line, events[line] as Event])) };
    });
  }

  /** That event found its end; after the last one the file goes. */
  settle(file: SpoolFile, line: number): void {
    file.left.delete(line);
    if (file.left.size === 0) {
      this.#files = this.#files.filter((each) => each !== file);
      // One that cannot be deleted will be sent again by another process, which the server knows as a repeat.
      void this.#inTurn(() => fs.promises.rm(this.#path(file.name), { force: true }));
    }
  }

  /** Its events are no longer in memory. */
  unload(file: SpoolFile): void {
    file.loaded = false;
  }

  /** Leaves the files to whoever comes next. */
  close(): void {
    try {
      this.#owner.release();
    } catch (error) {
      this.#warn(error);
    }
  }

  /** Whether it is on disk now; whatever goes wrong is warned of. */
  async #keep(piece: Piece): Promise<boolean> {
    try {
      return (await this.#makeRoom(piece.text.length)) && (await this.#write(piece));
    } catch (error) {
      this.#warn(error);
      return false;
    }
  }

  async #makeRoom(bytes: number): Promise<boolean> {
    if (bytes > this.#maxBytes) {
      return false;
    }
    let used = 0;
    for (const name of await this.#list()) {
      used += NAME.test(name) ? ((await fs.promises.stat(this.#path(name)).catch(() => null))?.size ?? 0) : 0;
    }
    while (used + bytes > this.#maxBytes) {
      const oldest = this.#files.find((file) => !file.loaded);
      if (oldest === undefined) {
        return false;
      }
      const text = await this.#read(oldest.name);
      const gone = text === null ? [] : eventsIn(text).filter((_, line) => oldest.left.has(line));
      this.#files = this.#files.filter((file) => file !== oldest);
      this.#drop(oldest.left.size, gone);
      used -= oldest.bytes;
      await fs.promises.rm(this.#path(oldest.name), { force: true });
    }
    return true;
  }

  /** Writes, syncs, renames: a file is whole or not there. */
  async #write(piece: Piece): Promise<boolean> {
    const name = this.#newName(millis());
    const temporary = this.#path(`${name}.tmp`);
    try {
      const handle = await fs.promises.open(temporary, "wx", 0o600);
      try {
        await handle.writeFile(piece.text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await fs.promises.rename(temporary, this.#path(name));
      await this.#syncDir();
    } catch (error) {
      // Also where only the last step failed: what is told as dropped must not come back.
      await fs.promises.rm(temporary, { force: true }).catch(() => {});
      await fs.promises.rm(this.#path(name), { force: true }).catch(() => {});
      throw error;
    }
    this.#written(name, piece);
    return true;
  }

  /** From here on the file holds them. */
  #written(name: string, piece: Piece): void {
    this.#unwritten.splice(0, piece.events.length);
    this.#files.push(fileOf(name, piece.text.length, piece.events.length));
  }

  /** Makes names in the directory durable, where directories can be opened. */
  async #syncDir(): Promise<void> {
    if (process.platform !== "win32") {
      const handle = await fs.promises.open(this.#dir, "r");
      await handle.sync().finally(() => handle.close());
    }
  }

  /** The text of a file of whole events; null, with the file set aside, if it is none. */
  async #read(name: string): Promise<string | null> {
    try {
      const text = await fs.promises.readFile(this.#path(name), "utf8");
      eventsIn(text);
      return text;
    } catch (error) {
      await fs.promises.rename(this.#path(name), this.#path(`${name}.bad`)).catch(() => {});
      this.#listeners.warn(`spool: ${name} cannot be read and is set aside as ${name}.bad (${String(error)})`);
      return null;
    }
  }

  #drop(count: number, events: readonly Event[]): void {
    if (count > 0) {
      this.#ledger.drop(count, "spool_full");
      this.#listeners.dropped(events, "spool_full");
    }
  }

  #warn(error: unknown): void {
    this.#listeners.warnOnce("spool", `spool: ${String(error)}`);
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#work.then(work);
    this.#work = done.catch((error: unknown) => this.#warn(error));
    return done;
  }

  async #list(): Promise<string[]> {
    return (await fs.promises.readdir(this.#dir)).sort();
  }

  #newName(unixMs: string): string {
    return `${unixMs}-${this.#owner.name}-${this.#names++}.jsonl`;
  }

  #path(name: string): string {
    return path.join(this.#dir, name);
  }
}

interface Piece {
  readonly events: readonly Event[];
  readonly text: Buffer;
}

/** As many of the first events as go into one file: at most 1,000, or a little over 1 MiB. */
function pieceOf(events: readonly Event[]): Piece {
  const lines: string[] = [];
  let bytes = 0;
  for (const event of events.slice(0, MAX_FILE_EVENTS)) {
    const line = `${JSON.stringify(event)}\n`;
    bytes += Buffer.byteLength(line);
    lines.push(line);
    if (bytes >= FILE_BYTES) {
      break;
    }
  }
  return { events: events.slice(0, lines.length), text: Buffer.from(lines.join("")) };
}

/** The events of a file, or an error if a line is none. */
function eventsIn(text: string): Event[] {
  const lines = text.split("\n");
  if (lines.pop() !== "") {
    throw new Error("the last line is not whole");
  }
  return lines.map((line) => {
    const event = JSON.parse(line) as Event;
    if (typeof event?.agent_id !== "string" || typeof event.evaluation_id !== "string" || !Array.isArray(event.gates)) {
      throw new Error("a line is no event");
    }
    return event;
  });
}

function fileOf(name: string, bytes: number, lines: number): SpoolFile {
  return { name, bytes, left: new Set(Array.from({ length: lines }, (_, line) => line)), loaded: false };
}

function millis(): string {
  return String(Date.now()).padStart(13, "0");
}
