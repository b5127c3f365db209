// Who may say, change and delete what, and what change that makes.
import { type Conversation, requireMember } from '../conversations/index.ts';
import { ChatError } from '../errors.ts';
import type { Draft } from '../ports/log.ts';
import { bodyText } from '../protocol/changes.ts';
import { isMember, type Seq, type UserId } from '../protocol/ids.ts';
import { MAX_MENTIONS } from '../protocol/limits.ts';
import type { RequestOf } from '../protocol/requests.ts';
import type { MessageState } from '../protocol/states.ts';

/** A request's fields; its key travels beside it. */
export type MessageWrite = { [Name in 'message' | 'edit' | 'delete']: Omit<RequestOf<Name>, 'id'> }[
  | 'message'
  | 'edit'
  | 'delete'];
type WriteOf<Name> = Extract<MessageWrite, { t: Name }>;

/** What the rules of this folder ask others. */
export interface Lookups {
  /** The state of a message now, or undefined where the seq is none. */
  message(conversation: Conversation, seq: Seq): Promise<MessageState | undefined>;
  /** Ids of users by name, lower case; names nobody has are left out. At once where all are known. */
  idsOf(names: readonly string[]): ReadonlyMap<string, UserId> | Promise<ReadonlyMap<string, UserId>>;
}

type Drafts = readonly Draft[];
const NO_EFFECT: Drafts = [];

/** The drafts of a write that can be decided without waiting, else undefined. @throws ChatError */
export function decideAtOnce(
  conversation: Conversation,
  user: UserId,
  write: MessageWrite,
  lookups: Lookups,
): Drafts | undefined {
  requireMember(conversation, user);
  if (write.t !== 'message') return undefined;
  checkReferences(conversation, write);
  const mentions = findMentions(conversation, write.text, lookups);
  if (!(mentions instanceof Promise)) return messageDrafts(write, mentions);
  // Asked again in its turn, by then from memory; what goes wrong is said then.
  mentions.catch(() => {});
  return undefined;
}

/** The drafts of a write; empty = no effect. @throws ChatError */
export async function decideMessageWrite(
  conversation: Conversation,
  user: UserId,
  write: MessageWrite,
  lookups: Lookups,
): Promise<Drafts> {
  requireMember(conversation, user);
  switch (write.t) {
    case 'message':
      return message(conversation, write, lookups);
    case 'edit':
      return edit(conversation, user, write, lookups);
    case 'delete':
      return deleteForAll(conversation, user, write, lookups);
  }
}

async function message(conversation: Conversation, write: WriteOf<'message'>, lookups: Lookups): Promise<Drafts> {
  checkReferences(conversation, write);
  return messageDrafts(write, await findMentions(conversation, write.text, lookups));
}

function messageDrafts({ text, reply }: WriteOf<'message'>, mentions: Mentions): Drafts {
  return [{ type: 'message', body: messageBody(text, reply, mentions) }];
}

function checkReferences(conversation: Conversation, { reply, thread, files }: WriteOf<'message'>): void {
  if (thread !== undefined) throw new ChatError('bad_frame', { field: 'thread', message: 'There are no threads yet.' });
  if (files !== undefined && files.length > 0) throw new ChatError('not_found', { field: 'files' });
  if (reply !== undefined && reply > conversation.head.seq) throw new ChatError('not_found', { field: 'reply' });
}

/** The common case by hand: one short concatenation instead of an object. */
function messageBody(text: string, reply: Seq | undefined, mentions: readonly string[] | undefined): string {
  if (reply === undefined && mentions === undefined) return `"text":${JSON.stringify(text)}`;
  return bodyText({ text, reply, mentions });
}

async function edit(
  conversation: Conversation,
  user: UserId,
  { seq, text }: WriteOf<'edit'>,
  lookups: Lookups,
): Promise<Drafts> {
  const state = await lookups.message(conversation, seq);
  if (state === undefined) throw new ChatError('not_found', { field: 'seq' });
  if (state.from !== user) throw new ChatError('forbidden');
  if (state.deleted) throw new ChatError('gone');
  if (state.text === text) return NO_EFFECT;
  return [
    { type: 'edit', body: bodyText({ of: seq, text, mentions: await findMentions(conversation, text, lookups) }) },
  ];
}

async function deleteForAll(
  conversation: Conversation,
  user: UserId,
  write: WriteOf<'delete'>,
  lookups: Lookups,
): Promise<Drafts> {
  if (write.for === 'me') throw new ChatError('bad_frame', { field: 'for', message: 'Only "all" is there yet.' });
  const state = await lookups.message(conversation, write.seq);
  if (state === undefined) throw new ChatError('not_found', { field: 'seq' });
  const role = conversation.standing(user);
  if (state.from !== user && role !== 'owner' && role !== 'moderator') throw new ChatError('forbidden');
  if (state.deleted) return NO_EFFECT;
  return [{ type: 'delete', body: bodyText({ of: write.seq }) }];
}

const MENTION = /(?<![A-Za-z0-9_.-])@([A-Za-z0-9_.-]{2,32})/g;

/** `["all"]`, the ids of the members a text names, or undefined where it names nobody. */
type Mentions = readonly string[] | undefined;

function findMentions(conversation: Conversation, text: string, lookups: Lookups): Mentions | Promise<Mentions> {
  if (!text.includes('@')) return undefined;
  const found = new Set([...text.matchAll(MENTION)].map((match) => (match[1] as string).toLowerCase()));
  const names = new Set([...found].slice(0, MAX_MENTIONS).flatMap(spellings));
  if (names.size === 0) return undefined;
  if (names.has('all')) return ['all'];
  const ids = lookups.idsOf([...names]);
  return ids instanceof Promise
    ? ids.then((known) => membersAmong(conversation, known))
    : membersAmong(conversation, ids);
}

function membersAmong(conversation: Conversation, ids: ReadonlyMap<string, UserId>): Mentions {
  const mentioned = [...new Set(ids.values())].filter((id) => isMember(conversation.standing(id)));
  return mentioned.length === 0 ? undefined : mentioned;
}

/** A name at the end of a sentence: `@ann.` means ann, unless somebody is called `ann.`. */
function spellings(name: string): string[] {
  const bare = name.replace(/[.-]+$/, '');
  return bare === name || bare.length < 2 ? [name] : [name, bare];
}
