// What each frame of a client does: one exhaustive switch. Requests that cost a token go through the path, in the order
// they came with all others of the turn; signals, `ping` and `renew` have a cheap bucket of the connection's own.

import { type Conversation, requireMember } from '../conversations/index.ts';
import { ChatError } from '../errors.ts';
import type { Arrival, Freshness, Write } from '../messages/index.ts';
import type { Receipt } from '../ports/log.ts';
import type { HistoryAnswer, SyncAnswer } from '../protocol/answers.ts';
import type { UserId } from '../protocol/ids.ts';
import { DEFAULT_SYNC_LIMIT, MAX_READS_IN_FLIGHT } from '../protocol/limits.ts';
import type { ClientFrame, Request, RequestOf, Signal } from '../protocol/requests.ts';
import type { Connection } from './connection.ts';
import type { Context } from './context.ts';
import { handleHello, presenceConvs, sendReset, statuses } from './opening.ts';

/** Signals, pings and renewals a connection may send a second, and at once. */
const SIGNAL_RATE = 10;
const SIGNAL_BURST = 40;

/** Handles one well-formed frame. Never throws. */
export function dispatch(connection: Connection, frame: ClientFrame, context: Context): void {
  try {
    if (connection.state === 'opening' || connection.state === 'greeting') handleOpening(connection, frame, context);
    else if (connection.state === 'live') handleLive(connection, frame, context);
    else if ('id' in frame) throw new ChatError('unavailable', { message: 'The server goes away.' });
  } catch (error) {
    connection.refuse(error, 'id' in frame ? frame.id : undefined);
  }
}

function handleOpening(connection: Connection, frame: ClientFrame, context: Context): void {
  if (frame.t !== 'hello') throw new ChatError('unauthenticated');
  if (connection.state === 'greeting') throw new ChatError('already_authenticated');
  void handleHello(connection, frame, context);
}

function handleLive(connection: Connection, frame: ClientFrame, context: Context): void {
  switch (frame.t) {
    case 'hello':
      throw new ChatError('already_authenticated');
    case 'renew':
      requireSignalToken(connection, context);
      return handleRenew(connection, frame, context);
    case 'ping':
      requireSignalToken(connection, context);
      return connection.send({ t: 'pong', id: frame.id, now: context.clock.now() });
    case 'message':
    case 'edit':
    case 'delete':
    case 'join':
    case 'leave':
      return context.path.accept(writeArrival(connection, frame, userOf(connection)));
    case 'react':
    case 'pin':
      throw new ChatError('unknown_type', { field: 't', message: `There is no ${frame.t} yet.` });
    case 'read':
    case 'sync':
    case 'history':
      return context.path.accept(readArrival(connection, frame, context));
    case 'typing':
    case 'presence':
    case 'received':
      if (takeSignalToken(connection, context)) handleSignal(connection, frame, context);
  }
}

function writeArrival(connection: Connection, write: Write & Request, user: UserId): Arrival {
  const { activity } = connection;
  const { id, conv } = write;
  connection.begin();
  const refuse = (error: unknown) => {
    connection.refuse(error, id);
    connection.finish();
  };
  return {
    user,
    cost: 1,
    refuse,
    admit: () => {},
    submission: {
      user,
      lane: activity.lane,
      order: activity.requests++,
      key: id,
      write,
      refuse,
      answer: (receipt) => {
        connection.sendText(okText(id, conv, receipt));
        connection.finish();
      },
    },
  };
}

function okText(id: string, conv: string, receipt: (Receipt & { readonly dup: boolean }) | null): string {
  if (receipt === null) return `{"t":"ok","id":"${id}","conv":"${conv}"}`;
  const number = receipt.n > 0 ? `,"n":${receipt.n}` : '';
  const dup = receipt.dup ? ',"dup":true' : '';
  return `{"t":"ok","id":"${id}","conv":"${conv}","seq":${receipt.seq}${number},"at":${receipt.at}${dup}}`;
}

function readArrival(connection: Connection, frame: RequestOf<'read' | 'sync' | 'history'>, context: Context): Arrival {
  connection.begin();
  const refuse = (error: unknown) => {
    connection.refuse(error, frame.id);
    connection.finish();
  };
  return {
    user: userOf(connection),
    cost: 1,
    submission: null,
    refuse,
    admit: () => void handleRead(connection, frame, context).then(() => connection.finish(), refuse),
  };
}

async function handleRead(
  connection: Connection,
  frame: RequestOf<'read' | 'sync' | 'history'>,
  context: Context,
): Promise<void> {
  if (frame.t === 'read') return handleMark(connection, frame, context);
  const { activity } = connection;
  // Not the token bucket's refusal: a client that pulls all its conversations at once is no flood.
  if (activity.readsInFlight >= MAX_READS_IN_FLIGHT)
    return connection.writeError(new ChatError('rate_limited', { afterMs: 100 }), frame.id);
  activity.readsInFlight++;
  try {
    const freshness = await context.reads.freshness();
    if (frame.t === 'sync') await handleSync(connection, frame, freshness, context);
    else await handleHistory(connection, frame, freshness, context);
  } finally {
    activity.readsInFlight--;
  }
}

async function handleSync(
  connection: Connection,
  frame: RequestOf<'sync'>,
  freshness: Freshness,
  context: Context,
): Promise<void> {
  const conversation = await visible(connection, frame, context);
  const isAbove = frame.after > conversation.head.seq;
  // It may be this node that knows less than the client.
  if (isAbove && freshness.stale) throw new ChatError('unavailable');
  if (isAbove) sendReset(connection, conversation, context);
  const from = isAbove ? 0 : frame.after;
  const query = { conversation, after: from, limit: frame.limit ?? DEFAULT_SYNC_LIMIT };
  await context.reads.sync(query, freshness, (result) => {
    requireMember(conversation, userOf(connection));
    const { conv, id } = frame;
    const { epoch } = context.reads;
    connection.send({ t: 'sync', id, conv, epoch, from, ...result, ...freshness } satisfies SyncAnswer);
    if (!result.more && connection.isBehind(conv)) connection.resume(conv, result.to, context.hub.hasBacklog(conv));
  });
}

async function handleHistory(
  connection: Connection,
  frame: RequestOf<'history'>,
  freshness: Freshness,
  context: Context,
): Promise<void> {
  if (frame.thread !== undefined)
    throw new ChatError('bad_frame', { field: 'thread', message: 'There are no threads yet.' });
  const conversation = await visible(connection, frame, context);
  const result = await context.reads.history(conversation, frame, freshness);
  requireMember(conversation, userOf(connection));
  connection.send({ t: 'history', id: frame.id, conv: frame.conv, ...result, ...freshness } satisfies HistoryAnswer);
}

async function handleMark(connection: Connection, frame: RequestOf<'read'>, context: Context): Promise<void> {
  const conversation = await visible(connection, frame, context);
  const n = Math.min(frame.n, conversation.head.n);
  await context.marks.read(frame.conv, userOf(connection), n, frame.unread === true, connection.activity.name);
  connection.sendText(okText(frame.id, frame.conv, null));
}

function handleRenew(connection: Connection, { id, token }: RequestOf<'renew'>, context: Context): void {
  const caller = context.accounts.verifyAccess(token);
  if (caller.user !== userOf(connection)) throw new ChatError('invalid_token');
  void context.accounts.requireLive(caller.session, caller.user).then(
    () => {
      if (!connection.isOpen) return;
      connection.session = caller.session;
      context.wheel.watchExpiry(connection, caller.expiresAt);
      connection.send({ t: 'ok', id });
    },
    (error: unknown) => connection.refuse(error, id),
  );
}

function handleSignal(connection: Connection, signal: Signal, context: Context): void {
  const { user } = connection;
  if (user === null) return;
  if (signal.t === 'presence') {
    connection.presence = signal.status;
    return context.presence.onStatuses(user.id, statuses(user), presenceConvs(user, context));
  }
  const conversation = context.directory.peek(signal.conv);
  if (conversation?.has(user.id) !== true) return;
  if (signal.t === 'typing') return context.typing.onTyping(signal.conv, user.id, signal.on);
  const n = Math.min(signal.n, conversation.head.n);
  // A mark that cannot be looked up is lost: a signal gets no answer, and the next one carries it too.
  context.marks.received(signal.conv, user.id, n, connection.activity.name).catch(() => {});
}

/** The conversation a frame names, for a member of it. @throws ChatError */
async function visible(
  connection: Connection,
  frame: { readonly conv: Conversation['id'] },
  { directory }: Context,
): Promise<Conversation> {
  const conversation = await directory.get(frame.conv);
  if (conversation === undefined) throw new ChatError('not_found');
  requireMember(conversation, userOf(connection));
  return conversation;
}

function userOf(connection: Connection): UserId {
  if (connection.user === null) throw new ChatError('unauthenticated');
  return connection.user.id;
}

function requireSignalToken(connection: Connection, context: Context): void {
  if (!takeSignalToken(connection, context)) throw new ChatError('rate_limited', { afterMs: 1_000 / SIGNAL_RATE });
}

function takeSignalToken(connection: Connection, { clock }: Context): boolean {
  const { activity } = connection;
  const now = clock.monotonic();
  const refilled = activity.signalTokens + ((now - activity.signalsAt) * SIGNAL_RATE) / 1_000;
  const tokens = activity.signalsAt === 0 ? SIGNAL_BURST : Math.min(SIGNAL_BURST, refilled);
  activity.signalsAt = now;
  activity.signalTokens = tokens < 1 ? tokens : tokens - 1;
  return tokens >= 1;
}
