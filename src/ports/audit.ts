// Audits: what log and store hold, row by row, as `verify` compares it, and the writes that mend a view. Servers may run
// while an audit reads: each law says what a reading covers, so that what moves meanwhile is never taken for a fault.
//
// Laws
//  1. Only `mend` writes, and it writes views: no wire text, no number of a change, nothing of the log.
//  2. `totals` is of one moment: the store's facts, and the last change of every conversation, ascending by conversation.
//  3. The rows of a `range` are of one moment, each kind ascending by conversation and then by its own name: binary order.
//     A range that follows on another one leaves no conversation out.
//  4. `look` covers every append that had resolved before it was asked, and of each part it is one moment.
//  5. `entries` are those after the look's `trimmed`, up to its `head`, in order; what has been trimmed since may be left out,
//     which a later look tells. What cannot be read as a change is told as such, and never left out.
//  6. Each read begins after it was asked: of two that are awaited one after the other the second is the later one.
//  7. `mend` is whole or nothing, and doing it again changes nothing. A range that is read meanwhile stays of its moment.
import type { ConvId, ConvKind, MessageNumber, Seq, Standing, UserId } from '../protocol/ids.ts';
import type { Change, Head, Position, Receipt } from './log.ts';
import type { Mark } from './marks.ts';

/** A conversation's numbers after a change. */
export interface Numbers {
  readonly n: MessageNumber;
  readonly guard: Seq;
}

/** A change as the store keeps it. */
export interface ChangeRow extends Omit<Change, 'part' | 'offset'> {
  /** The message that an edit belongs to. */
  readonly of: Seq | null;
  /** Of a message: nothing has touched it, so it is its own state; null: what says so is wrong in itself. */
  readonly isOwnState: boolean | null;
  /** Where they are kept with each change. */
  readonly after: Numbers | null;
}

/** The view of a conversation's own fields. */
export interface ConvRow {
  readonly conv: ConvId;
  /** Null where the last change is what tells it. */
  readonly head: Head | null;
  /** How many there are, invited ones not counted. */
  readonly members: number;
  readonly kind: ConvKind | null;
  /** The title in lower case. */
  readonly name: string;
  /** A public room that is not deleted. */
  readonly listed: boolean;
  readonly deleted: boolean;
  readonly rev: Seq | null;
  /** JSON. */
  readonly state: string | null;
}

export interface MemberRow {
  readonly conv: ConvId;
  readonly user: UserId;
  readonly role: Standing;
  readonly rev: Seq;
  /** Found as one who is in or invited. */
  readonly active: boolean;
}

/** The state of a message that something has acted on. */
export interface TouchedRow {
  readonly conv: ConvId;
  readonly seq: Seq;
  readonly rev: Seq;
  /** JSON. */
  readonly state: string;
}

/** Page by page. */
export type Rows<Row> = AsyncIterable<readonly Row[]>;

/** What the changes of some conversations are, and what they add up to. */
export interface ViewRows {
  changes(): Rows<ChangeRow>;
  convs(): Rows<ConvRow>;
  members(): Rows<MemberRow>;
  touched(): Rows<TouchedRow>;
}

export interface StoreRows extends ViewRows {
  /** Ascending by conversation. */
  marks(): Rows<Mark>;
}

export interface RecordedPart {
  readonly epoch: number;
  readonly opened: number;
}

/** What the store says of the log. */
export interface StoreFacts {
  readonly watermark: Position;
  /** Null where the log is not on record (ports/log-record.ts). */
  readonly record: { readonly id: string; readonly parts: readonly RecordedPart[] } | null;
}

export interface Totals {
  readonly facts: StoreFacts;
  readonly heads: Rows<readonly [conv: ConvId, last: Seq]>;
}

/** A row of a view as it has to be; null: it has to go. */
export type Mend =
  | { readonly is: 'conv'; readonly conv: ConvId; readonly row: ConvRow | null }
  | { readonly is: 'member'; readonly conv: ConvId; readonly user: UserId; readonly row: MemberRow | null }
  | { readonly is: 'touched'; readonly conv: ConvId; readonly seq: Seq; readonly row: TouchedRow | null }
  /** What stands beside a change for the sake of the views. */
  | { readonly is: 'change'; readonly row: Pick<ChangeRow, 'conv' | 'seq' | 'type' | 'of' | 'isOwnState' | 'after'> }
  | { readonly is: 'mark'; readonly row: Mark };

export interface StoreAudit {
  facts(): Promise<StoreFacts>;
  totals<Result>(read: (totals: Totals) => Promise<Result>): Promise<Result>;
  /** In no order; those that are not stored are left out. */
  stored(names: readonly Pick<ChangeRow, 'conv' | 'seq'>[]): Promise<readonly ChangeRow[]>;
  /** @param after exclusive; null: from the first conversation  @param upTo inclusive; null: to the last one */
  range<Result>(after: ConvId | null, upTo: ConvId | null, read: (rows: StoreRows) => Promise<Result>): Promise<Result>;
  heads(convs: readonly ConvId[]): Promise<ReadonlyMap<ConvId, Head>>;
  unknownUsers(users: readonly UserId[]): Promise<readonly UserId[]>;
  /** What is wrong with the files themselves; a line each. */
  damage(): Rows<string>;
  /** @throws StartError somebody writes to the store meanwhile; nothing is mended then */
  mend(mends: readonly Mend[]): Promise<void>;
  close(): Promise<void>;
}

export interface LogPart {
  /** Of the log on record; null where there is none. */
  readonly id: string | null;
  /** 0: nothing of this part has ever begun. */
  readonly epoch: number;
  readonly trimmed: number;
  readonly head: number;
}

export interface LogEntry {
  readonly offset: number;
  readonly epoch: number;
  /** Null: not one that the log itself has written. */
  readonly change: Change | null;
}

/** A head as the log's server remembers it, with the offset of the conversation's last change. */
export interface LogHead extends Head {
  readonly conv: ConvId;
  readonly offset: number;
}

/** A receipt of a key, by its name, which stands for conversation, user and key. */
export interface NamedReceipt extends Receipt {
  readonly name: string;
}

/** What the log's server remembers beside the changes. */
export interface LogMemory {
  heads(part: number): Rows<LogHead>;
  headsOf(convs: readonly ConvId[]): Promise<ReadonlyMap<ConvId, LogHead>>;
  /** Those of the part's epoch. Bounded: `isAll` tells whether there are more. */
  receipts(part: number): Promise<{ readonly receipts: readonly NamedReceipt[]; readonly isAll: boolean }>;
  nameOf(change: Pick<Change, 'conv' | 'from' | 'key'>): string;
  /** By place in `changes`; undefined where none can be expected any more, null where one has to be and is not. */
  receiptsOf(changes: readonly LogEntry[]): Promise<readonly (Receipt | null | undefined)[]>;
}

export interface LogAudit {
  /** Null where it is in a process's memory only. */
  readonly memory: LogMemory | null;
  look(): Promise<readonly LogPart[]>;
  entries(part: number): Rows<LogEntry>;
  partOf(conv: ConvId): number;
  damage(): Rows<string>;
  close(): Promise<void>;
}

/** An empty store that takes changes and folds them as any store does: what the views of another one are measured by. */
export interface Scratch extends ViewRows {
  /**
   * In order, and without holes in any conversation.
   * @returns those whose key an earlier change has: they are taken without it
   */
  take(changes: readonly Change[]): readonly Change[];
  isMessage(conv: ConvId, seq: Seq): boolean;
  head(conv: ConvId): Head | null;
  clear(): void;
  close(): void;
}

export interface Audit {
  readonly store: StoreAudit;
  readonly log: LogAudit;
  readonly scratch: Scratch;
}
