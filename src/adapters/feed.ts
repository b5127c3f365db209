// What the tails of one part of a log read from: the latest changes in memory, shared by all tails and bounded in bytes;
// older ones by pages from wherever the log is. A tail is only a position, so a slow one costs nothing more than a fast one.
import { ChatError } from '../errors.ts';
import { type Change, type Position, PositionLost, type Tail } from '../ports/log.ts';
import { type ChangeBody, parseChange } from '../protocol/changes.ts';

/**
 * Bytes of the latest untrimmed changes of all parts kept for tails: seconds of a full load, so that a store that falls behind for
 * a moment does not also cost reads of the file. Whoever else holds these changes holds the same objects.
 */
const RECENT_BYTES = 33_554_432;
/** What a change costs in memory beside its wire text. */
const CHANGE_OVERHEAD_BYTES = 200;
const MAX_BATCH = 512;
/** Before a log that could not be asked for older changes is asked again. */
const RETRY_MS = 200;
/** Below every trim point. */
const NOWHERE = -1;

export interface FeedOptions {
  /** Of the part, whose last change is `head`. */
  readonly epoch: number;
  readonly head: number;
  readonly trimmed: number;
  /** How many parts the log has. */
  readonly parts: number;
  /** Reads a page of durable changes right after an offset; null: not there. @throws ChatError `unavailable`: tails wait */
  readPage(after: number): Promise<readonly Change[] | null>;
  /** Asks the log itself, where it can be ahead of what has been pushed here. @throws as `readPage` */
  readHead?(): Promise<number>;
}

export class Feed {
  readonly #options: FeedOptions;
  readonly #maxBytes: number;
  /** The changes up to `head`, without gaps. */
  readonly #recent: Change[] = [];
  #recentBytes = 0;
  #head: number;
  #trimmed: number;
  #ended = false;
  #failure: Error | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#maxBytes = RECENT_BYTES / options.parts;
    this.#head = options.head;
    this.#trimmed = options.trimmed;
  }

  get epoch(): number {
    return this.#options.epoch;
  }

  get head(): number {
    return this.#head;
  }

  get trimmed(): number {
    return this.#trimmed;
  }

  /** What it has ended with. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Of the log, as it is now. */
  async lastHead(): Promise<number> {
    const { readHead } = this.#options;
    return readHead === undefined ? this.#head : readHead();
  }

  /** Durable changes, following on the head. */
  push(changes: readonly Change[]): void {
    for (const change of changes) {
      this.#recent.push(change);
      this.#recentBytes += costOf(change);
    }
    this.#head += changes.length;
    if (this.#recentBytes > this.#maxBytes) this.#evict();
    this.#wake();
  }

  /** A quarter at once: taking the few a commit adds off the front of so many would move all the others each time. */
  #evict(): void {
    let count = 0;
    while (this.#recentBytes > this.#maxBytes * 0.75) this.#recentBytes -= costOf(this.#recent[count++] as Change);
    this.#recent.splice(0, count);
  }

  forget(upTo: number): void {
    this.#trimmed = upTo;
    const kept = this.#head - upTo;
    const dropped = this.#recent.splice(0, Math.max(0, this.#recent.length - kept));
    for (const change of dropped) this.#recentBytes -= costOf(change);
  }

  /** Ends all tails; with a failure, they throw it. */
  end(failure?: Error): void {
    this.#ended = true;
    this.#failure = failure;
    this.#wake();
  }

  /** The changes after an offset, at most a batch; null when there are none yet; undefined when the feed has ended. */
  async take(after: number): Promise<readonly Change[] | null | undefined> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) return undefined;
    if (after < this.#trimmed) throw new PositionLost(`the log begins after ${this.#trimmed}`);
    if (after >= this.#head) return null;
    const start = after - (this.#head - this.#recent.length);
    if (start >= 0) return this.#recent.slice(start, start + MAX_BATCH);
    const page = await this.#options.readPage(after);
    if (page === null) throw new PositionLost(`the log does not go on after ${after}`);
    return page;
  }

  /** Calls once, when there may be something to take after an offset: at once when it came since the reader looked. */
  onNews(after: number, call: () => void): void {
    if (this.#ended || this.#head > after || this.#trimmed > after) call();
    else this.#waiting.add(call);
  }

  offNews(call: () => void): void {
    this.#waiting.delete(call);
  }

  #wake(): void {
    const calls = [...this.#waiting];
    this.#waiting.clear();
    for (const call of calls) call();
  }
}

/**
 * A tail of several parts at once.
 * @param feeds one a part; those left out are not read
 * @param after a position above the log's head is of another log: its tail is lost from the start, also once the head has
 *   passed it
 */
export function feedTail(feeds: readonly (Feed | undefined)[], after: Position): Tail {
  const cursors = feeds.flatMap((feed, part) => {
    if (feed === undefined) return [];
    return [new Cursor(feed, after[part] ?? 0)];
  });
  return new FeedTail(
    cursors,
    feeds.map((feed) => feed?.epoch ?? 0),
  );
}

class Cursor {
  readonly feed: Feed;
  after: number;
  /** Whether the log does not reach up to where the cursor starts; null once that is known. */
  #isBeyond: Promise<boolean> | null;

  constructor(feed: Feed, after: number) {
    this.feed = feed;
    this.after = after;
    this.#isBeyond = after > feed.head ? this.#ask() : null;
  }

  async take(): Promise<readonly Change[] | null | undefined> {
    if (this.#isBeyond !== null) await this.#settle(this.#isBeyond);
    return this.feed.take(this.after);
  }

  async #settle(isBeyond: Promise<boolean>): Promise<void> {
    try {
      if (await isBeyond) this.after = NOWHERE;
      this.#isBeyond = null;
    } catch (error) {
      this.#isBeyond = this.#ask();
      throw error;
    }
  }

  /** At once: later the head may have passed a position of another log. */
  #ask(): Promise<boolean> {
    const asked = this.feed.lastHead().then((head) => this.after > head);
    // It may fail before anybody waits for it.
    asked.catch(() => undefined);
    return asked;
  }
}

class FeedTail implements Tail {
  readonly epochs: readonly number[];
  readonly #cursors: readonly Cursor[];
  #ended = false;
  #wake: (() => void) | undefined;
  /** The last `next` asked: several at once are answered in turn. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(cursors: readonly Cursor[], epochs: readonly number[]) {
    this.epochs = epochs;
    this.#cursors = cursors;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<readonly Change[]>> {
    const turn = this.#turn.then(() => this.#pull());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async return(): Promise<IteratorResult<readonly Change[]>> {
    this.#ended = true;
    this.#wake?.();
    return { done: true, value: undefined };
  }

  async #pull(): Promise<IteratorResult<readonly Change[]>> {
    while (!this.#ended) {
      const batch = await this.#takeOrWait();
      if (batch === undefined || this.#ended) break;
      if (batch.length > 0) return { done: false, value: batch };
    }
    return { done: true, value: undefined };
  }

  /** Nothing after a wait: for news, or for a log that cannot be asked now. */
  async #takeOrWait(): Promise<readonly Change[] | undefined> {
    try {
      const batch = await this.#take();
      if (batch?.length === 0 && !this.#ended) await this.#news();
      return batch;
    } catch (error) {
      if (!this.#isPassing(error)) throw error;
      if (!this.#ended) await this.#pause();
      return [];
    }
  }

  /** What there is in all parts, at most a batch of each; undefined when the log has ended. Where one fails none moves on. */
  async #take(): Promise<readonly Change[] | undefined> {
    const taken: [Cursor, number][] = [];
    let all: readonly Change[] = [];
    for (const cursor of this.#cursors) {
      const batch = await cursor.take();
      if (batch === undefined) return undefined;
      if (batch === null) continue;
      taken.push([cursor, batch.length]);
      all = all.length === 0 ? batch : [...all, ...batch];
    }
    for (const [cursor, count] of taken) cursor.after += count;
    return all;
  }

  #isPassing(error: unknown): boolean {
    const isFinal = this.#cursors.some(({ feed }) => feed.failure === error);
    return error instanceof ChatError && error.code === 'unavailable' && !isFinal;
  }

  async #news(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    for (const { feed, after } of this.#cursors) feed.onNews(after, resolve);
    await promise;
    for (const { feed } of this.#cursors) feed.offNews(resolve);
    this.#wake = undefined;
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, RETRY_MS);
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }
}

function costOf(change: Change): number {
  return change.wire.length + CHANGE_OVERHEAD_BYTES;
}

/** A change as read back from its wire text. */
export function changeFrom(part: number, offset: number, wire: string): Change {
  const body: ChangeBody = parseChange(wire);
  const { conv, seq, from, at, key = null } = body;
  return { part, offset, conv, seq, n: body.t === 'message' ? body.n : 0, type: body.t, from, at, key, wire };
}
