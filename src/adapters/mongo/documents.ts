// What the collections hold. Wires and states are kept as text: no field of a document, and no part of a query, is ever
// named by a user. Every document is found by its own `_id`; the other ways to find one are in indexes.ts.
import type { Collection, Db } from 'mongodb';
import type { ChangeType } from '../../protocol/changes.ts';
import type { ConvId, Key, MessageNumber, Millis, Seq, SessionId, Standing, UserId } from '../../protocol/ids.ts';

/** In this order: `_id` alone gives the changes of a conversation in theirs. */
export interface ChangeId {
  readonly conv: ConvId;
  readonly seq: Seq;
}

/** Every change for ever. */
export interface ChangeDoc {
  readonly _id: ChangeId;
  readonly type: ChangeType;
  readonly user: UserId;
  readonly key?: Key;
  readonly at: Millis;
  /** Of the conversation after it, and so its own if it is a message. */
  readonly n: MessageNumber;
  /** Of the conversation after it: the last change is the conversation's head. */
  readonly guard: Seq;
  wire: string;
  /** The message an edit belongs to, so that a deletion finds the edits. */
  readonly of?: Seq;
  /** Its seq, on a message whose state nothing has touched: the message is its own state. */
  fresh?: Seq;
}

/** The state of a message that something has acted on. */
export interface TouchedDoc {
  readonly _id: ChangeId;
  readonly rev: Seq;
  readonly state: string;
}

/** The view of a conversation's own fields. Plain messages do not touch it. */
export interface ConvDoc {
  readonly _id: ConvId;
  /** How many there are, invited ones not counted. */
  readonly members: number;
  readonly rev?: Seq;
  readonly state?: string;
  /** The title in lower case. */
  readonly name?: string;
  /** A public room that is not deleted. */
  readonly listed?: boolean;
  readonly deleted?: boolean;
}

export interface MemberId {
  readonly conv: ConvId;
  readonly user: UserId;
}

/** Who left stays with the role none, for sync to tell. */
export interface MemberDoc {
  readonly _id: MemberId;
  readonly role: Standing;
  readonly rev: Seq;
  /** A member or invited. */
  readonly active: boolean;
}

/** A part of the log: its epoch on record, and what of it the store holds. */
export interface PartDoc {
  readonly _id: number;
  readonly epoch: number;
  /** The latest epoch that the log may have changes of. */
  readonly opened?: number;
  readonly offset: number;
  /** The latest time that a key of them carries. */
  readonly latestKeyMs?: Millis;
  /** Grows with each transaction on the part, so that of two that overlap one is repeated, whatever they store. */
  readonly batches: number;
}

/** A session that writes to a part: so that a transaction its process left open can be ended by others. */
export interface WriterDoc {
  readonly _id: { readonly part: number; readonly session: string };
  /** By the database's clock. */
  readonly seenAt: Date;
}

export interface MarkDoc {
  readonly _id: { readonly user: UserId; readonly conv: ConvId };
  readonly read: MessageNumber;
  readonly received: MessageNumber;
}

export interface UserDoc {
  readonly _id: UserId;
  readonly name: string;
  readonly displayName: string;
  /** Lower case, as `emailKey`: what is looked for. */
  readonly displayKey: string;
  readonly email: string;
  readonly emailKey: string;
  readonly password: string;
  readonly createdAt: Millis;
}

export interface SessionDoc {
  readonly _id: SessionId;
  readonly user: UserId;
  readonly createdAt: Millis;
  readonly generation: number;
  readonly rotatedAt: Millis;
  readonly ended: boolean;
  /** By the database's clock; only of those that have ended. */
  readonly endedAt?: Date;
  /** By the database's clock. */
  readonly usedAt: Date;
}

/** A refresh token that was issued, by its hash. */
export interface TokenDoc {
  readonly _id: string;
  readonly session: SessionId;
  readonly generation: number;
  /** By the database's clock. */
  readonly issuedAt: Date;
}

/** The one log whose changes are here. */
export interface LogDoc {
  readonly _id: 'log';
  readonly id: string;
  readonly parts: number;
}

export interface NodeDoc {
  readonly _id: string;
  /** JSON. */
  readonly report: string;
  /** When its lease runs out, by the database's clock. */
  readonly until: Date;
}

/** Whose database this is, and which version wrote it last. */
export interface AboutDoc {
  readonly _id: 'store';
  readonly version: number;
}

interface Documents {
  readonly changes: ChangeDoc;
  readonly touched: TouchedDoc;
  readonly convs: ConvDoc;
  readonly members: MemberDoc;
  readonly parts: PartDoc;
  readonly writers: WriterDoc;
  readonly marks: MarkDoc;
  readonly users: UserDoc;
  readonly sessions: SessionDoc;
  readonly tokens: TokenDoc;
  readonly log: LogDoc;
  readonly nodes: NodeDoc;
  readonly about: AboutDoc;
}

export type CollectionName = keyof Documents;
export type Collections = { readonly [Name in CollectionName]: Collection<Documents[Name]> };

export function collectionsOf(db: Db): Collections {
  return {
    changes: db.collection('changes'),
    touched: db.collection('touched'),
    convs: db.collection('convs'),
    members: db.collection('members'),
    parts: db.collection('parts'),
    writers: db.collection('writers'),
    marks: db.collection('marks'),
    users: db.collection('users'),
    sessions: db.collection('sessions'),
    tokens: db.collection('tokens'),
    log: db.collection('log'),
    nodes: db.collection('nodes'),
    about: db.collection('about'),
  };
}
