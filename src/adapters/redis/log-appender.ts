// Appends on their way to Redis: a queue a part, one call under way a part, and the next batch collects meanwhile. What the
// script cannot decide alone (a conversation it has no head of, a key that may be old) is held back with all that follows in
// its conversation, looked up, and sent again in its place.
import { ChatError } from '../../errors.ts';
import type { Append, Appended, Head, Receipt } from '../../ports/log.ts';
import type { ConvId, Key, Millis, UserId } from '../../protocol/ids.ts';
import { keyTimeMs } from '../../protocol/key-time.ts';
import { partOf } from './log-keys.ts';

/** Of one call: more would make the first of them wait, and Redis stand still for all others. */
const MAX_CALL_CHANGES = 512;
const MAX_CALL_BYTES = 524_288;
/** Accepted and not yet durable: what a node holds for a Redis that stands still. */
const MAX_PENDING_BYTES = 33_554_432;
const CHANGE_OVERHEAD_BYTES = 320;
/** Within this of the server's time the script knows a key by itself (log-append.lua, WINDOW), a little less. */
const FRESH_KEY_MS = 110_000;

/** How long a look may take: a node cut off from the log never sees what it would have to cover. */
const LOOK_WITHIN_MS = 2_500;

const NO_HEAD: Head = { seq: 0, n: 0, guard: 0, at: 0 };

const NEW = '0';
const REPEATED = '1';
const MOVED = '2';
const NEEDS_LOOK = '4';

/** What the script says: its status, the server's time, the verdicts, the part's head after it, how a seed must end. */
export type CallAnswer = readonly [
  status: 'ok' | 'epoch' | 'short' | 'full' | 'stuck',
  nowMs: Millis,
  verdicts: string,
  head: number,
  seedMark?: string,
];

/** When a look began, as the script told. */
interface Look {
  readonly nowMs: Millis;
  readonly seedMark: string;
}

/** What is known beside Redis. */
export interface Lookback {
  /** What a key stands for; sees every change whose append had resolved, anywhere, before the call. */
  recall(conv: ConvId, user: UserId, key: Key): Promise<Receipt | null>;
  /** The store's heads; unknown ones are left out. A conversation without a head in Redis has no change the store lacks. */
  heads(convs: readonly ConvId[]): Promise<ReadonlyMap<ConvId, Head>>;
}

interface Deps {
  readonly parts: number;
  readonly lookback: Lookback;
  /** Runs the script for items of one part. @throws when its outcome is unknown */
  call(part: number, items: readonly string[]): Promise<CallAnswer>;
}

/** One `append`, until all its items are answered. */
interface Pending {
  readonly answers: Appended[];
  missing: number;
  readonly bytes: number;
  resolve(answers: readonly Appended[]): void;
  reject(error: Error): void;
}

/** One item of it. */
interface Entry {
  readonly append: Append;
  readonly part: number;
  readonly pending: Pending;
  readonly index: number;
  readonly keyMs: number;
  /** The script does not know whether the key is new. */
  needsLook: boolean;
  /** The server's time before the key was looked up. */
  lookedMs: Millis | null;
  /** The store's head, for a conversation Redis has none of. */
  seed: string;
}

export class Appender {
  readonly #deps: Deps;
  readonly #queues: Entry[][];
  readonly #underWay: boolean[];
  /** Conversations with something to look up, and all that waits for it, in order. */
  readonly #held = new Map<ConvId, Entry[]>();
  #pendingBytes = 0;
  #pendings = 0;
  #scheduled = false;
  #onIdle: (() => void) | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#queues = Array.from({ length: deps.parts }, () => []);
    this.#underWay = Array.from({ length: deps.parts }, () => false);
  }

  append(items: readonly Append[]): Promise<readonly Appended[]> {
    if (items.length === 0) return Promise.resolve([]);
    const bytes = items.reduce((sum, item) => sum + costOf(item), 0);
    if (this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
      return Promise.reject(new ChatError('overloaded'));
    }
    this.#pendingBytes += bytes;
    this.#pendings++;
    return new Promise((resolve, reject) => {
      const pending: Pending = { answers: new Array(items.length), missing: items.length, bytes, resolve, reject };
      for (const [index, append] of items.entries()) this.#enqueue(entryOf(append, index, pending, this.#deps.parts));
      this.#schedule();
    });
  }

  /** Resolves when everything accepted has been answered. */
  async idle(): Promise<void> {
    while (this.#pendings > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
  }

  #enqueue(entry: Entry): void {
    const held = this.#held.get(entry.append.conv);
    if (held !== undefined) held.push(entry);
    else this.#queues[entry.part]?.push(entry);
  }

  /** At the end of the turn, with all that the turn brought. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (let part = 0; part < this.#queues.length; part++) this.#send(part);
    });
  }

  #send(part: number): void {
    const queue = this.#queues[part] as Entry[];
    if (this.#underWay[part] || queue.length === 0) return;
    const batch = takeBatch(queue);
    this.#underWay[part] = true;
    this.#deps.call(part, batch.flatMap(argumentsOf)).then(
      (answer) => this.#onAnswer(part, batch, answer),
      (error) => this.#onUnknown(part, batch, error),
    );
  }

  #onAnswer(part: number, batch: readonly Entry[], answer: CallAnswer): void {
    const [status, nowMs, text, , seedMark = ''] = answer;
    this.#underWay[part] = false;
    if (status !== 'ok') return this.#onUnknown(part, batch, refusalOf(status));
    const verdicts = text.split(',');
    const undecided: Entry[] = [];
    for (const [index, entry] of batch.entries()) {
      const verdict = verdicts[index] ?? '';
      const appended = appendedFrom(verdict);
      entry.needsLook = verdict === NEEDS_LOOK;
      if (appended === null) undecided.push(entry);
      else this.#settle(entry, appended);
    }
    for (const [conv, entries] of Map.groupBy(undecided, ({ append }) => append.conv)) {
      this.#holdBack(part, conv, entries, { nowMs, seedMark });
    }
    this.#send(part);
  }

  #onUnknown(part: number, batch: readonly Entry[], cause: unknown): void {
    this.#underWay[part] = false;
    for (const { pending } of batch) this.#fail(pending, cause);
    this.#send(part);
  }

  /** What came meanwhile for the conversation goes behind what is held back. */
  #holdBack(part: number, conv: ConvId, entries: readonly Entry[], look: Look): void {
    const queue = this.#queues[part] as Entry[];
    const held = [...entries, ...queue.filter((entry) => entry.append.conv === conv)];
    this.#queues[part] = queue.filter((entry) => entry.append.conv !== conv);
    this.#held.set(conv, held);
    inTime(this.#lookUp(conv, entries, look)).then(
      () => this.#release(part, conv),
      (error) => {
        for (const { pending } of entries) this.#fail(pending, error);
        this.#release(part, conv);
      },
    );
  }

  async #lookUp(conv: ConvId, entries: readonly Entry[], { nowMs, seedMark }: Look): Promise<void> {
    const { lookback } = this.#deps;
    const isOld = ({ keyMs }: Entry) => Math.abs(nowMs - keyMs) > FRESH_KEY_MS;
    // Soon after an epoch has begun, or where keys of a time to come were sent, fresh ones are looked up too: then those
    // behind in the queue as well, in the same go.
    const isEarly = entries.some((entry) => entry.needsLook && !isOld(entry));
    const keyed = entries.filter((entry) => entry.append.key !== null && (isEarly || isOld(entry)));
    const [heads, ...receipts] = await Promise.all([
      lookback.heads([conv]),
      ...keyed.map(({ append }) => lookback.recall(conv, append.from, append.key as Key)),
    ]);
    const { seq, n, guard, at } = heads.get(conv) ?? NO_HEAD;
    for (const entry of entries) entry.seed = `${seq} ${n} ${guard} ${at} ${seedMark}`;
    for (const [index, entry] of keyed.entries()) {
      const receipt = receipts[index] ?? null;
      if (receipt === null) entry.lookedMs = nowMs;
      else this.#settle(entry, { is: 'ok', dup: true, ...receipt });
    }
  }

  #release(part: number, conv: ConvId): void {
    const held = this.#held.get(conv) ?? [];
    this.#held.delete(conv);
    const waiting = held.filter(({ pending, index }) => pending.missing > 0 && pending.answers[index] === undefined);
    this.#queues[part]?.unshift(...waiting);
    this.#send(part);
  }

  #settle({ pending, index }: Entry, answer: Appended): void {
    if (pending.missing === 0) return;
    pending.answers[index] = answer;
    if (--pending.missing > 0) return;
    pending.resolve(pending.answers);
    this.#forget(pending);
  }

  #fail(pending: Pending, cause: unknown): void {
    if (pending.missing === 0) return;
    pending.missing = 0;
    pending.reject(cause instanceof ChatError ? cause : new ChatError('unavailable', { cause }));
    this.#forget(pending);
  }

  #forget({ bytes }: Pending): void {
    this.#pendingBytes -= bytes;
    if (--this.#pendings === 0) this.#onIdle?.();
  }
}

function entryOf(append: Append, index: number, pending: Pending, parts: number): Entry {
  const { conv, key } = append;
  return {
    append,
    part: partOf(conv, parts),
    pending,
    index,
    keyMs: key === null ? -1 : keyTimeMs(key),
    needsLook: false,
    lookedMs: null,
    seed: '',
  };
}

/** As log-append.lua reads them. */
function argumentsOf({ append, keyMs, lookedMs, seed }: Entry): string[] {
  const { conv, from, key, guard, drafts } = append;
  const types = drafts.length === 1 ? drafts[0]?.type : drafts.map(({ type }) => type).join();
  const facts = `${conv} ${from} ${key ?? '-'} ${keyMs} ${guard} ${lookedMs ?? '-'} ${types} ${seed || '-'}`;
  return drafts.length === 1 ? [facts, drafts[0]?.body ?? ''] : [facts, ...drafts.map(({ body }) => body)];
}

function takeBatch(queue: Entry[]): Entry[] {
  let count = 0;
  let changes = 0;
  let bytes = 0;
  while (count < queue.length && changes < MAX_CALL_CHANGES && bytes < MAX_CALL_BYTES) {
    const { append } = queue[count++] as Entry;
    changes += append.drafts.length;
    bytes += costOf(append);
  }
  return queue.splice(0, count);
}

function costOf({ drafts }: Append): number {
  return drafts.reduce((sum, { body }) => sum + body.length + CHANGE_OVERHEAD_BYTES, 0);
}

/** Null: it needs a look, or waits for one. */
function appendedFrom(verdict: string): Appended | null {
  const [is, first, n, at] = verdict.split(' ');
  switch (is) {
    case NEW:
    case REPEATED:
      return { is: 'ok', dup: is === REPEATED, seq: Number(first), n: Number(n), at: Number(at) };
    case MOVED:
      return { is: 'moved', guard: Number(first) };
    default:
      return null;
  }
}

function refusalOf(status: Exclude<CallAnswer[0], 'ok'>): ChatError {
  if (status === 'full') return new ChatError('overloaded');
  return new ChatError('unavailable', { cause: new Error(`the log answers "${status}"`) });
}

/** @throws ChatError `unavailable` */
async function inTime<Result>(look: Promise<Result>): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new ChatError('unavailable')), LOOK_WITHIN_MS);
  try {
    return await Promise.race([look, late]);
  } finally {
    clearTimeout(timer);
  }
}
