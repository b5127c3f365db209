// The hub where a room is so large that it is served in slices: what is queued in it (frames, who comes, who goes) ends as
// if it had been done at once.
import t from 'tap';
import type { Directory } from '../../src/conversations/index.ts';
import { Hub, LocalUser, type Receiver } from '../../src/gateway/hub.ts';
import { Flusher } from '../../src/gateway/outbox.ts';
import type { Change } from '../../src/ports/log.ts';
import { bodyText, type ChangeType, wireText } from '../../src/protocol/changes.ts';
import { encodeFrame } from '../../src/protocol/codec.ts';
import type { ConvId, Seq, Standing, UserId } from '../../src/protocol/ids.ts';

/** More than one slice. */
const PEOPLE = 300;
const CONV = 'c1' as ConvId;

class Socket implements Receiver {
  readonly got: (Seq | 'gone')[] = [];

  pushChanges(_conv: ConvId, _frames: Buffer, _count: number, lastSeq: Seq): void {
    this.got.push(lastSeq);
  }

  pushEphemeral(): void {}

  pushGone(): void {
    this.got.push('gone');
  }
}

/** A hub whose directory knows one conversation. */
class Stage {
  readonly standings = new Map<UserId, Standing>();
  readonly hub: Hub<Socket>;
  #seq = 0;

  constructor() {
    const conversation = { members: this.standings, has: (user: UserId) => this.standings.get(user) === 'member' };
    const directory = { peek: (conv: ConvId) => (conv === CONV ? conversation : undefined) };
    this.hub = new Hub<Socket>(new Flusher(), () => directory as unknown as Directory);
  }

  comes(id: string, standing: Standing = 'member'): { user: LocalUser<Socket>; socket: Socket } {
    const user = new LocalUser<Socket>(id as UserId);
    const socket = new Socket();
    user.connections.push(socket);
    this.standings.set(user.id, standing);
    user.convs.add(CONV);
    this.hub.enter(user);
    this.hub.enterRooms(user);
    return { user, socket };
  }

  crowd() {
    return Array.from({ length: PEOPLE }, (_, index) => this.comes(`u${index}`));
  }

  goes(user: LocalUser<Socket>): void {
    user.connections.length = 0;
    this.hub.leave(user);
  }

  says(): Seq {
    this.hub.deliver(CONV, encodeFrame('{}'), 1, ++this.#seq);
    return this.#seq;
  }

  moves(type: ChangeType, fields: object): Seq {
    const seq = ++this.#seq;
    const wire = wireText(type, CONV, seq, 0, 'u0', 1, null, bodyText(fields));
    const change: Change = {
      part: 0,
      offset: seq,
      conv: CONV,
      seq,
      n: 0,
      type,
      from: 'u0' as UserId,
      at: 1,
      key: null,
      wire,
    };
    this.hub.deliverGuardMove(change, encodeFrame(wire));
    return seq;
  }

  /** Until nothing waits in the room any more. */
  async settled(): Promise<void> {
    while (this.hub.hasBacklog(CONV)) await new Promise((resolve) => setImmediate(resolve));
  }
}

t.test('who leaves and joins again while the room is busy has it in their list', async (t) => {
  const stage = new Stage();
  const [, , { user, socket }] = stage.crowd() as [unknown, unknown, { user: LocalUser<Socket>; socket: Socket }];
  const said = stage.says();
  const left = stage.moves('member', { user: user.id, what: 'leave' });
  const joined = stage.moves('member', { user: user.id, what: 'join', role: 'member' });
  await stage.settled();
  t.same(socket.got, [said, left, 'gone', joined]);
  t.ok(user.convs.has(CONV));
  stage.goes(user);
  stage.says();
  await stage.settled();
  t.equal(stage.hub.audienceOf([CONV]).has(user), false, 'and leaves nothing behind when they disconnect');
});

t.test('a room that is empty for a moment between one who leaves and one who enters goes on', async (t) => {
  const stage = new Stage();
  const crowd = stage.crowd();
  const { user: last } = crowd[0] as { user: LocalUser<Socket> };
  const comer = new LocalUser<Socket>('comer' as UserId);
  const socket = new Socket();
  comer.connections.push(socket);
  stage.hub.enter(comer);
  stage.says();
  stage.moves('member', { user: last.id, what: 'leave' });
  const joined = stage.moves('member', { user: comer.id, what: 'join', role: 'member' });
  for (const { user } of crowd.slice(1)) stage.goes(user);
  await stage.settled();
  const said = stage.says();
  await stage.settled();
  t.same(socket.got, [joined, said]);
});

t.test('a user who is gone before their conversations are known leaves no room behind', async (t) => {
  const stage = new Stage();
  const user = new LocalUser<Socket>('u1' as UserId);
  stage.standings.set(user.id, 'member');
  stage.hub.enter(user);
  stage.hub.leave(user);
  user.convs.add(CONV);
  stage.hub.enterRooms(user);
  t.equal(stage.hub.hasLocal(CONV), false);
});

t.test('who is invited to a conversation that is deleted hears so, and has it no more', async (t) => {
  const stage = new Stage();
  stage.comes('u0');
  const { user, socket } = stage.comes('guest', 'invited');
  const seq = stage.moves('conv', { deleted: true });
  t.same(socket.got, [seq, 'gone']);
  t.equal(user.convs.has(CONV), false);
});

t.test('a connection that opens while its user is being removed is told which frames are not for it', async (t) => {
  const stage = new Stage();
  const [, , { user }] = stage.crowd() as [unknown, unknown, { user: LocalUser<Socket> }];
  stage.says();
  stage.moves('member', { user: user.id, what: 'kick' });
  t.same(stage.hub.leaving(user), [CONV]);
  await stage.settled();
  t.same(stage.hub.leaving(user), []);
});
