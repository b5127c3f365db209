// The persister: a reader of the log that carries it into the store, batch by batch, and lets the log go of what is stored.
// It owns the order apply → watermark → trim; a crash anywhere between repeats work and loses nothing.
import type { Clock } from '../ports/clock.ts';
import type { Change, Log, Position, Tail } from '../ports/log.ts';
import { EpochError, HoleError, type MessageStore, PoisonError } from '../ports/store.ts';
import { withoutContent as wireWithoutContent } from '../protocol/changes.ts';
import type { Millis } from '../protocol/ids.ts';

/** Between two attempts when the store cannot take a batch: a full disk, a server away. */
const RETRY_MS = 500;
/**
 * How long what is stored may keep its place in the log at most: nodes tell with a delay how far they have read, and a log
 * that is full takes no change that would bring the next occasion.
 */
const TRIM_WITHIN_MS = 2_000;
/** What a process that ends spends on the store at most. */
const STOP_MS = 2_000;

interface Options {
  readonly log: Log;
  readonly store: MessageStore;
  readonly clock: Clock;
  /** Most changes of one `apply`. */
  readonly batch: number;
  /** How long a smaller batch is left to grow: nobody waits for the store, and each commit of it costs an fsync. */
  readonly lingerMs: Millis;
  /** Trims the log after this many stored changes, or bytes of them, and else in its time; each trim is a write of the log's. */
  readonly trimEvery: { readonly changes: number; readonly bytes: number };
  /** The parts of the log it carries; all where left out. */
  readonly parts?: readonly number[];
  readonly onStored: (watermark: Position) => void;
  /** A change that the store refuses for what it is. In its place the store gets one of its number without content. */
  readonly onPoison: (change: Change, error: unknown) => void;
  /** The store could not take a batch, or the log not let go of one; it is tried again. */
  readonly onFault: (error: unknown) => void;
}

export class Persister {
  readonly #options: Options;
  #tail: Tail | undefined;
  #watermark: number[] = [];
  #sinceTrim = { changes: 0, bytes: 0 };
  #isStopped = false;
  #isGivenUp = false;
  #wake = () => {};

  constructor(options: Options) {
    this.#options = options;
  }

  get watermark(): Position {
    return this.#watermark;
  }

  /**
   * Runs until `stop`.
   * @throws PositionLost, EpochError: another one, from the store's watermark, can go on
   * @throws HoleError what the log gave does not follow on what the store holds: a defect
   */
  async run(): Promise<void> {
    const { log, store, clock } = this.#options;
    this.#watermark = this.#own(await store.watermark());
    // What earlier lives stored, none of them long enough for a trim.
    await this.#trim();
    if (this.#isOver()) return;
    this.#tail = log.tail(this.#watermark, this.#options.parts);
    const stopTrimming = clock.every(TRIM_WITHIN_MS, () => this.#trimRest());
    try {
      await this.#carry(this.#tail);
    } finally {
      stopTrimming();
    }
  }

  async #carry(tail: Tail): Promise<void> {
    const { batch, lingerMs } = this.#options;
    for await (const changes of tail) {
      for (let start = 0; start < changes.length; start += batch)
        if (!(await this.#store(changes.slice(start, start + batch)))) return;
      if (this.#isOver()) return;
      if (changes.length < batch && this.#missing() < batch) await this.#pause(lingerMs);
    }
  }

  /** Stores what the log still holds. Where that fails, or takes long, the next start does it. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake();
    this.#options.clock.after(STOP_MS, () => {
      this.#isGivenUp = true;
      // What it waits for may never come: this node may be cut off from the log.
      void this.#tail?.return();
    });
    if (this.#isOver()) await this.#tail?.return();
  }

  #isOver(): boolean {
    return this.#isStopped && (this.#isGivenUp || this.#missing() === 0);
  }

  /** Changes that the store lacks, of the part it lacks most of. */
  #missing(): number {
    const head = this.#own(this.#options.log.state().head);
    return Math.max(0, ...head.map((offset, part) => offset - (this.#watermark[part] ?? 0)));
  }

  /** A position of its parts: 0 in all others. */
  #own(position: Position): number[] {
    const { parts } = this.#options;
    return Array.from(position, (offset = 0, part) => (parts === undefined || parts.includes(part) ? offset : 0));
  }

  /** @returns whether it is stored */
  async #store(changes: readonly Change[]): Promise<boolean> {
    const upTo = [...this.#watermark];
    for (const change of changes) upTo[change.part] = change.offset;
    if (!(await this.#insist(() => this.#apply(changes, upTo)))) return false;
    this.#watermark = upTo;
    this.#options.onStored(upTo);
    const { trimEvery } = this.#options;
    this.#sinceTrim.changes += changes.length;
    for (const { wire } of changes) this.#sinceTrim.bytes += Buffer.byteLength(wire);
    if (this.#sinceTrim.changes >= trimEvery.changes || this.#sinceTrim.bytes >= trimEvery.bytes) await this.#trim();
    return true;
  }

  /** Where a batch cannot be stored for what is in it, the halves are tried, down to the one change. */
  async #apply(changes: readonly Change[], upTo: Position): Promise<void> {
    const epochs = this.#tail?.epochs ?? [];
    try {
      await this.#options.store.apply(changes, upTo, epochs);
    } catch (error) {
      if (!(error instanceof PoisonError)) throw error;
      const [first] = changes;
      if (changes.length > 1) {
        const half = changes.length >> 1;
        await this.#apply(changes.slice(0, half), this.#watermark);
        await this.#apply(changes.slice(half), upTo);
      } else if (first !== undefined) {
        this.#options.onPoison(first, error);
        await this.#options.store.apply([withoutContent(first)], upTo, epochs);
      }
    }
  }

  /** Insists: a log at its budget takes no change that would bring the next occasion. */
  async #trim(): Promise<void> {
    this.#sinceTrim = { changes: 0, bytes: 0 };
    await this.#insist(() => this.#options.log.trim(this.#watermark));
  }

  /** What could not be let go of when it was stored. Where it fails, the next time does it. */
  #trimRest(): void {
    const { trimmed } = this.#options.log.state();
    if (this.#watermark.every((offset, part) => offset <= (trimmed[part] ?? 0))) return;
    this.#options.log.trim(this.#watermark).catch(() => undefined);
  }

  /** Tries until it is done; once told to stop, only once more. */
  async #insist(attempt: () => Promise<void>): Promise<boolean> {
    for (;;) {
      try {
        await attempt();
        return true;
      } catch (error) {
        if (error instanceof HoleError || error instanceof EpochError) throw error;
        this.#options.onFault(error);
        if (this.#isStopped) return false;
        await this.#pause(RETRY_MS);
      }
    }
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

function withoutContent(change: Change): Change {
  return { ...change, key: null, wire: wireWithoutContent(change.wire) };
}
