// The persister: a reader of the log that carries it into the store, batch by batch, and lets the log go of what is stored.
// It owns the order apply → watermark → trim; a crash anywhere between repeats work and loses nothing.
import type { Clock } from '../ports/clock.ts';
import type { Change, Log, Position, Tail } from '../ports/log.ts';
import { HoleError, type MessageStore } from '../ports/store.ts';

/** Between two attempts when the store cannot take a batch: a full disk, a server away. */
const RETRY_MS = 500;

interface Options {
  readonly log: Log;
  readonly store: MessageStore;
  /** Most changes of one `apply`. */
  readonly batch: number;
  /** Trims the log after this many stored changes; each trim is a write of the log's. */
  readonly trimEvery: number;
  readonly onStored: (watermark: Position) => void;
  readonly clock: Clock;
  /** The store could not take a batch; it is tried again. */
  readonly onFault: (error: unknown) => void;
}

export class Persister {
  readonly #options: Options;
  #tail: Tail | undefined;
  #watermark: number[] = [];
  #sinceTrim = 0;
  #isStopped = false;

  constructor(options: Options) {
    this.#options = options;
  }

  get watermark(): Position {
    return this.#watermark;
  }

  /** Runs until `stop`. @throws HoleError what the log gave does not follow on what the store holds: a defect */
  async run(): Promise<void> {
    this.#watermark = [...(await this.#options.store.watermark())];
    this.#tail = this.#options.log.tail(this.#watermark);
    for await (const changes of this.#tail) {
      for (let start = 0; start < changes.length; start += this.#options.batch) {
        await this.#store(changes.slice(start, start + this.#options.batch));
      }
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#tail?.return();
  }

  async #store(changes: readonly Change[]): Promise<void> {
    const upTo = [...this.#watermark];
    for (const change of changes) upTo[change.part] = change.offset;
    if (!(await this.#apply(changes, upTo))) return;
    this.#watermark = upTo;
    this.#options.onStored(upTo);
    this.#sinceTrim += changes.length;
    if (this.#sinceTrim < this.#options.trimEvery) return;
    this.#sinceTrim = 0;
    await this.#options.log.trim(upTo);
  }

  /** Tries until it is done; false when told to stop before. */
  async #apply(changes: readonly Change[], upTo: Position): Promise<boolean> {
    while (!this.#isStopped) {
      try {
        await this.#options.store.apply(changes, upTo);
        return true;
      } catch (error) {
        if (error instanceof HoleError) throw error;
        this.#options.onFault(error);
        await new Promise<void>((resolve) => this.#options.clock.after(RETRY_MS, resolve));
      }
    }
    return false;
  }
}
