// What every client needs, in 4 kB: a connection that comes back, cursors that miss nothing and repeat nothing, writes that
// are written once. It shows nothing: it tells. Owns the law of epochs: an epoch is made use of once every cursor shown to
// the server under the one before has been answered, since what counts in a log that is no more must be `reset`, however
// often the connection ends before it is.
import type { Ready } from '../protocol/answers.ts';
import type { ChangeBody } from '../protocol/changes.ts';
import type { Role, Seq, Standing } from '../protocol/ids.ts';
import { type ItemState, type MessageState, messageState } from '../protocol/states.ts';
import { createConnection, type Frame } from './connection.ts';
import { type Cursor, createCursor } from './cursor.ts';
import { createSendings } from './sending.ts';
import type {
  BareChat,
  BareEvent,
  Clock,
  ConnectOptions,
  ConversationView,
  Cursors,
  Entry,
  Sending,
  Write,
} from './types.ts';

/** The server takes so many in a hello. */
const MAX_SINCE = 500;
const SYNC_LIMIT = 500;

export const systemClock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** What a change may touch. */
interface Touching {
  readonly of?: Seq;
  readonly thread?: Seq;
  readonly members?: readonly { readonly user: string; readonly role?: Role; readonly what?: string }[];
}

/** What changes of itself. */
interface Shown {
  state: BareChat['state'];
  reason?: BareChat['reason'];
  me?: BareChat['me'];
  sendings: BareChat['sendings'];
}

export type Core = ReturnType<typeof createCore>;

export function createCore(options: ConnectOptions, emit: (event: BareEvent) => void) {
  const { clock = systemClock, random = Math.random, since } = options;
  const shown: Shown = { state: 'connecting', sendings: [] };
  const connection = createConnection(options, clock, random, shown, { greeting, onReady, onFrame, emit });
  const { requests, newId, now, open, end, wake, send } = connection;
  const { ask } = requests;
  const sendings = createSendings(options.outbox, requests, onSending, (conv) => places.get(conv)?.at);
  /** The latest active are last. */
  const places = new Map<string, Cursor>();
  /** Left since `ready`: an answer of HTTP that is older does not bring them back. */
  const gone = new Set<string>();
  /** Conversations whose cursor has been shown on this connection, and not been answered. */
  let unanswered = new Set<string>();
  let epoch = since?.epoch ?? '';
  let nextEpoch: string;

  for (const conv in since?.convs) enter(conv, since.convs[conv] as Seq);
  void sendings.loaded.then(() => {
    if (shown.state === 'connecting') open();
  });

  function write(request: Write | Entry): Sending {
    return sendings.send({ id: newId(), ...request });
  }

  function signal(frame: object): void {
    if (shown.state === 'online') send(frame);
  }

  function learn(view: ConversationView): void {
    if (!gone.has(view.conv)) onView(view);
  }

  function cursors(): Cursors {
    const convs: Record<string, Seq> = {};
    for (const { conv, at, isInside } of [...places.values()].slice(-MAX_SINCE)) {
      if (isInside && at >= 0) convs[conv] = at;
    }
    return { epoch, convs };
  }

  function onSending(list: readonly Sending[], sending: Sending): void {
    shown.sendings = list;
    emit({ type: 'sending', sending });
  }

  // ---- where each conversation is --------------------------------------------------------------------------------

  function enter(conv: string, seq: Seq, isInside = true): Cursor {
    const place = createCursor(conv, seq, isInside, {
      ask: (after) => ask({ t: 'sync', conv, after, limit: SYNC_LIMIT }),
      onPulled,
      onRefused: leave,
    });
    places.set(conv, place);
    gone.delete(conv);
    return place;
  }

  /** One older than what has been told is let go. @param isNow told by `ready` */
  function onView(view: ConversationView, isNow = false, isNewLog = false): void {
    const { conv, seq, role } = view;
    const known = places.get(conv);
    const place = known ?? enter(conv, seq, isMember(role));
    if (!isNewLog && seq < place.at) return;
    // Who was outside was told of what concerned themselves only, and begins at the head.
    if (!place.isInside) place.at = seq;
    place.isInside = isMember(role);
    emit({ type: 'view', conv, view, isNow: isNow || !known });
    if (place.isAdrift && place.isInside) place.reach(seq);
  }

  function leave(place: Cursor): void {
    const { conv } = place;
    if (places.get(conv) !== place) return;
    places.delete(conv);
    gone.add(conv);
    forget(conv, 'gone');
  }

  function reset(place: Cursor, head: Seq): void {
    place.restart(head);
    forget(place.conv, 'reset');
  }

  function forget(conv: string, type: 'gone' | 'reset'): void {
    sendings.onTold(conv);
    emit({ type, conv });
  }

  /** A cursor has been answered; after the last one the new epoch holds for all of them. */
  function settle(conv?: string): void {
    unanswered.delete(conv as string);
    if (!unanswered.size) epoch = nextEpoch;
  }

  // ---- for the connection ----------------------------------------------------------------------------------------

  function greeting(): object {
    const since = cursors();
    unanswered = new Set(Object.keys(since.convs));
    return epoch ? { since } : {};
  }

  function onReady(ready: Ready): void {
    const isNewLog = ready.epoch !== epoch;
    const before = [...places.values()];
    shown.me = ready.user;
    nextEpoch = ready.epoch;
    gone.clear();
    for (const view of ready.convs) onView(view, true, isNewLog);
    for (const place of before) {
      const { conv, isInside, at } = place;
      const head = ready.convs.find((view) => view.conv === conv)?.seq;
      sendings.onTold(conv);
      const isShown = unanswered.has(conv);
      place.isAdrift = !head && !isShown;
      if (isShown) continue;
      if (!head && !ready.more) leave(place);
      else if (!isInside) continue;
      else if (isNewLog || at < 0) reset(place, head ?? place.head);
      else if (head) place.reach(head);
    }
    settle();
  }

  /** One that `ready` had no room for is entered too: it has to be pulled for anything of it to be pushed again. */
  function onFrame(frame: Frame): void {
    const { t, conv, seq } = frame as never as { readonly t: string; readonly conv: string; readonly seq: Seq };
    const place = places.get(conv);
    if (frame.from && seq) return onChange(place ?? enter(conv, seq - 1, false), frame as never);
    if (t === 'behind') void (place ?? enter(conv, seq)).pull();
    else if (t === 'reset') reset(place ?? enter(conv, seq), seq);
    else if (t === 'caught_up') place?.reach(seq);
    else if (t === 'gone') {
      // Who was removed and invited since has no cursor there any more, but an invitation.
      if (place && (place.isInside || !unanswered.has(conv))) leave(place);
    } else return emit({ ...frame, type: t } as never);
    settle(conv);
  }

  // ---- what is told ----------------------------------------------------------------------------------------------

  function onChange(place: Cursor, change: ChangeBody): void {
    const { conv } = place;
    if (!place.isInside) place.at = change.seq - 1;
    if (!place.advance(change.seq)) return;
    places.delete(conv);
    places.set(conv, place);
    if (change.t === 'message') onMessage(conv, messageState(change));
    if (change.t === 'conv') emit({ type: 'conv', conv, fields: change });
    const { thread, of = thread, members = change.t === 'member' ? [change] : [] } = change as Touching;
    if (of) emit({ type: 'changed', conv, seq: of, change, message: undefined });
    for (const member of members) onMember(conv, member.user, standingOf(member), change);
    // Who is outside is told only what it makes of themselves. Who leaves is inside until `gone` says so: what is replayed
    // is long past, and one may be back already.
    place.isInside ||= !members.some((member) => member.user === shown.me?.id && !isMember(standingOf(member)));
    onTold(place);
  }

  /** Of each thing the last state; messages in the order sent, the rest between them as it happened. */
  function onPulled(place: Cursor, items: readonly ItemState[], from: Seq): void {
    const { conv } = place;
    const order = (item: ItemState) => (item.is === 'message' ? item.seq : item.rev);
    const last = new Map(items.map((item) => ['user' in item ? item.user : item.is === 'conv' || item.seq, item]));
    for (const item of [...last.values()].sort((one, other) => order(one) - order(other))) {
      if (item.is === 'conv') emit({ type: 'conv', conv, fields: item });
      else if (item.is === 'member') onMember(conv, item.user, item.role);
      else if (item.seq > from) onMessage(conv, item);
      else emit({ type: 'changed', conv, seq: item.seq, message: item, change: undefined });
    }
    onTold(place);
  }

  function onMessage(conv: string, message: MessageState): void {
    sendings.onArrived(message.key);
    emit({ type: 'message', conv, message });
  }

  function onMember(conv: string, user: string, role: Standing | undefined, change?: ChangeBody): void {
    // None by an act of a later version.
    if (role) emit({ type: 'member', conv, user, role, change });
  }

  function onTold({ conv, at: seq }: Cursor): void {
    sendings.onTold(conv, seq);
    emit({ type: 'told', conv, seq });
  }

  function close(): void {
    end('closed');
    options.outbox?.close?.();
  }

  return Object.assign(shown, { now, write, ask, signal, learn, cursors, onArrived: sendings.onArrived, wake, close });
}

/** As `standingAfter` of the protocol; of a member named by a creation: its role. */
const STANDINGS: Readonly<Record<string, Standing>> = {
  join: 'member',
  add: 'member',
  invite: 'invited',
  leave: 'none',
  kick: 'none',
  ban: 'none',
};

export function standingOf({
  role,
  what = '',
}: {
  readonly role?: Role;
  readonly what?: string;
}): Standing | undefined {
  return role ?? STANDINGS[what];
}

/** Roles of a later version are members', too. */
function isMember(standing: Standing | undefined): boolean {
  return !/none|invited/.test(standing as string);
}
