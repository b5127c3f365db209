// Reading what was said: the store's answer with the tail laid over it, so that a read covers everything acknowledged
// before it was asked (promise 4). Every read pins the tail before it asks the store.
import type { Conversation, Directory } from '../conversations/index.ts';
import { ChatError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Change, Log } from '../ports/log.ts';
import type { MessageStore } from '../ports/store.ts';
import { type ChangeBody, erasedWire, parseChange } from '../protocol/changes.ts';
import type { ConvId, Seq } from '../protocol/ids.ts';
import { DEFAULT_HISTORY_LIMIT, MAX_ANSWER_BYTES, MAX_REPLAY_BYTES } from '../protocol/limits.ts';
import { type MessageState, touchedBy } from '../protocol/states.ts';
import { queue } from '../queue.ts';
import { type Pin, reachInTime, type TailMemory } from '../tail/index.ts';
import { NewestPages } from './newest-pages.ts';
import { fitFromEnd, fitFromStart, foldAll, type Page, sentIn, sentState } from './pages.ts';
import { isShort, joinSync, type SyncQuery, type SyncResult, syncOf } from './sync-pages.ts';

export interface HistoryQuery {
  readonly before?: Seq | undefined;
  readonly after?: Seq | undefined;
  readonly around?: Seq | undefined;
  readonly limit?: number | undefined;
}

export interface HistoryResult {
  readonly items: readonly MessageState[];
  readonly more?: boolean;
  readonly moreBefore?: boolean;
  readonly moreAfter?: boolean;
}

/** A change to be replayed: its number and the push as it reads now. */
export interface Replay {
  readonly seq: Seq;
  readonly wire: string;
}

/** Part of the answer to a read: `stale` where the log cannot be asked what this node has not seen yet. */
export interface Freshness {
  readonly stale?: true;
}

interface Deps {
  readonly store: MessageStore;
  readonly tail: TailMemory;
  readonly log: Log;
  readonly clock: Clock;
  readonly directory: Directory;
}

/** Asked of the store for an answer: a wire is longer than its state, but by a tenth at most where they fill one. */
const STORED_PAGE_BYTES = 1.25 * MAX_ANSWER_BYTES;
/**
 * Pages read at once by this node, for all its clients. More are not read any faster, and leave more behind in the heaps of two
 * threads (pages of 160 kB, 32 at once: 230 MB; 8: 60 MB).
 */
const PAGES_AT_ONCE = 8;
const MAX_WAITING = 20_000;
/** Who would wait longer is told so: where the store does not answer, each turn takes seconds. */
const MAX_WAIT_MS = 5_000;
/** How often a page may be ahead of this node, each time covered, before it is said to be cut off. */
const MAX_ATTEMPTS = 5;
/** Of newest messages in memory: those of some hundred conversations, far more than are being opened at a time. */
const KEEP_PAGES_BYTES = 16 * 1_048_576;
const NEWEST: Seq = Number.MAX_SAFE_INTEGER;

export class Reads {
  readonly #store: MessageStore;
  readonly #tail: TailMemory;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #newestPages: NewestPages;
  readonly #inTurn = queue(PAGES_AT_ONCE, MAX_WAITING, MAX_WAIT_MS);

  constructor(deps: Deps) {
    this.#clock = deps.clock;
    this.#newestPages = new NewestPages(deps.tail, (conv) => deps.directory.peek(conv)?.head.seq, KEEP_PAGES_BYTES);
    this.#store = deps.store;
    this.#tail = deps.tail;
    this.#log = deps.log;
  }

  /** Of the log as these answers show it. */
  get epoch(): string {
    return this.#tail.epoch;
  }

  /**
   * Waits until this node has seen everything acknowledged anywhere before the call (law 10 of the log).
   * @throws ChatError `unavailable` where it cannot, within a bound
   */
  async cover(): Promise<void> {
    await reachInTime(this.#tail, await this.#log.readIndex(), this.#clock);
  }

  /** As `cover`; where it cannot, the answer says so and is what this node knows. */
  async freshness(): Promise<Freshness> {
    try {
      await this.cover();
      return {};
    } catch (error) {
      if (error instanceof ChatError && error.code === 'unavailable') return { stale: true };
      throw error;
    }
  }

  /**
   * A page of messages, ascending by seq; the newest where the query names no anchor.
   * @param freshness what came of `freshness` before
   */
  async history(conversation: Conversation, query: HistoryQuery, freshness: Freshness): Promise<HistoryResult> {
    const limit = query.limit ?? DEFAULT_HISTORY_LIMIT;
    if (query.around !== undefined) return this.#around(conversation.id, query.around, limit);
    if (query.after !== undefined) return this.#after(conversation.id, query.after, limit);
    if (query.before !== undefined) return this.#before(conversation.id, query.before, limit);
    return this.#newest(conversation.id, limit, freshness);
  }

  /** The state of one message, or undefined where the seq is none. */
  async message(conv: ConvId, seq: Seq): Promise<MessageState | undefined> {
    return (await this.#states(conv, [seq])).get(seq);
  }

  /** The newest message of a conversation, for lists. */
  async last(conv: ConvId, freshness: Freshness): Promise<MessageState | undefined> {
    return (await this.#newest(conv, 1, freshness)).items[0];
  }

  /**
   * What changed after a cursor, as final states; from memory where that is all there.
   * @param freshness what came of `freshness` before
   * @param use is given the answer in the very moment it is true: what is pushed after that moment follows on `to`
   * @throws ChatError `overloaded` where too many wait to read, as all that ask the store for pages
   */
  async sync(query: SyncQuery, { stale }: Freshness, use: (result: SyncResult) => void): Promise<void> {
    const remembered = stale ? null : this.#remembered(query);
    if (remembered !== null) return use(remembered);
    const { conversation, after, limit } = query;
    const ask = () => this.#store.sync(conversation.id, after, limit, STORED_PAGE_BYTES);
    await this.#askCovered(conversation, ask, (page, pin) =>
      this.#withTouched(conversation, page.upTo, (newer, bases) => {
        pin.check();
        // Nothing waits here: the head, the states and what is pushed next belong to one moment.
        use(joinSync(query, page, newer, bases));
      }),
    );
  }

  #remembered(query: SyncQuery): SyncResult | null {
    const { conversation, after } = query;
    if (!isShort(query)) return null;
    const changes = after === conversation.head.seq ? [] : this.#tail.after(conversation.id, after);
    return changes === null ? null : syncOf(query, changes);
  }

  /** The changes after a cursor as far as this node remembers them, up to the head; null where it does not reach back. */
  recent(conv: ConvId, after: Seq): readonly Replay[] | null {
    return this.#tail.after(conv, after);
  }

  /**
   * The changes after a cursor, one by one, for a resume: at most `limit`, and MAX_REPLAY_BYTES, else null (the reader is
   * behind).
   * @param use is given the answer in the very moment it is true: it reaches up to the head
   */
  replay(
    conversation: Conversation,
    after: Seq,
    limit: number,
    use: (changes: readonly Replay[] | null) => void,
  ): Promise<void> {
    const ask = () => this.#store.changes(conversation.id, after, limit + 1, MAX_REPLAY_BYTES);
    return this.#askCovered(conversation, ask, ({ changes, upTo }, pin) => {
      pin.check();
      const newer = this.#tail.after(conversation.id, Math.max(upTo, after)) ?? [];
      const isCut = (changes.at(-1)?.seq ?? after) < upTo;
      const tooMany = isCut || changes.length + newer.length > limit;
      use(tooMany ? null : [...eraseDeleted(changes, newer), ...newer]);
    });
  }

  /** From memory where it has them; where this node may have missed something, the store may know better. */
  async #newest(conv: ConvId, limit: number, { stale }: Freshness): Promise<Page> {
    const remembered = stale ? undefined : this.#newestPages.find(conv, limit);
    if (remembered !== undefined) return remembered;
    return this.#overlaid(
      conv,
      () => this.#store.history(conv, { before: NEWEST }, limit, STORED_PAGE_BYTES),
      (page, fresh, upTo) => {
        const newest = lastThatFit(page, fresh, limit, MAX_ANSWER_BYTES);
        const isFull = newest.items.length < Math.min(limit, page.items.length + fresh.length);
        this.#newestPages.keep(conv, { ...newest, isFull }, upTo);
        return newest;
      },
    );
  }

  async #before(conv: ConvId, before: Seq, limit: number, maxBytes = MAX_ANSWER_BYTES): Promise<Page> {
    return this.#overlaid(
      conv,
      () => this.#store.history(conv, { before }, limit, STORED_PAGE_BYTES),
      (page, fresh) => {
        const older = fresh.filter((message) => message.seq < before);
        return lastThatFit(page, older, limit, maxBytes);
      },
    );
  }

  async #after(conv: ConvId, after: Seq, limit: number, maxBytes = MAX_ANSWER_BYTES): Promise<Page> {
    return this.#overlaid(
      conv,
      () => this.#store.history(conv, { after }, limit, STORED_PAGE_BYTES),
      (page, fresh) => {
        const items = page.more ? page.items : [...page.items, ...fresh.filter((message) => message.seq > after)];
        const kept = fitFromStart(items, limit, maxBytes);
        return { items: kept, more: page.more || kept.length < items.length };
      },
    );
  }

  async #around(conv: ConvId, around: Seq, limit: number): Promise<HistoryResult> {
    const older = Math.ceil(limit / 2);
    const half = MAX_ANSWER_BYTES / 2;
    const [before, after] = await Promise.all([
      this.#before(conv, around + 1, older, half),
      this.#after(conv, around, Math.max(1, limit - older), half),
    ]);
    const newer = limit > older ? after.items : [];
    return {
      items: [...before.items, ...newer],
      moreBefore: before.more,
      moreAfter: after.more || newer.length < after.items.length,
    };
  }

  /** Asks the store for a page and lays what the tail has beyond it over: edits and deletions, then whole messages. */
  #overlaid(
    conv: ConvId,
    ask: () => Promise<Page & { readonly upTo: Seq }>,
    join: (page: Page, fresh: readonly MessageState[], upTo: Seq) => Page,
  ): Promise<Page> {
    return this.#askStore(ask, (page, pin) => {
      pin.check();
      const newer = this.#tail.newer(conv, page.upTo);
      const upTo = newer.at(-1)?.seq ?? page.upTo;
      if (newer.length === 0) return join(page, [], upTo);
      const items = foldAll(page.items, newer);
      return join({ items, more: page.more }, foldAll(sentIn(newer), newer), upTo);
    });
  }

  /**
   * As `#askStore`, of a page that this node has seen everything of: another one may have stored what this one has yet to read,
   * and what is pushed next would not follow on the answer. While it waits for the log it holds neither page nor place.
   * @throws ChatError `unavailable` where the log does not come as far
   */
  async #askCovered<Asked extends { readonly upTo: Seq }>(
    conversation: Conversation,
    ask: () => Promise<Asked>,
    use: (page: Asked, pin: Pin) => void | Promise<void>,
  ): Promise<void> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const isUsed = await this.#askStore(ask, async (page, pin) => {
        if (page.upTo > conversation.head.seq) return false;
        await use(page, pin);
        return true;
      });
      if (isUsed) return;
      await this.cover();
    }
    throw new ChatError('unavailable');
  }

  /**
   * Asks the store for a page, in its turn. What the tail has beyond the store when it is asked stays until the page is used.
   * @throws ChatError `unavailable` where this node began again since: what the caller knows is of another view
   */
  async #askStore<Asked, Result>(
    ask: () => Promise<Asked>,
    use: (page: Asked, pin: Pin) => Result | Promise<Result>,
  ): Promise<Result> {
    const { began } = this.#tail;
    const { pin, page } = await this.#inTurn(() => {
      if (this.#tail.began !== began) throw new ChatError('unavailable');
      return this.#pinned(ask);
    });
    try {
      return await use(page, pin);
    } finally {
      pin.release();
    }
  }

  async #pinned<Asked>(ask: () => Promise<Asked>): Promise<{ readonly pin: Pin; readonly page: Asked }> {
    const pin = this.#tail.pin();
    try {
      return { pin, page: await ask() };
    } catch (error) {
      pin.release();
      throw error;
    }
  }

  /**
   * Gathers, from store and tail, the messages that the changes after `upTo` touch, as they were; goes on while the tail brings
   * others.
   * @param use is given the changes and the messages (null: a seq that is none) in the moment when none is missing
   */
  async #withTouched(
    conversation: Conversation,
    upTo: Seq,
    use: (newer: readonly ChangeBody[], bases: ReadonlyMap<Seq, MessageState | null>) => void,
  ): Promise<void> {
    const conv = conversation.id;
    const bases = new Map<Seq, MessageState | null>();
    for (;;) {
      const newer = this.#tail.newer(conv, upTo);
      for (const state of sentIn(newer)) if (!bases.has(state.seq)) bases.set(state.seq, state);
      const missing = newer.flatMap(touchedBy).filter((seq) => !bases.has(seq));
      if (missing.length === 0) return use(newer, bases);
      const stored = await this.#store.messages(conv, [...new Set(missing)]);
      if (stored.upTo > conversation.head.seq) await this.cover();
      for (const seq of missing) bases.set(seq, stored.items.find((item) => item.seq === seq) ?? null);
    }
  }

  async #states(conv: ConvId, seqs: readonly Seq[]): Promise<ReadonlyMap<Seq, MessageState>> {
    const pin = this.#tail.pin();
    try {
      const stored = await this.#store.messages(conv, seqs);
      pin.check();
      const newer = this.#tail.newer(conv, stored.upTo);
      const fresh = newer.flatMap((change) =>
        change.t === 'message' && seqs.includes(change.seq) ? [sentState(change)] : [],
      );
      return new Map(foldAll([...stored.items, ...fresh], newer).map((state) => [state.seq, state]));
    } finally {
      pin.release();
    }
  }
}

/** Of a page and what follows on it, the end. */
function lastThatFit(page: Page, fresh: readonly MessageState[], limit: number, maxBytes: number): Page {
  const items = [...page.items, ...fresh];
  const kept = fitFromEnd(items, limit, maxBytes);
  return { items: kept, more: page.more || kept.length < items.length };
}

/** The tail may know of deletions that the store, when it answered, did not. */
function eraseDeleted(stored: readonly Replay[], newer: readonly Change[]): readonly Replay[] {
  const deletions = newer.filter((change) => change.type === 'delete').map((change) => parseChange(change.wire));
  const deleted = new Set(deletions.flatMap(touchedBy));
  if (deleted.size === 0) return stored;
  return stored.map((replay) =>
    speaksOf(replay.wire, deleted) ? { ...replay, wire: erasedWire(replay.wire) } : replay,
  );
}

function speaksOf(wire: string, messages: ReadonlySet<Seq>): boolean {
  const body = parseChange(wire);
  return (body.t === 'message' && messages.has(body.seq)) || (body.t === 'edit' && messages.has(body.of));
}
