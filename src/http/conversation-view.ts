// Conversations as HTTP shows them: to their members, and to those invited, who see what they are called.
import Type from 'typebox';
import type { Conversation, Create } from '../conversations/index.ts';
import { ChatError } from '../errors.ts';
import type { Freshness } from '../messages/index.ts';
import type { ReadyConv } from '../protocol/answers.ts';
import { isMember, type UserId } from '../protocol/ids.ts';
import type { MessageState } from '../protocol/states.ts';
import type { Domain } from './domain.ts';
import { Id, Kind, MessageShape, Standing } from './schemas.ts';

export interface ConversationView extends ReadyConv, Freshness {
  readonly topic?: string;
  readonly public?: boolean;
  /** The newest message; only in lists. */
  readonly last?: MessageState;
}

const Shape = Type.Object(
  {
    conv: Id,
    kind: Kind,
    title: Type.Optional(Type.String()),
    topic: Type.Optional(Type.String()),
    public: Type.Optional(Type.Boolean()),
    role: Standing,
    seq: Type.Integer({ description: 'Number of its last change.' }),
    n: Type.Integer({ description: 'Number of its last message.' }),
    read: Type.Integer({ description: 'How far the caller has read, in n.' }),
    peer: Type.Optional(Type.String({ description: 'The other side of a direct: a user id.' })),
    last: Type.Optional(MessageShape),
    stale: Type.Optional(Type.Literal(true)),
  },
  { description: 'A conversation.' },
);

/** Shape for the documentation, type from the protocol. */
export const ConversationShape = Type.Unsafe<ConversationView>(Shape);

/** @throws ChatError `not_found` for who is neither a member nor invited */
export function viewOf(conversation: Conversation, user: UserId, read: number): ConversationView {
  const { id: conv, kind, state, head } = conversation;
  const role = conversation.standing(user);
  if (conversation.deleted || role === 'none') throw new ChatError('not_found');
  const { title, topic, public: isPublic } = state;
  const peer = conversation.peerOf(user);
  return {
    conv,
    kind,
    ...(title === undefined ? {} : { title }),
    ...(topic === undefined ? {} : { topic }),
    ...(isPublic === undefined ? {} : { public: isPublic }),
    role,
    seq: head.seq,
    n: head.n,
    read: Math.min(read, head.n),
    ...(peer === undefined ? {} : { peer }),
  };
}

/** One that was made, as its maker was told at first: for a repeat after they left it, or it was deleted. */
export function firstView({ conv, kind, title, topic, public: isPublic }: Create): ConversationView {
  return {
    conv,
    kind,
    ...(title === undefined ? {} : { title }),
    ...(topic === undefined ? {} : { topic }),
    ...(kind === 'room' ? { public: isPublic ?? false } : {}),
    role: 'owner',
    seq: 1,
    n: 0,
    read: 0,
  };
}

/** One conversation as it is now. */
export async function currentView(
  { marks }: Domain,
  conversation: Conversation,
  user: UserId,
): Promise<ConversationView> {
  const own = await marks.ofUser(user);
  return viewOf(conversation, user, own.get(conversation.id)?.read ?? 0);
}

/** A user's conversations, latest active first. */
export async function conversationsOf({ directory }: Domain, user: UserId): Promise<readonly Conversation[]> {
  let ids: Conversation['id'][] = [];
  await directory.ofUser(user, (convs) => {
    ids = [...convs];
  });
  await directory.load(ids);
  return ids
    .flatMap((conv) => directory.peek(conv) ?? [])
    .filter((conversation) => !conversation.deleted && conversation.standing(user) !== 'none')
    .sort((one, other) => compareActivity(activityOf(one), activityOf(other)));
}

/** Entries of a list: with the newest message, for those who may read it. */
export async function listViews(
  { marks, reads }: Domain,
  asked: { readonly conversations: readonly Conversation[]; readonly user: UserId; readonly freshness: Freshness },
): Promise<ConversationView[]> {
  const { conversations, user, freshness } = asked;
  const own = await marks.ofUser(user);
  const views = await Promise.all(
    conversations.map(async (conversation) => {
      const last = isMember(conversation.standing(user)) ? await reads.last(conversation.id, freshness) : undefined;
      // Removed, or the conversation closed, while its newest message was looked up.
      if (conversation.deleted || conversation.standing(user) === 'none') return [];
      const view = viewOf(conversation, user, own.get(conversation.id)?.read ?? 0);
      return [last === undefined ? view : { ...view, last }];
    }),
  );
  return views.flat();
}

/** A place in the list of conversations. */
interface Activity {
  readonly at: number;
  readonly conv: string;
}

export function activityOf({ head, id }: Conversation): Activity {
  return { at: head.at, conv: id };
}

export function compareActivity(one: Activity, other: Activity): number {
  if (one.at !== other.at) return other.at - one.at;
  return one.conv < other.conv ? -1 : Number(one.conv > other.conv);
}

export function writeCursor({ at, conv }: Activity): string {
  return `${at}.${conv}`;
}

/** @throws ChatError `bad_frame` for what is no cursor */
export function readCursor(cursor: string): Activity {
  const [, at, conv] = /^(\d{1,16})\.([A-Za-z0-9_-]{1,40})$/.exec(cursor) ?? [];
  if (at === undefined || conv === undefined) throw new ChatError('bad_frame', { field: 'cursor' });
  return { at: Number(at), conv };
}
