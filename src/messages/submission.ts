// What goes down the path: a request on its way, and who is to be told what became of it.
import type { ConversationWrite } from '../conversations/index.ts';
import type { Receipt } from '../ports/log.ts';
import type { Key, UserId } from '../protocol/ids.ts';
import type { Lane } from './lane.ts';
import type { MessageWrite } from './rules.ts';

export type Write = MessageWrite | ConversationWrite;

/** A write's way through `accept`. */
export interface Submission {
  readonly user: UserId;
  readonly lane: Lane<Submission>;
  /** Place in its lane, ascending. */
  readonly order: number;
  readonly key: Key | null;
  readonly write: Write;
  /** Set once the log has refused what it was authorised on: from then on it takes a turn, the next one. */
  hasMoved?: boolean;
  /** Called once, with the numbers given (none: no effect) or why not. */
  answer(receipt: (Receipt & { readonly dup: boolean }) | null): void;
  refuse(error: unknown): void;
}

/** Anything that costs a token: a write, or a read that its caller goes on with. */
export interface Arrival {
  readonly user: UserId;
  readonly cost: number;
  readonly submission: Submission | null;
  admit(): void;
  refuse(error: unknown): void;
}

/** Those of members and settings do, and what they overtook: else who speaks while many join would be refused each time. */
export function takesTurn({ write, hasMoved }: Submission): boolean {
  return hasMoved === true || !isMessageWrite(write);
}

/** All others change members or settings. */
export function isMessageWrite(write: Write): write is MessageWrite {
  return write.t === 'message' || write.t === 'edit' || write.t === 'delete';
}
