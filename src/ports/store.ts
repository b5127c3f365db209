// The store: a view of the log fit for queries. It keeps every change for ever, and beside them views:
// the state of messages that were touched later, members, conversations. Views can be rebuilt from the changes.
// A message nobody touched is stored once.
//
// Laws
//  1. `apply` takes changes in log order; applying again, or older ones, changes nothing.
//  2. A batch that would leave a hole in the numbers of any conversation is refused as a whole (HoleError).
//  3. `watermark` and everything it covers become durable together; it never goes back.
//  4. (conversation, user, key) is unique; `recall` answers for every change ever applied.
//  5. A read sees one moment: its `upTo` is the conversation's last applied seq at that moment, and the items are the
//     states after exactly the changes up to it.
//  6. States are the protocol's fold (protocol/states.ts) of the changes.
//  7. Deleting for all erases the content from the changes too: the message and its edits read `text:""`, `deleted:true`.
//  8. `history` and `sync` cost O(log n + answer), whatever the conversation's length.
//  9. A read covers every `apply` that had resolved before it was asked.
// 10. A batch read under an epoch that has ended is refused as a whole (EpochError), where epochs are on record (log-record.ts).
// 11. A page ends after `limit` items, or with the item that brings it to `maxBytes` (as stored; left out: unbounded). It has
//     one item at least where there are any.
import type { ConvId, Key, Seq, UserId } from '../protocol/ids.ts';
import type { ItemState, MessageState } from '../protocol/states.ts';
import type { Change, Head, Position, Receipt } from './log.ts';

/** Which messages of a conversation: the newest below `before`, or the oldest above `after`; by `seq`, exclusive, ascending in the answer. */
export type HistoryRange = { readonly before: Seq } | { readonly after: Seq };

export interface HistoryPage {
  readonly items: readonly MessageState[];
  readonly more: boolean;
  readonly upTo: Seq;
}

export interface SyncPage {
  /** Ascending by `rev`; items of one rev are never split, so there can be a few more than `limit`. */
  readonly items: readonly ItemState[];
  /** Everything that changed in (after, to] is in `items`, unless it changed again after `to`. */
  readonly to: Seq;
  readonly upTo: Seq;
}

/** A stored change as replayed to a reader: its number and its (perhaps erased) wire text. */
export interface StoredChange {
  readonly seq: Seq;
  readonly wire: string;
}

export interface MessageStore {
  /**
   * Stores changes and moves the watermark to `upTo`, in one commit.
   * @param epochs of the parts, as told by the tail that the changes come from (law 10); left out: none are on record
   * @throws HoleError, EpochError, PoisonError; then nothing is stored
   */
  apply(changes: readonly Change[], upTo: Position, epochs?: readonly number[]): Promise<void>;
  watermark(): Promise<Position>;
  /** A page of the changes with seq > after, ascending. */
  changes(
    conv: ConvId,
    after: Seq,
    limit: number,
    maxBytes?: number,
  ): Promise<{ readonly changes: readonly StoredChange[]; readonly upTo: Seq }>;
  history(conv: ConvId, range: HistoryRange, limit: number, maxBytes?: number): Promise<HistoryPage>;
  sync(conv: ConvId, after: Seq, limit: number, maxBytes?: number): Promise<SyncPage>;
  /** Current states of the messages with these seqs; seqs that are no message are left out. */
  messages(
    conv: ConvId,
    seqs: readonly Seq[],
  ): Promise<{ readonly items: readonly MessageState[]; readonly upTo: Seq }>;
  recall(conv: ConvId, user: UserId, key: Key): Promise<Receipt | null>;
  /** The heads of conversations; unknown ones are left out. For the log's cold conversations. */
  heads(convs: readonly ConvId[]): Promise<ReadonlyMap<ConvId, Head>>;
}

/** A batch that does not follow on what the store holds. A defect or a lost log: never stored. */
export class HoleError extends Error {
  override name = 'HoleError';
  readonly conv: ConvId;
  readonly expected: Seq;
  readonly found: Seq;

  constructor(conv: ConvId, expected: Seq, found: Seq) {
    super(`conversation ${conv}: expected seq ${expected}, found ${found}`);
    this.conv = conv;
    this.expected = expected;
    this.found = found;
  }
}

/** A batch of a log that lost it: the part has begun a new epoch since it was read. */
export class EpochError extends Error {
  override name = 'EpochError';
}

/** A batch with a change that the store can never take, for what it is (too large, a key that stands for another change). */
export class PoisonError extends Error {
  override name = 'PoisonError';
}
