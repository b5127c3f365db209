// Who may change what of a conversation and its members, and what change that makes. Each rule is given the conversation as
// this node sees it and answers the drafts to append, or none where the request has no effect.
import { ChatError } from '../errors.ts';
import type { Draft } from '../ports/log.ts';
import { bodyText, type ConvFields, type MemberAct } from '../protocol/changes.ts';
import { type ConvId, type ConvKind, isMember, type Role, type Standing, type UserId } from '../protocol/ids.ts';
import { MAX_TITLE, MAX_TOPIC, MAX_USERS_PER_REQUEST } from '../protocol/limits.ts';
import { checkText } from '../protocol/text.ts';
import type { Conversation } from './directory.ts';

export interface Create {
  readonly t: 'create';
  readonly conv: ConvId;
  readonly kind: ConvKind;
  readonly title?: string;
  readonly topic?: string;
  readonly public?: boolean;
  /** Everyone but the creator. Known users. */
  readonly others: readonly UserId[];
}

export interface Settings {
  readonly t: 'settings';
  readonly conv: ConvId;
  readonly fields: Pick<ConvFields, 'title' | 'topic' | 'public'>;
}

export type ConversationWrite =
  | Create
  | Settings
  | { readonly t: 'close'; readonly conv: ConvId }
  | { readonly t: 'join'; readonly conv: ConvId }
  | { readonly t: 'leave'; readonly conv: ConvId }
  | { readonly t: 'add'; readonly conv: ConvId; readonly users: readonly UserId[] }
  | { readonly t: 'kick'; readonly conv: ConvId; readonly user: UserId }
  | { readonly t: 'role'; readonly conv: ConvId; readonly user: UserId; readonly role: Role };

const NO_EFFECT: readonly Draft[] = [];

/** The drafts of a write on an existing conversation; empty = no effect. @throws ChatError */
export function decideConversationWrite(
  conversation: Conversation,
  user: UserId,
  write: Exclude<ConversationWrite, Create>,
): readonly Draft[] {
  switch (write.t) {
    case 'settings':
      return settings(conversation, user, write);
    case 'close':
      requireRole(conversation, user, ['owner']);
      return [{ type: 'conv', body: bodyText({ deleted: true }) }];
    case 'join':
      return join(conversation, user);
    case 'leave':
      return leave(conversation, user);
    case 'add':
      return add(conversation, user, write.users);
    case 'kick':
      return kick(conversation, user, write.user);
    case 'role':
      return changeRole(conversation, user, write.user, write.role);
  }
}

/** The draft of a creation. @throws ChatError for a wrong shape */
export function decideCreate(user: UserId, write: Create): readonly Draft[] {
  const { kind, title, topic, others } = write;
  checkFields({ title, topic });
  if (others.length > MAX_USERS_PER_REQUEST) throw new ChatError('too_large', { field: 'members' });
  if (kind === 'direct' && others.length !== 1) throw new ChatError('bad_frame', { field: 'members' });
  if (kind === 'direct' && (title ?? topic ?? write.public) !== undefined)
    throw new ChatError('bad_frame', { field: 'kind' });
  if (kind !== 'room' && write.public === true) throw new ChatError('bad_frame', { field: 'public' });
  const creator: { user: UserId; role: Role } = { user, role: kind === 'direct' ? 'member' : 'owner' };
  const members = [creator, ...others.map((other) => ({ user: other, role: 'member' as const }))];
  const isPublic = kind === 'room' ? { public: write.public ?? false } : {};
  return [{ type: 'conv', body: bodyText({ kind, title, topic, ...isPublic, members }) }];
}

/** Standing of somebody who must see the conversation. @throws ChatError not_found, or forbidden for a public room */
export function requireMember(conversation: Conversation, user: UserId): Role {
  const standing = conversation.standing(user);
  if (!conversation.deleted && isMember(standing)) return standing;
  throw new ChatError(isPublicRoom(conversation) ? 'forbidden' : 'not_found');
}

export function requireRole(conversation: Conversation, user: UserId, roles: readonly Role[]): void {
  if (!roles.includes(requireMember(conversation, user))) throw new ChatError('forbidden');
}

function isPublicRoom(conversation: Conversation): boolean {
  return conversation.kind === 'room' && conversation.state.public === true && !conversation.deleted;
}

function settings(conversation: Conversation, user: UserId, { fields }: Settings): readonly Draft[] {
  requireRole(conversation, user, ['owner', 'moderator']);
  if (fields.public !== undefined && conversation.kind !== 'room')
    throw new ChatError('bad_frame', { field: 'public' });
  checkFields(fields);
  const changed = Object.entries(fields).filter(
    ([name, value]) => value !== undefined && value !== conversation.state[name as keyof typeof fields],
  );
  if (changed.length === 0) return NO_EFFECT;
  return [{ type: 'conv', body: bodyText(Object.fromEntries(changed)) }];
}

function join(conversation: Conversation, user: UserId): readonly Draft[] {
  const standing = conversation.standing(user);
  if (conversation.deleted) throw new ChatError('not_found');
  if (conversation.kind === 'direct') throw new ChatError(isMember(standing) ? 'forbidden' : 'not_found');
  if (isMember(standing)) return NO_EFFECT;
  if (standing !== 'invited' && !isPublicRoom(conversation)) throw new ChatError('not_found');
  return [member(user, 'join', 'member')];
}

function leave(conversation: Conversation, user: UserId): readonly Draft[] {
  const standing = conversation.standing(user);
  if (conversation.deleted || (standing === 'none' && !isPublicRoom(conversation))) throw new ChatError('not_found');
  if (standing === 'none') return NO_EFFECT;
  if (conversation.kind === 'direct') throw new ChatError('forbidden');
  refuseLastOwner(conversation, standing);
  return [member(user, 'leave')];
}

function add(conversation: Conversation, user: UserId, users: readonly UserId[]): readonly Draft[] {
  const adder = requireMember(conversation, user);
  if (conversation.kind === 'direct') throw new ChatError('forbidden');
  if (conversation.kind === 'room' && !conversation.state.public && adder === 'member')
    throw new ChatError('forbidden');
  if (users.length > MAX_USERS_PER_REQUEST) throw new ChatError('too_large', { field: 'users' });
  const invites = conversation.kind === 'room' && !conversation.state.public;
  const added = [...new Set(users)].filter((other) => conversation.standing(other) === 'none');
  return added.map((other) => (invites ? member(other, 'invite') : member(other, 'add', 'member')));
}

function kick(conversation: Conversation, user: UserId, target: UserId): readonly Draft[] {
  if (target === user) return leave(conversation, user);
  const role = requireMember(conversation, user);
  if (conversation.kind === 'direct' || role === 'member') throw new ChatError('forbidden');
  const standing = conversation.standing(target);
  if (standing === 'none') throw new ChatError('not_found');
  if (role === 'moderator' && standing === 'owner') throw new ChatError('forbidden');
  return [member(target, 'kick')];
}

function changeRole(conversation: Conversation, user: UserId, target: UserId, role: Role): readonly Draft[] {
  const own = requireMember(conversation, user);
  const standing = conversation.standing(target);
  const stepsDown = target === user && rank(role) < rank(own);
  if (conversation.kind === 'direct' || (own !== 'owner' && !stepsDown)) throw new ChatError('forbidden');
  if (!isMember(standing)) throw new ChatError('not_found');
  if (standing === role) return NO_EFFECT;
  if (role !== 'owner') refuseLastOwner(conversation, standing);
  return [member(target, 'role', role)];
}

function rank(role: Role): number {
  return { member: 0, moderator: 1, owner: 2 }[role];
}

function refuseLastOwner(conversation: Conversation, standing: Standing): void {
  if (standing === 'owner' && conversation.owners() === 1) {
    throw new ChatError('conflict', { message: 'The last owner cannot leave or step down.' });
  }
}

function member(user: UserId, what: MemberAct, role?: Role): Draft {
  return { type: 'member', body: bodyText({ user, what, ...(role === undefined ? {} : { role }) }) };
}

function checkFields({ title, topic }: { title?: string | undefined; topic?: string | undefined }): void {
  if (title !== undefined) checkText(title, 'title', MAX_TITLE);
  if (topic !== undefined) checkText(topic, 'topic', MAX_TOPIC);
}
