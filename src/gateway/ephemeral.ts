// Signals become ephemeral frames for those connected here whom they concern. Nothing of this is promised.
import type { Directory } from '../conversations/index.ts';
import type { Mark } from '../ports/marks.ts';
import type { Signal } from '../ports/signals.ts';
import type { Ephemeral } from '../protocol/answers.ts';
import { encodeFrame } from '../protocol/codec.ts';
import { MAX_SIGNAL_MEMBERS } from '../protocol/limits.ts';
import type { Connection } from './connection.ts';
import type { Hub } from './hub.ts';

export function onSignal(signal: Signal, hub: Hub<Connection>, directory: Directory): void {
  switch (signal.is) {
    case 'typing': {
      const { conv, user, on } = signal;
      return hub.deliverEphemeral(conv, frameOf({ t: 'typing', conv, user, on }), 'typing', user);
    }
    case 'presence':
      return onPresence(signal, hub);
    case 'mark':
      return onMark(signal, hub, directory);
    case 'ended':
      return onEnded(signal.sessions, hub);
  }
}

function onPresence({ user, status, seen, convs }: Extract<Signal, { is: 'presence' }>, hub: Hub<Connection>): void {
  const frame = frameOf({ t: 'presence', user, status, seen });
  for (const peer of hub.audienceOf(convs)) {
    if (peer.id !== user) for (const connection of peer.connections) connection.pushEphemeral(frame, 'presence');
  }
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
  for (const connection of own) if (connection.activity.name !== by) connection.pushEphemeral(frame, 'receipts');
}

/** The sessions were logged out, here or elsewhere. */
function onEnded(sessions: readonly string[], hub: Hub<Connection>): void {
  for (const user of hub.users) {
    for (const connection of [...user.connections, ...user.greeting]) {
      if (connection.session !== null && sessions.includes(connection.session)) connection.close('session_revoked');
    }
  }
}

function frameOf(frame: Ephemeral): Buffer {
  return encodeFrame(JSON.stringify(frame));
}
