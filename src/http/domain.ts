// What the routes of conversations and messages call, and how they come to it: reads first cover everything that was
// acknowledged before them (promise 4), writes go down the path under the client's key.
import type { FastifyRequest } from 'fastify';
import type { Accounts } from '../accounts/index.ts';
import { type Conversation, type Directory, type Rooms, requireMember } from '../conversations/index.ts';
import { ChatError } from '../errors.ts';
import { type Path, type Reads, submitWrite, type Write, type Written } from '../messages/index.ts';
import type { ConvId, UserId } from '../protocol/ids.ts';
import type { Marks } from '../receipts/index.ts';
import { callerOf, keyOf } from './policy.ts';

export interface Domain {
  readonly accounts: Accounts;
  readonly directory: Directory;
  readonly marks: Marks;
  readonly path: Path;
  readonly reads: Reads;
  readonly rooms: Rooms;
}

/** The conversation, for a member of it. @throws ChatError `not_found`; `forbidden` for a public room */
export async function conversationOf({ directory }: Domain, conv: ConvId, user: UserId): Promise<Conversation> {
  const conversation = await directory.get(conv);
  if (conversation === undefined) throw new ChatError('not_found');
  requireMember(conversation, user);
  return conversation;
}

/** Sends the caller's write down the path. Null: it had no effect. */
export function write({ path }: Domain, request: FastifyRequest, change: Write): Promise<Written> {
  return submitWrite(path, callerOf(request).user, keyOf(request), change);
}

/** Refuses ids of nobody. */
export async function requireUsers({ accounts }: Domain, ids: readonly UserId[], field: string): Promise<void> {
  const known = new Set((await accounts.profiles(ids)).map(({ id }) => id));
  if (ids.some((id) => !known.has(id))) throw new ChatError('not_found', { field, message: 'There is no such user.' });
}
