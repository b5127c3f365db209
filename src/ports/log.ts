// The log: the truth. An ordered, durable sequence of changes, cut into parts (a part holds a fixed share of
// the conversations; embedded mode has one). Everything else is a reader of it.
//
// Laws
//  1. `seq` per conversation is dense and ascending from 1; `n` counts its messages the same way. `at` never decreases in it.
//  2. The same (conversation, user, key) gives the same result for ever, concurrently too: first with `dup:false`, then with `dup:true`.
//     The key is looked up before the guard.
//  3. When `append` resolves, its changes survive kill -9 and power loss.
//  4. A tail from a position misses nothing and repeats nothing, or fails with PositionLost.
//  5. A change is visible to no tail before it is durable.
//  6. A log that lost anything durable has a new epoch for the parts that lost. Under one epoch no `seq` is given to two changes.
//  7. Reading below the trim point fails with PositionLost; it never silently starts later.
//  8. Any number of writers keep laws 1 and 2.
//  9. A slow tail costs bounded memory.
// 10. `readIndex` covers everything whose `append` had resolved, anywhere, before it was asked.
// 11. An `append` whose guard is not the conversation's current guard writes nothing and answers `moved`.
//     The guard is the seq of the last change of membership or settings; 0 stands for "does not exist".
// 12. `append` answers in the order of its items, and items of one conversation from one caller are numbered in the
//     order they were given. The changes of one item are numbered consecutively, all or none.
import type { ChangeType } from '../protocol/changes.ts';
import type { ConvId, Key, MessageNumber, Millis, Seq, UserId } from '../protocol/ids.ts';

/** One number a part: the offset of the last change covered in it, 0 = none. Offsets are dense from 1 in each part. */
export type Position = readonly number[];

/** One durable change, as the log holds it. */
export interface Change {
  readonly part: number;
  readonly offset: number;
  readonly conv: ConvId;
  readonly seq: Seq;
  /** 0 unless it is a message. */
  readonly n: MessageNumber;
  readonly type: ChangeType;
  readonly from: UserId;
  readonly at: Millis;
  readonly key: Key | null;
  /** The push, byte for byte (protocol/changes.ts `wireText`). */
  readonly wire: string;
}

/** A change before it has its number. */
export interface Draft {
  readonly type: ChangeType;
  /** The fields beside the envelope, as the inside of a JSON object (protocol/changes.ts `bodyText`). */
  readonly body: string;
}

export interface Append {
  readonly conv: ConvId;
  readonly from: UserId;
  /** The idempotency key; null for changes that need none (then there is no law 2 for it). */
  readonly key: Key | null;
  /** The guard the authorisation was based on; 0 = the conversation must not exist yet. */
  readonly guard: Seq;
  /** At least one. With a key exactly one. */
  readonly drafts: readonly Draft[];
}

/** What an idempotency key stands for: the numbers of the change it made first. */
export interface Receipt {
  readonly seq: Seq;
  /** 0 unless it is a message. */
  readonly n: MessageNumber;
  readonly at: Millis;
}

export type Appended =
  /** Numbers of the first change of the item. */
  | ({ readonly is: 'ok'; readonly dup: boolean } & Receipt)
  /** Law 11; `guard` is the current one. */
  | { readonly is: 'moved'; readonly guard: Seq };

/** The head of a conversation: its last numbers and its guard. */
export interface Head {
  readonly seq: Seq;
  readonly n: MessageNumber;
  readonly guard: Seq;
  readonly at: Millis;
}

export interface LogState {
  readonly epoch: string;
  /** The last durable change of each part this node knows of. */
  readonly head: Position;
  /** Changes up to here are no longer in the log. */
  readonly trimmed: Position;
}

export interface Tail extends AsyncIterableIterator<readonly Change[]> {
  /** The epochs of the parts, one number each, for as long as the tail lasts: a part with a new one is lost to it. */
  readonly epochs: readonly number[];
  /** Ends the iteration; a pending `next` resolves as done. */
  return(): Promise<IteratorResult<readonly Change[]>>;
}

export interface Log {
  /**
   * Appends items; resolves when all are durable.
   * @throws ChatError `overloaded` (the log is over its budget) or `unavailable` (outcome unknown): for the batch as a whole
   */
  append(items: readonly Append[]): Promise<readonly Appended[]>;

  /** What a key stands for, or null. Law 2; sees everything durable when it was asked. */
  recall(conv: ConvId, user: UserId, key: Key): Promise<Receipt | null>;

  /**
   * The changes after a position, then the live ones: batches in order of `offset` within each part.
   * A batch is what became readable since the last `next`; it is never empty and bounded in size.
   * @param parts only these; all where left out
   * @throws PositionLost from `next`
   */
  tail(after: Position, parts?: readonly number[]): Tail;

  /** Law 10. @throws ChatError `unavailable` */
  readIndex(): Promise<Position>;

  state(): LogState;

  /** Whether the part that holds the conversation is still the one a packed epoch was told for. */
  sameEpoch(conv: ConvId, epoch: string): boolean;

  /** Lets go of the changes up to a position: the store holds them, and no tail of this node needs them. */
  trim(upTo: Position): Promise<void>;

  close(): Promise<void>;
}

/** A tail that cannot go on without a gap. The reader starts again from the store. */
export class PositionLost extends Error {
  override name = 'PositionLost';
}

/** Whether a position includes a change. */
export function covers(position: Position, change: { readonly part: number; readonly offset: number }): boolean {
  return (position[change.part] ?? 0) >= change.offset;
}
