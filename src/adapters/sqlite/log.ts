// The log of the embedded mode: group commit into one SQLite file by a thread of its own. While one commit is under
// way the next batch collects; nothing waits longer than that. Refuses a folder that another process uses.
import { ChatError } from '../../errors.ts';
import type { Append, Appended, Change, Log, LogState, Position, Receipt, Tail } from '../../ports/log.ts';
import { countsAsMessage, wireText } from '../../protocol/changes.ts';
import type { ConvId, Key, Millis, UserId } from '../../protocol/ids.ts';
import { changeFrom, Feed, feedTail } from '../feed.ts';
import { crash } from './crash.ts';
import {
  type Committed,
  type LogOptions,
  NUMBERS_PER_ITEM,
  type Opened,
  packCommit,
  VERDICT_DUP,
  VERDICT_NEW,
} from './log-messages.ts';
import { type LogThread, startLogThread } from './log-thread.ts';

/** Changes in one commit: more would make the first of them wait. */
const MAX_COMMIT_CHANGES = 1_024;
/** Accepted and not yet durable, beside the budget: what the main thread holds for a disk that stands still. */
const MAX_PENDING_BYTES = 33_554_432;
/** What a pending change costs beside its body, about. */
const CHANGE_OVERHEAD_BYTES = 320;

interface PendingAppend {
  readonly items: readonly Append[];
  readonly changes: number;
  readonly bytes: number;
  resolve(appended: readonly Appended[]): void;
  reject(error: Error): void;
}

interface PendingTrim {
  readonly upTo: number;
  resolve(): void;
  reject(error: Error): void;
}

export interface SqliteLogOptions extends LogOptions {
  /** Resolves when the store's file has its tables; not given: it has. */
  readonly storeReady?: Promise<unknown>;
  /** Cost of untrimmed changes above which appends are refused. */
  readonly budgetBytes: number;
  readonly now?: () => Millis;
  /** The thread has died, a defect; by default the process does too. */
  readonly onCrash?: (error: Error) => void;
}

/** @throws StartError one line for the operator: the file is in use, foreign, newer, damaged or cannot be written */
export async function openSqliteLog(options: SqliteLogOptions): Promise<Log> {
  const { file, storeFile, storeReady = Promise.resolve() } = options;
  const { thread, opened } = await startLogThread({ file, storeFile }, storeReady);
  return new SqliteLog(thread, opened, options);
}

class SqliteLog implements Log {
  readonly #thread: LogThread;
  readonly #epoch: string;
  readonly #budgetBytes: number;
  readonly #now: () => Millis;
  readonly #feed: Feed;
  #appends: PendingAppend[] = [];
  #trims: PendingTrim[] = [];
  #pendingBytes = 0;
  #untrimmedBytes: number;
  #scheduled = false;
  #committing = false;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(thread: LogThread, opened: Opened, { budgetBytes, now = Date.now, onCrash = crash }: SqliteLogOptions) {
    this.#thread = thread;
    this.#epoch = opened.epoch;
    this.#budgetBytes = budgetBytes;
    this.#now = now;
    this.#untrimmedBytes = opened.untrimmedBytes;
    this.#feed = new Feed({
      epoch: 0,
      head: opened.head,
      trimmed: opened.trimmed,
      parts: 1,
      readPage: (after) => this.#readPage(after),
    });
    thread.onCrash((error) => {
      this.#feed.end(unavailable(error));
      onCrash(error);
    });
  }

  append(items: readonly Append[]): Promise<readonly Appended[]> {
    if (this.#closing !== undefined) return Promise.reject(unavailable('the log is closed'));
    if (items.length === 0) return Promise.resolve([]);
    const { changes, bytes } = sizeOf(items);
    if (!this.#hasRoom(bytes)) return Promise.reject(new ChatError('overloaded'));
    this.#pendingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#appends.push({ items, changes, bytes, resolve, reject });
      this.#schedule();
    });
  }

  #hasRoom(bytes: number): boolean {
    const pending = this.#pendingBytes + bytes;
    return pending <= MAX_PENDING_BYTES && this.#untrimmedBytes + pending <= this.#budgetBytes;
  }

  async recall(conv: ConvId, user: UserId, key: Key): Promise<Receipt | null> {
    try {
      return (await this.#thread.ask({ is: 'recall', conv, user, key })).receipt;
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  tail(after: Position): Tail {
    return feedTail([this.#feed], after);
  }

  /** One process appends, so its own head covers every append that has resolved. */
  async readIndex(): Promise<Position> {
    if (this.#closing !== undefined || this.#thread.dead) throw unavailable('the log is closed');
    return [this.#feed.head];
  }

  state(): LogState {
    return { epoch: this.#epoch, head: [this.#feed.head], trimmed: [this.#feed.trimmed] };
  }

  sameEpoch(_conv: ConvId, epoch: string): boolean {
    return epoch === this.#epoch;
  }

  /** Goes in slices, each with a commit; ends early where the store does not hold the changes yet. */
  async trim(upTo: Position): Promise<void> {
    const target = Math.min(upTo[0] ?? 0, this.#feed.head);
    for (let before = -1; this.#feed.trimmed < target && this.#feed.trimmed > before; ) {
      if (this.#closing !== undefined) throw unavailable('the log is closed');
      before = this.#feed.trimmed;
      await new Promise<void>((resolve, reject) => {
        this.#trims.push({ upTo: target, resolve, reject });
        this.#schedule();
      });
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    while (this.#committing || this.#hasWork()) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#feed.end();
    // A thread that died has nothing to close.
    await this.#thread.ask({ is: 'close' }).catch(() => undefined);
    await this.#thread.ended;
  }

  #hasWork(): boolean {
    return this.#appends.length > 0 || this.#trims.length > 0;
  }

  /** An idle log sends at the end of the turn, with all that the turn brought. */
  #schedule(): void {
    if (this.#committing || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  /** One commit at a time: what comes meanwhile is the next batch. */
  #send(): void {
    if (this.#committing || !this.#hasWork()) return;
    const appends = this.#takeAppends();
    const trims = this.#trims.splice(0);
    const items =
      appends.length === 1 ? (appends[0] as PendingAppend).items : appends.flatMap((append) => append.items);
    const trimTo = trims.reduce((most, { upTo }) => Math.max(most, upTo), 0);
    this.#committing = true;
    this.#thread.ask(packCommit(items, this.#now(), trimTo)).then(
      (committed) => this.#onCommitted(committed, appends, trims),
      (error) => this.#onFailed(error, appends, trims),
    );
  }

  #takeAppends(): PendingAppend[] {
    let count = 0;
    let changes = 0;
    while (count < this.#appends.length && changes < MAX_COMMIT_CHANGES) {
      changes += (this.#appends[count++] as PendingAppend).changes;
    }
    return this.#appends.splice(0, count);
  }

  #onCommitted(committed: Committed, appends: readonly PendingAppend[], trims: readonly PendingTrim[]): void {
    this.#release(appends);
    this.#untrimmedBytes = committed.untrimmedBytes;
    // The worker has the next batch before this thread spends time on the last one.
    this.#send();
    const changes: Change[] = [];
    const answers = appends.map(({ items }) => new Array<Appended>(items.length));
    let slot = 0;
    for (const [index, { items }] of appends.entries()) {
      for (const [place, item] of items.entries()) {
        (answers[index] as Appended[])[place] = appendedFrom(committed, slot, item, changes);
        slot += NUMBERS_PER_ITEM;
      }
    }
    if (changes.length > 0) this.#feed.push(changes);
    if (committed.trimmed > this.#feed.trimmed) this.#feed.forget(committed.trimmed);
    for (const [index, { resolve }] of appends.entries()) resolve(answers[index] as Appended[]);
    for (const { resolve } of trims) resolve();
    this.#idle();
  }

  #onFailed(cause: unknown, appends: readonly PendingAppend[], trims: readonly PendingTrim[]): void {
    this.#release(appends);
    for (const { reject } of [...appends, ...trims]) reject(unavailable(cause));
    this.#send();
    this.#idle();
  }

  #release(appends: readonly PendingAppend[]): void {
    this.#committing = false;
    for (const { bytes } of appends) this.#pendingBytes -= bytes;
  }

  #idle(): void {
    if (!this.#committing) this.#onIdle?.();
  }

  async #readPage(after: number): Promise<readonly Change[] | null> {
    try {
      const { wires } = await this.#thread.ask({ is: 'read', after });
      return wires?.map((wire, index) => changeFrom(0, after + 1 + index, wire)) ?? null;
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

function sizeOf(items: readonly Append[]): { readonly changes: number; readonly bytes: number } {
  let changes = 0;
  let bytes = 0;
  for (const { drafts } of items) {
    changes += drafts.length;
    for (const { body } of drafts) bytes += body.length + CHANGE_OVERHEAD_BYTES;
  }
  return { changes, bytes };
}

/** The answer to an item from its four numbers; its new changes are added to `changes`. */
function appendedFrom({ numbers, before }: Committed, slot: number, item: Append, changes: Change[]): Appended {
  const verdict = numbers[slot];
  const first = numbers[slot + 1] as number;
  const count = numbers[slot + 2] as number;
  const at = numbers[slot + 3] as number;
  if (verdict === VERDICT_DUP) return { is: 'ok', dup: true, seq: first, n: count, at };
  if (verdict !== VERDICT_NEW) return { is: 'moved', guard: first };
  const { conv, from, key } = item;
  let seq = first;
  let messages = count;
  let firstN = 0;
  for (const { type, body } of item.drafts) {
    const n = countsAsMessage(type) ? ++messages : 0;
    if (seq === first) firstN = n;
    const wire = wireText(type, conv, seq, n, from, at, key, body);
    changes.push({ part: 0, offset: before + changes.length + 1, conv, seq, n, type, from, at, key, wire });
    seq++;
  }
  return { is: 'ok', dup: false, seq: first, n: firstN, at };
}

function unavailable(cause: unknown): ChatError {
  return new ChatError('unavailable', { cause: cause instanceof Error ? cause : new Error(String(cause)) });
}
