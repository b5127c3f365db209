// The store's view of conversations and their members. Written only by MessageStore.apply; read here.
//
// Laws
//  1. Answers are the fold of the changes applied (protocol/states.ts) and tell up to which seq (`head.seq`).
//  2. `ofUser` names every conversation the user is a member of or invited to, at one moment.
//  3. A deleted conversation is loaded as `deleted`, and is in no list.
import type { ConvId, Role, Standing, UserId } from '../protocol/ids.ts';
import type { ConvState } from '../protocol/states.ts';
import type { Head } from './log.ts';

export interface StoredConv {
  readonly conv: ConvId;
  readonly state: ConvState;
  readonly head: Head;
  /** Everyone who is a member or invited. */
  readonly members: readonly { readonly user: UserId; readonly role: Standing }[];
}

export interface RoomEntry {
  readonly conv: ConvId;
  readonly title?: string;
  readonly topic?: string;
  readonly members: number;
}

export interface ConversationStore {
  /** Unknown ids are left out. */
  load(convs: readonly ConvId[]): Promise<readonly StoredConv[]>;
  /** Ids of all conversations of a user, `invited` ones included, in no order. */
  ofUser(user: UserId): Promise<readonly { readonly conv: ConvId; readonly role: Role | 'invited' }[]>;
  /** Public rooms whose title contains `query` (without case), by title then id, after the entry `cursor` names. */
  rooms(
    query: string,
    cursor: string | null,
    limit: number,
  ): Promise<{ readonly items: readonly RoomEntry[]; readonly cursor: string | null }>;
}
