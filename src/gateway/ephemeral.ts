// Signals become ephemeral frames for those connected here whom they concern. Nothing of this is promised.
import type { Directory } from '../conversations/index.ts';
import type { Mark } from '../ports/marks.ts';
import type { Signal } from '../ports/signals.ts';
import type { Told } from '../presence/index.ts';
import type { Ephemeral } from '../protocol/answers.ts';
import { encodeFrame } from '../protocol/codec.ts';
import type { ConvId, UserId } from '../protocol/ids.ts';
import { MAX_SIGNAL_MEMBERS } from '../protocol/limits.ts';
import type { Connection } from './connection.ts';
import type { Context } from './context.ts';
import type { Hub, LocalUser } from './hub.ts';
import { sharersOf, sharesPresence } from './opening.ts';

export function onSignal(signal: Signal, hub: Hub<Connection>, directory: Directory): void {
  switch (signal.is) {
    case 'typing': {
      const { conv, user, on } = signal;
      return hub.deliverEphemeral(conv, frameOf({ t: 'typing', conv, user, on }), 'typing', user);
    }
    case 'mark':
      return onMark(signal, hub, directory);
    case 'ended':
      return onEnded(signal.sessions, hub);
  }
}

/** Whose status has changed; in one turn of the event loop together. */
export function onPresence(told: readonly Told[], hub: Hub<Connection>, directory: Directory): void {
  const unaddressed = new Map<UserId, Buffer>();
  for (const { user, status, seen, convs } of told) {
    const frame = frameOf({ t: 'presence', user, status, seen });
    if (convs === null) unaddressed.set(user, frame);
    else for (const peer of hub.audienceOf(convs)) pushPresence(peer, user, frame);
  }
  if (unaddressed.size > 0) pushToSharers(unaddressed, hub, directory);
}

/** People have come to share a conversation: each hears who of the others is there. */
export function introduce(
  conv: ConvId,
  newcomers: readonly UserId[],
  { hub, directory, presence }: Pick<Context, 'hub' | 'directory' | 'presence'>,
): void {
  const conversation = directory.peek(conv);
  if (conversation === undefined || !sharesPresence(conversation)) return;
  const all = hub.audienceOf([conv]);
  const entering = [...all].filter(({ id }) => newcomers.includes(id));
  for (const user of conversation.members.keys()) {
    const seen = presence.of(user);
    if (seen === undefined) continue;
    const frame = frameOf({ t: 'presence', user, ...seen });
    for (const peer of newcomers.includes(user) ? all : entering) pushPresence(peer, user, frame);
  }
}

/** Of people whose conversations are not told (their node has died, or is heard of for the first time): who shares one. */
function pushToSharers(frames: ReadonlyMap<UserId, Buffer>, hub: Hub<Connection>, directory: Directory): void {
  for (const peer of hub.users) {
    for (const user of sharersOf(peer, directory)) {
      const frame = frames.get(user);
      if (frame !== undefined) pushPresence(peer, user, frame);
    }
  }
}

function pushPresence(peer: LocalUser<Connection>, user: UserId, frame: Buffer): void {
  if (peer.id !== user) for (const connection of peer.connections) connection.pushEphemeral(frame, 'presence');
}

function onMark(
  { conv, user, read, received, by }: Mark & { readonly by: string | null },
  hub: Hub<Connection>,
  directory: Directory,
): void {
  const conversation = directory.peek(conv);
  if (conversation === undefined) return;
  if (conversation.members.size <= MAX_SIGNAL_MEMBERS) {
    hub.deliverEphemeral(conv, frameOf({ t: 'receipt', conv, user, read, received }), 'receipts', user);
  }
  const own = hub.user(user)?.connections ?? [];
  if (own.length === 0) return;
  const frame = frameOf({ t: 'unread', conv, read, n: conversation.head.n });
  for (const connection of own) if (connection.activity.name !== by) connection.pushEphemeral(frame, null);
}

/** The sessions were logged out, here or elsewhere. */
export function onEnded(sessions: readonly string[], hub: Hub<Connection>): void {
  for (const user of hub.users) {
    for (const connection of [...user.connections, ...user.greeting]) {
      if (connection.session !== null && sessions.includes(connection.session)) connection.close('session_revoked');
    }
  }
}

function frameOf(frame: Ephemeral): Buffer {
  return encodeFrame(JSON.stringify(frame));
}
