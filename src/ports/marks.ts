// Marks: how far a user has read and received a conversation, in message numbers. Not changes: kept by the last
// write, coalesced, stored within a second, outside the log's promises.
//
// Laws
//  1. `put` sets; the caller has decided (a mark may go back when the user says so).
//  2. A put that resolved is read by every later `of`.
import type { ConvId, MessageNumber, UserId } from '../protocol/ids.ts';

export interface Mark {
  readonly conv: ConvId;
  readonly user: UserId;
  readonly read: MessageNumber;
  readonly received: MessageNumber;
}

export interface MarkStore {
  put(marks: readonly Mark[]): Promise<void>;
  /** All marks of a user. */
  ofUser(user: UserId): Promise<readonly Mark[]>;
  /** All marks in a conversation. */
  inConv(conv: ConvId): Promise<readonly Mark[]>;
}
