// The persister: a reader of the log that carries it into the store, batch by batch, and lets the log go of what is stored.
// It owns the order apply → watermark → trim; a crash anywhere between repeats work and loses nothing.
import type { Change, Log, Position, Tail } from '../ports/log.ts';
import type { MessageStore } from '../ports/store.ts';

interface Options {
  readonly log: Log;
  readonly store: MessageStore;
  /** Most changes of one `apply`. */
  readonly batch: number;
  /** Trims the log after this many stored changes; each trim is a write of the log's. */
  readonly trimEvery: number;
  readonly onStored: (watermark: Position, changes: number) => void;
}

export class Persister {
  readonly #options: Options;
  #tail: Tail | undefined;
  #watermark: number[] = [];
  #sinceTrim = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  get watermark(): Position {
    return this.#watermark;
  }

  /** Runs until `stop`; what it throws is a defect or a dead store, and the supervisor's to handle. */
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
    await this.#tail?.return();
  }

  async #store(changes: readonly Change[]): Promise<void> {
    const upTo = [...this.#watermark];
    for (const change of changes) upTo[change.part] = change.offset;
    await this.#options.store.apply(changes, upTo);
    this.#watermark = upTo;
    this.#options.onStored(upTo, changes.length);
    this.#sinceTrim += changes.length;
    if (this.#sinceTrim < this.#options.trimEvery) return;
    this.#sinceTrim = 0;
    await this.#options.log.trim(upTo);
  }
}
