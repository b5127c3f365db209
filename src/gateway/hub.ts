// The hub: which users connected here are in which conversation, and the fan-out to them. It hears of members only through
// the tail. A large room is served in slices, so that no turn of the event loop is long; everything about such a room
// (frames, who comes, who goes) then waits in one queue, in order. Hot: bench/micro/hub.ts.
import { applyToUser, type Directory } from '../conversations/index.ts';
import type { Audience } from '../messages/index.ts';
import type { Change } from '../ports/log.ts';
import { parseChange } from '../protocol/changes.ts';
import { encodeFrame } from '../protocol/codec.ts';
import { type ConvId, isMember, type Seq, type UserId } from '../protocol/ids.ts';
import type { Want } from '../protocol/requests.ts';
import { memberStates } from '../protocol/states.ts';
import type { Flusher } from './outbox.ts';

/** Sockets served in one turn: about a millisecond of system calls. */
const SLICE = 256;

/** What the hub needs of a connection. */
export interface Receiver {
  /** Frames of `count` changes of a conversation, the last one `lastSeq`. */
  pushChanges(conv: ConvId, frames: Buffer, count: number, lastSeq: Seq): void;
  /** May be dropped. Null: of no kind that can be unwanted. */
  pushEphemeral(frame: Buffer, kind: Want | null): void;
  /** Not a member any more, or the conversation is no more. */
  pushGone(conv: ConvId, frame: Buffer): void;
}

/** A user with at least one connection here, or one that is about to be. */
export class LocalUser<Connection extends Receiver = Receiver> {
  readonly id: UserId;
  readonly connections: Connection[] = [];
  /** Everything it is a member of or invited to; right once `loaded` has resolved, and kept right by the tail. */
  convs: Set<ConvId> = new Set();
  loaded: Promise<void> | null = null;
  /** Connections whose `hello` is under way. */
  readonly greeting: Connection[] = [];

  constructor(id: UserId) {
    this.id = id;
  }
}

type NewcomersListener = (conv: ConvId, users: readonly UserId[]) => void;

type Step<User> =
  | { readonly is: 'changes'; readonly frames: Buffer; readonly count: number; readonly lastSeq: Seq }
  | { readonly is: 'ephemeral'; readonly frame: Buffer; readonly kind: Want; readonly except: UserId }
  | { readonly is: 'enter' | 'leave'; readonly user: User }
  | { readonly is: 'dissolve' };

class Room<User> {
  readonly conv: ConvId;
  readonly users = new Set<User>();
  /** Steps not done yet; null while the room is small and nothing waits. */
  queue: Step<User>[] | null = null;
  /** Where the slice under way stands, and how many steps of the queue it carries. */
  pass: { readonly users: Iterator<User>; readonly steps: number } | null = null;

  constructor(conv: ConvId) {
    this.conv = conv;
  }
}

export class Hub<Connection extends Receiver = Receiver> implements Audience {
  readonly #directory: () => Directory;
  readonly #flusher: Flusher;
  readonly #users = new Map<UserId, LocalUser<Connection>>();
  readonly #rooms = new Map<ConvId, Room<LocalUser<Connection>>>();
  /** Rooms with a queue, served in turn. */
  #busy: Room<LocalUser<Connection>>[] = [];
  readonly #onNewcomers = new Set<NewcomersListener>();

  constructor(flusher: Flusher, directory: () => Directory) {
    this.#flusher = flusher;
    this.#directory = directory;
  }

  user(id: UserId): LocalUser<Connection> | undefined {
    return this.#users.get(id);
  }

  get users(): IterableIterator<LocalUser<Connection>> {
    return this.#users.values();
  }

  /** Calls with those who have become members, wherever they are connected. @returns what ends that */
  subscribe(listener: NewcomersListener): () => void {
    this.#onNewcomers.add(listener);
    return () => void this.#onNewcomers.delete(listener);
  }

  hasLocal(conv: ConvId): boolean {
    return this.#rooms.has(conv);
  }

  /** From now on the tail keeps the user's list right. */
  enter(user: LocalUser<Connection>): void {
    this.#users.set(user.id, user);
  }

  /** Puts a user into the rooms of its conversations, as far as the directory knows them: invited users are in none. */
  enterRooms(user: LocalUser<Connection>): void {
    for (const conv of user.convs) {
      if (this.#directory().peek(conv)?.has(user.id)) this.#enterRoom(this.#room(conv), user);
    }
  }

  /** The user's last connection has gone. */
  leave(user: LocalUser<Connection>): void {
    // Another one may stand in its place, where the node has begun again.
    if (this.#users.get(user.id) === user) this.#users.delete(user.id);
    for (const conv of user.convs) {
      const room = this.#rooms.get(conv);
      if (room?.users.delete(user)) this.#discardIfEmpty(room);
    }
  }

  /** Whether frames of changes already in the directory's head still wait for this room: a newcomer must not get those. */
  hasBacklog(conv: ConvId): boolean {
    return this.#rooms.get(conv)?.queue != null;
  }

  /** Conversations the user is in no more, whose frames from before that still wait for it: not a newcomer's either. */
  leaving(user: LocalUser<Connection>): ConvId[] {
    return this.#busy.flatMap(({ conv, users }) => (users.has(user) && !user.convs.has(conv) ? [conv] : []));
  }

  deliver(conv: ConvId, frames: Buffer, count: number, lastSeq: Seq): void {
    const room = this.#rooms.get(conv);
    if (room !== undefined) this.#do(room, { is: 'changes', frames, count, lastSeq });
  }

  /** To everybody in the room but one user. */
  deliverEphemeral(conv: ConvId, frame: Buffer, kind: Want, except: UserId): void {
    const room = this.#rooms.get(conv);
    if (room !== undefined) this.#do(room, { is: 'ephemeral', frame, kind, except });
  }

  /** Users connected here who are in at least one of these conversations, each once. */
  audienceOf(convs: readonly ConvId[]): Set<LocalUser<Connection>> {
    return new Set(convs.flatMap((conv) => [...(this.#rooms.get(conv)?.users ?? [])]));
  }

  deliverGuardMove(change: Change, frame: Buffer): void {
    const body = parseChange(change.wire);
    if (body.t !== 'conv' && body.t !== 'member') return;
    const states = memberStates(body);
    const concerned = states.flatMap((state) => {
      const user = this.#users.get(state.user);
      return user === undefined ? [] : [{ user, role: state.role }];
    });
    for (const { user, role } of concerned) {
      applyToUser(user.convs, user.id, body);
      if (isMember(role)) this.#enterRoom(this.#room(change.conv), user);
    }
    const outside = concerned.filter(({ user }) => !this.#isInRoom(change.conv, user));
    this.deliver(change.conv, frame, 1, change.seq);
    for (const { user, role } of outside) this.#tellOutsider(change, frame, user, role === 'none');
    for (const { user, role } of concerned) if (role === 'none') this.#leaveRoom(change.conv, user);
    if (body.t === 'conv' && body.deleted) this.#dissolve(change, frame);
    if (body.t === 'member' && body.what === 'role') return;
    const newcomers = states.filter(({ role }) => isMember(role)).map(({ user }) => user);
    if (newcomers.length > 0) for (const listener of this.#onNewcomers) listener(change.conv, newcomers);
  }

  /** Invitations end with the conversation. */
  #dissolve(change: Change, frame: Buffer): void {
    for (const [id, standing] of this.#directory().peek(change.conv)?.members ?? []) {
      const user = standing === 'invited' ? this.#users.get(id) : undefined;
      if (user?.convs.delete(change.conv)) this.#tellOutsider(change, frame, user, true);
    }
    const room = this.#rooms.get(change.conv);
    if (room !== undefined) this.#do(room, { is: 'dissolve' });
  }

  /** Somebody invited, or whose invitation ends, hears of it though not in the room. */
  #tellOutsider(change: Change, frame: Buffer, user: LocalUser<Connection>, isGone: boolean): void {
    eachConnection(user, (connection) => {
      connection.pushChanges(change.conv, frame, 1, change.seq);
      if (isGone) connection.pushGone(change.conv, goneFrame(change.conv));
    });
  }

  #isInRoom(conv: ConvId, user: LocalUser<Connection>): boolean {
    const room = this.#rooms.get(conv);
    if (room === undefined) return false;
    const queued = room.queue?.findLast((step) => 'user' in step && step.user === user);
    return queued === undefined ? room.users.has(user) : queued.is === 'enter';
  }

  #enterRoom(room: Room<LocalUser<Connection>>, user: LocalUser<Connection>): void {
    this.#do(room, { is: 'enter', user });
  }

  #leaveRoom(conv: ConvId, user: LocalUser<Connection>): void {
    const room = this.#rooms.get(conv);
    if (room !== undefined && this.#isInRoom(conv, user)) this.#do(room, { is: 'leave', user });
  }

  #room(conv: ConvId): Room<LocalUser<Connection>> {
    const known = this.#rooms.get(conv);
    if (known !== undefined) return known;
    const room = new Room<LocalUser<Connection>>(conv);
    this.#rooms.set(conv, room);
    return room;
  }

  #discardIfEmpty(room: Room<LocalUser<Connection>>): void {
    const isEmpty = room.users.size === 0 && room.queue === null;
    if (isEmpty && this.#rooms.get(room.conv) === room) this.#rooms.delete(room.conv);
  }

  /** At once in a small room with nothing waiting, else in its queue. */
  #do(room: Room<LocalUser<Connection>>, step: Step<LocalUser<Connection>>): void {
    if (room.queue === null && (room.users.size <= SLICE || !isFrames(step))) {
      return this.#doNow(room, step);
    }
    if (room.queue !== null) return void room.queue.push(step);
    room.queue = [step];
    if (this.#busy.push(room) === 1) setImmediate(() => this.#serve());
  }

  #doNow(room: Room<LocalUser<Connection>>, step: Step<LocalUser<Connection>>): void {
    switch (step.is) {
      case 'enter':
        if (this.#users.get(step.user.id) === step.user) room.users.add(step.user);
        else this.#discardIfEmpty(room);
        break;
      case 'leave':
        this.#sendAway(room, step.user);
        break;
      case 'dissolve':
        for (const user of room.users) {
          user.convs.delete(room.conv);
          this.#sendAway(room, user);
        }
        break;
      default:
        for (const user of room.users) push(room.conv, user, step);
    }
  }

  /** Its list is right already: since it left it may have joined again, behind this in the queue. */
  #sendAway(room: Room<LocalUser<Connection>>, user: LocalUser<Connection>): void {
    room.users.delete(user);
    eachConnection(user, (connection) => connection.pushGone(room.conv, goneFrame(room.conv)));
    this.#discardIfEmpty(room);
  }

  /** One slice of one room, then the next turn. */
  #serve(): void {
    const room = this.#busy.shift();
    if (room === undefined) return;
    this.#serveSlice(room);
    this.#flusher.flush();
    if (room.queue !== null) this.#busy.push(room);
    else this.#discardIfEmpty(room);
    if (this.#busy.length > 0) setImmediate(() => this.#serve());
  }

  /** A pass carries all frames at the front of the queue at once, so that each socket gets them in one write. */
  #serveSlice(room: Room<LocalUser<Connection>>): void {
    const queue = room.queue as Step<LocalUser<Connection>>[];
    room.pass ??= { users: room.users.values(), steps: leadingFrames(queue) };
    const { users, steps } = room.pass;
    for (let served = 0; served < SLICE; ) {
      const { value: user, done } = users.next();
      if (done) return this.#endPass(room, steps);
      for (let index = 0; index < steps; index++) push(room.conv, user, queue[index] as Frames);
      served += user.connections.length;
    }
  }

  #endPass(room: Room<LocalUser<Connection>>, steps: number): void {
    room.pass = null;
    const rest = (room.queue as Step<LocalUser<Connection>>[]).slice(steps);
    // Queued until all is done: a room that is empty between one who leaves and one who enters is no room to discard.
    room.queue = rest;
    while (rest[0] !== undefined && !isFrames(rest[0])) this.#doNow(room, rest.shift() as Step<LocalUser<Connection>>);
    if (rest.length === 0) room.queue = null;
  }
}

type Frames = Extract<Step<LocalUser>, { is: 'changes' | 'ephemeral' }>;

function push(conv: ConvId, user: LocalUser, step: Frames): void {
  if (step.is === 'changes') {
    eachConnection(user, (connection) => connection.pushChanges(conv, step.frames, step.count, step.lastSeq));
  } else if (step.except !== user.id) {
    eachConnection(user, (connection) => connection.pushEphemeral(step.frame, step.kind));
  }
}

/** Backwards: a connection that cannot take what it gets is closed, and leaves the list, while it is gone through. */
function eachConnection<Connection extends Receiver>(
  user: LocalUser<Connection>,
  call: (connection: Connection) => void,
) {
  for (let index = user.connections.length - 1; index >= 0; index--) call(user.connections[index] as Connection);
}

function isFrames(step: Step<unknown>): step is Frames {
  return step.is === 'changes' || step.is === 'ephemeral';
}

function leadingFrames(queue: readonly Step<unknown>[]): number {
  const end = queue.findIndex((step) => !isFrames(step));
  return end === -1 ? queue.length : end;
}

function goneFrame(conv: ConvId): Buffer {
  return encodeFrame(JSON.stringify({ t: 'gone', conv }));
}
