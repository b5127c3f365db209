// From `hello` to `ready`: who this is, what its conversations are, and what it missed. The moment `ready` is written is
// one turn of the event loop: heads told, rooms entered and replays begun belong together, so that nothing is missed or
// repeated between what `ready` says and the first live push.
import type { Caller } from '../accounts/index.ts';
import type { Conversation, Directory } from '../conversations/index.ts';
import { ChatError } from '../errors.ts';
import type { Replay } from '../messages/index.ts';
import type { ReadyConv } from '../protocol/answers.ts';
import { encodeFrames } from '../protocol/codec.ts';
import { type ConvId, isMember, type Role, type Seq, type UserId } from '../protocol/ids.ts';
import { MAX_READY_CONVS, MAX_REPLAY, MAX_SIGNAL_MEMBERS, MAX_SINCE } from '../protocol/limits.ts';
import { type RequestOf, WANTS, type Want } from '../protocol/requests.ts';
import type { Numbers } from '../receipts/index.ts';
import type { Connection } from './connection.ts';
import type { Context } from './context.ts';
import { LocalUser } from './hub.ts';

type Hello = RequestOf<'hello'>;

/** What a connection wants when it does not say: everything. Shared, since there are eight such sets at most. */
const WANT_SETS = new Map<string, ReadonlySet<Want>>();
export const WANT_ALL = wantSet(WANTS);

/** Answers a `hello`; refuses it (and closes) when it is not good. Never rejects. */
export async function handleHello(connection: Connection, hello: Hello, context: Context): Promise<void> {
  connection.state = 'greeting';
  try {
    checkSince(hello);
    const caller = context.accounts.verifyAccess(hello.token);
    await greet(connection, hello, caller, context);
  } catch (error) {
    if (connection.state !== 'greeting') return;
    connection.state = 'opening';
    connection.refuse(error, hello.id);
  }
}

async function greet(connection: Connection, hello: Hello, caller: Caller, context: Context): Promise<void> {
  await context.greetInTurn(async () => {
    if (connection.state === 'greeting') await load(connection, hello, caller, context);
  });
}

async function load(connection: Connection, hello: Hello, caller: Caller, context: Context): Promise<void> {
  // Before anything is asked: should the session end meanwhile, this connection is among those it ends.
  connection.session = caller.session;
  const user = holdUser(connection, caller.user, context);
  try {
    const [account, marks, { stale = false }] = await Promise.all([
      context.accounts.signedIn(caller.session, caller.user),
      context.marks.ofUser(caller.user),
      // Where the client was connected before it may have seen what this node has not yet.
      context.reads.freshness(),
      user.loaded,
    ]);
    // The change that let it in somewhere meanwhile has passed: what nobody here knew of has to be in `ready`.
    while (unknownTo(context.directory, user).length > 0) await loadConvs(user, context);
    if (connection.state !== 'greeting') return;
    if (user.connections.length >= context.maxConnectionsPerUser) return connection.close('too_many_connections');
    connection.wants = hello.want === undefined ? WANT_ALL : wantSet(hello.want);
    context.wheel.restart(connection);
    context.wheel.watchExpiry(connection, caller.expiresAt);
    goLive(connection, user, { hello, name: account.name, marks, stale }, context);
  } finally {
    user.greeting.splice(user.greeting.indexOf(connection), 1);
    releaseUser(user, context);
  }
}

function checkSince({ since }: Hello): void {
  if (since === undefined || Object.keys(since.convs).length <= MAX_SINCE) return;
  throw new ChatError('too_large', { field: 'since' });
}

/** The user as the hub knows it, or loaded now, once however many of its connections say hello; held until released. */
function holdUser(connection: Connection, id: UserId, context: Context): LocalUser<Connection> {
  let user = context.hub.user(id);
  if (user === undefined) {
    user = new LocalUser<Connection>(id);
    context.hub.enter(user);
  }
  user.greeting.push(connection);
  user.loaded ??= loadUser(user, context);
  return user;
}

async function loadUser(user: LocalUser<Connection>, context: Context): Promise<void> {
  try {
    await context.directory.ofUser(user.id, (convs) => {
      user.convs = convs;
    });
    await loadConvs(user, context);
  } catch (error) {
    user.loaded = null;
    throw error;
  }
}

/** Loading goes on until nothing new has come. */
async function loadConvs(user: LocalUser<Connection>, { directory, hub }: Context): Promise<void> {
  for (;;) {
    hub.enterRooms(user);
    const missing = unknownTo(directory, user);
    if (missing.length === 0) return;
    await directory.load(missing);
    for (const conv of missing) if (directory.peek(conv) === undefined) user.convs.delete(conv);
  }
}

function unknownTo(directory: Directory, user: LocalUser): ConvId[] {
  return [...user.convs].filter((conv) => directory.peek(conv) === undefined);
}

/** Lets go of a user who has no connection here and none coming. */
export function releaseUser(user: LocalUser<Connection>, { hub }: Context): void {
  if (user.connections.length === 0 && user.greeting.length === 0) hub.leave(user);
}

interface Greeted {
  readonly hello: Hello;
  readonly name: string;
  readonly marks: ReadonlyMap<ConvId, Numbers>;
  /** The log cannot be asked: this node may know less than the client. */
  readonly stale: boolean;
}

function goLive(
  connection: Connection,
  user: LocalUser<Connection>,
  { hello, name, marks, stale }: Greeted,
  context: Context,
): void {
  const { directory, hub } = context;
  hub.enterRooms(user);
  connection.user = user;
  connection.state = 'live';
  user.connections.push(connection);
  const conversations = [...user.convs].flatMap((conv) => directory.peek(conv) ?? []);
  conversations.sort((one, other) => other.head.at - one.head.at);
  const listed = conversations.slice(0, MAX_READY_CONVS);
  connection.send({
    t: 'ready',
    id: hello.id,
    user: { id: user.id, name },
    session: connection.session,
    epoch: context.reads.epoch,
    convs: listed.map((conversation) => readyConv(conversation, user.id, marks)),
    more: listed.length < conversations.length,
  });
  for (const conversation of conversations) holdOffBacklog(connection, conversation, context);
  for (const conv of hub.leaving(user)) connection.holdOff(conv, 'behind');
  const since: Since = { epoch: hello.since?.epoch ?? '', stale, forgotten: [] };
  for (const [conv, cursor] of Object.entries(hello.since?.convs ?? {})) {
    resume(connection, conv as ConvId, cursor, since, context);
  }
  void replayFromStore(connection, since.forgotten, context);
  sendPresence(connection, context);
  context.presence.onStatuses(user.id, statuses(user), presenceConvs(user, context));
}

function readyConv(conversation: Conversation, user: UserId, marks: ReadonlyMap<ConvId, Numbers>): ReadyConv {
  const { id, kind, state, head } = conversation;
  const peer = conversation.peerOf(user);
  return {
    conv: id,
    kind,
    ...(state.title === undefined ? {} : { title: state.title }),
    seq: head.seq,
    n: head.n,
    read: Math.min(marks.get(id)?.read ?? 0, head.n),
    role: conversation.standing(user) as Role | 'invited',
    ...(peer === undefined ? {} : { peer }),
  };
}

/** Frames up to the head that still wait for a large room were told by `ready` already. */
function holdOffBacklog(connection: Connection, conversation: Conversation, { hub }: Context): void {
  if (hub.hasBacklog(conversation.id)) connection.holdOff(conversation.id, conversation.head.seq);
}

interface Missed {
  readonly conversation: Conversation;
  readonly cursor: Seq;
}

interface Since {
  readonly epoch: string;
  readonly stale: boolean;
  /** Is given those whose changes are not in memory any more. */
  readonly forgotten: Missed[];
}

/** One cursor of `since`: the changes after it and `caught_up`, or `behind`, `reset`, `gone`. */
function resume(connection: Connection, conv: ConvId, cursor: Seq, since: Since, context: Context): void {
  const conversation = context.directory.peek(conv);
  const user = connection.user as LocalUser;
  if (conversation === undefined || !user.convs.has(conv) || !isMember(conversation.standing(user.id))) {
    return connection.send({ t: 'gone', conv });
  }
  const head = conversation.head.seq;
  if (!context.log.sameEpoch(conv, since.epoch) || (cursor > head && !since.stale)) {
    return sendReset(connection, conversation, context);
  }
  if (cursor > head || head - cursor > MAX_REPLAY) return connection.fallBehind(conv);
  if (cursor === head) return connection.send({ t: 'caught_up', conv, seq: head });
  const recent = context.reads.recent(conv, cursor);
  if (recent !== null) return sendReplay(connection, conversation, recent, context);
  connection.holdOff(conv, 'replaying');
  since.forgotten.push({ conversation, cursor });
}

/** The client forgets what it holds of the conversation and pulls; until then it is behind. */
export function sendReset(connection: Connection, conversation: Conversation, { reads }: Context): void {
  connection.holdOff(conversation.id, 'behind');
  connection.send({ t: 'reset', conv: conversation.id, seq: conversation.head.seq, epoch: reads.epoch });
}

/** One after the other: what all cursors of one hello missed can be hundreds of megabytes. Never rejects. */
async function replayFromStore(connection: Connection, missed: readonly Missed[], context: Context): Promise<void> {
  for (const one of missed) if (connection.isOpen) await replayOne(connection, one, context);
}

async function replayOne(connection: Connection, { conversation, cursor }: Missed, context: Context): Promise<void> {
  const { id } = conversation;
  try {
    await context.reads.replay(conversation, cursor, MAX_REPLAY, (changes) => {
      const user = connection.user;
      if (!connection.isOpen || user === null || !conversation.has(user.id) || !connection.isReplaying(id)) return;
      if (changes === null) connection.fallBehind(id);
      else sendReplay(connection, conversation, changes, context);
    });
  } catch {
    // The store cannot be asked: the client's own pull will say so, and find out when it can.
    if (connection.isOpen && connection.isReplaying(id)) connection.fallBehind(id);
  }
}

function sendReplay(
  connection: Connection,
  conversation: Conversation,
  changes: readonly Replay[],
  context: Context,
): void {
  const { id } = conversation;
  const upTo = changes.at(-1)?.seq ?? conversation.head.seq;
  const frames = changes.length === 0 ? null : encodeFrames(changes.map(({ wire }) => wire));
  if (frames !== null && !connection.offerReplay(frames, changes.length)) return connection.fallBehind(id);
  connection.send({ t: 'caught_up', conv: id, seq: upTo });
  connection.resume(id, upTo, context.hub.hasBacklog(id));
}

/** Who of the people shared with in direct and small group conversations is there. */
function sendPresence(connection: Connection, { directory, presence }: Context): void {
  if (!connection.wants.has('presence')) return;
  for (const user of sharersOf(connection.user as LocalUser, directory)) {
    const seen = presence.of(user);
    if (seen !== undefined) connection.send({ t: 'presence', user, ...seen });
  }
}

/** The people a user shares a direct or small group conversation with. */
export function sharersOf(user: LocalUser, directory: Directory): ReadonlySet<UserId> {
  const sharers = new Set<UserId>();
  for (const conv of user.convs) {
    const conversation = directory.peek(conv);
    if (conversation?.has(user.id) !== true || !sharesPresence(conversation)) continue;
    for (const member of conversation.members.keys()) sharers.add(member);
  }
  sharers.delete(user.id);
  return sharers;
}

/** Whether its members hear of each other's presence. */
export function sharesPresence(conversation: Conversation): boolean {
  return conversation.kind !== 'room' && !conversation.deleted && conversation.members.size <= MAX_SIGNAL_MEMBERS;
}

/** The conversations whose members hear of a user's presence. */
export function presenceConvs(user: LocalUser, { directory }: Context): ConvId[] {
  return [...user.convs].filter((conv) => {
    const conversation = directory.peek(conv);
    return conversation?.has(user.id) === true && sharesPresence(conversation);
  });
}

export function statuses(user: LocalUser<Connection>) {
  return user.connections.map((connection) => connection.presence);
}

function wantSet(wants: readonly Want[]): ReadonlySet<Want> {
  const key = WANTS.filter((want) => wants.includes(want)).join();
  const known = WANT_SETS.get(key) ?? new Set(wants);
  WANT_SETS.set(key, known);
  return known;
}
