// The persister: a reader of the log that carries it into the store, batch by batch, and lets the log go of what is stored.
// It owns the order apply → watermark → trim; a crash anywhere between repeats work and loses nothing.
import type { Clock } from '../ports/clock.ts';
import type { Change, Log, Position, Tail } from '../ports/log.ts';
import { HoleError, type MessageStore } from '../ports/store.ts';
import type { Millis } from '../protocol/ids.ts';

/** Between two attempts when the store cannot take a batch: a full disk, a server away. */
const RETRY_MS = 500;

interface Options {
  readonly log: Log;
  readonly store: MessageStore;
  readonly clock: Clock;
  /** Most changes of one `apply`. */
  readonly batch: number;
  /** How long a smaller batch is left to grow: nobody waits for the store, and each commit of it costs an fsync. */
  readonly lingerMs: Millis;
  /** Trims the log after this many stored changes, or characters of them; each trim is a write of the log's. */
  readonly trimEvery: { readonly changes: number; readonly chars: number };
  readonly onStored: (watermark: Position) => void;
  /** The store could not take a batch, or the log not let go of one; it is tried again. */
  readonly onFault: (error: unknown) => void;
}

export class Persister {
  readonly #options: Options;
  #tail: Tail | undefined;
  #watermark: number[] = [];
  #sinceTrim = { changes: 0, chars: 0 };
  #isStopped = false;
  #wake = () => {};

  constructor(options: Options) {
    this.#options = options;
  }

  get watermark(): Position {
    return this.#watermark;
  }

  /** Runs until `stop`. @throws HoleError what the log gave does not follow on what the store holds: a defect */
  async run(): Promise<void> {
    const { log, store, batch, lingerMs } = this.#options;
    this.#watermark = [...(await store.watermark())];
    // What earlier lives stored, none of them long enough for a trim.
    await this.#trim();
    this.#tail = log.tail(this.#watermark);
    for await (const changes of this.#tail) {
      for (let start = 0; start < changes.length; start += batch)
        await this.#store(changes.slice(start, start + batch));
      if (changes.length < batch) await this.#pause(lingerMs);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake();
    await this.#tail?.return();
  }

  async #store(changes: readonly Change[]): Promise<void> {
    const upTo = [...this.#watermark];
    for (const change of changes) upTo[change.part] = change.offset;
    if (!(await this.#insist(() => this.#options.store.apply(changes, upTo)))) return;
    this.#watermark = upTo;
    this.#options.onStored(upTo);
    const { trimEvery } = this.#options;
    this.#sinceTrim.changes += changes.length;
    for (const { wire } of changes) this.#sinceTrim.chars += wire.length;
    if (this.#sinceTrim.changes >= trimEvery.changes || this.#sinceTrim.chars >= trimEvery.chars) await this.#trim();
  }

  /** Insists: a log at its budget takes no change that would bring the next occasion. */
  async #trim(): Promise<void> {
    this.#sinceTrim = { changes: 0, chars: 0 };
    await this.#insist(() => this.#options.log.trim(this.#watermark));
  }

  /** Tries until it is done; false when told to stop before. */
  async #insist(attempt: () => Promise<void>): Promise<boolean> {
    while (!this.#isStopped) {
      try {
        await attempt();
        return true;
      } catch (error) {
        if (error instanceof HoleError) throw error;
        this.#options.onFault(error);
        await this.#pause(RETRY_MS);
      }
    }
    return false;
  }

  /** Ends early when told to stop. */
  #pause(ms: Millis): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#options.clock.after(ms, resolve);
    });
  }
}
