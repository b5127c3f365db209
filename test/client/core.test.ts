// What the simulation does not meet: many conversations, tokens that end, listeners that throw, frames of later versions.
import t from 'tap';
import { connect } from '../../src/client/bare.ts';
import type { Frame } from '../../src/client/connection.ts';
import { standingOf } from '../../src/client/core.ts';
import { uuidv7 } from '../../src/client/ids.ts';
import { connect as connectWhole } from '../../src/client/index.ts';
import { Refusal } from '../../src/client/refusal.ts';
import type { BareEvent, Clock, ConnectOptions, ConversationView } from '../../src/client/types.ts';
import { type MemberAct, standingAfter } from '../../src/protocol/changes.ts';
import { type Line, Network, type Peer } from './sim/network.ts';
import { World } from './sim/world.ts';

/** A server that says what it is told to, on a network without trouble. */
function stage(answer: (frame: Frame, line: Line) => void, limits: object = {}) {
  const world = new World(1);
  const got: Frame[] = [];
  const listener = {
    isUp: true,
    accept(line: Line): Peer {
      line.send({ t: 'welcome', v: 1, now: world.nowMs, heartbeat: 25_000, limits });
      return {
        onFrame(frame) {
          got.push(frame);
          answer(frame, line);
        },
        onClosed() {},
      };
    },
  };
  const network = new Network(world, listener);
  network.isCalm = true;
  const options: ConnectOptions = {
    url: 'sim',
    token: () => 'token',
    clock: world.clock('client', 0, () => true),
    random: () => world.random.whole(1_000) / 1_000,
    WebSocket: network.sockets('client', () => true),
  };
  return { world, network, got, options };
}

function viewOf(conv: string, seq: number): ConversationView {
  return { conv, kind: 'group', seq, n: 0, read: 0, role: 'member' };
}

function ready({ id }: Frame, convs: readonly ConversationView[], more = false): object {
  return { t: 'ready', id, user: { id: 'me', name: 'me' }, session: 's', epoch: 'e1', convs, more };
}

t.test(
  'of more conversations than a hello may name, the others are pulled once it is known that they moved',
  async (t) => {
    const convs = Object.fromEntries(Array.from({ length: 502 }, (_, index) => [`c${index}`, 5]));
    const { world, got, options } = stage((frame, line) => {
      if (frame.t === 'hello') line.send(ready(frame, [viewOf('c0', 7)], true));
      if (frame.t === 'sync') {
        const { id, conv, after } = frame;
        line.send({ t: 'sync', id, conv, epoch: 'e1', from: after, to: 7, head: 7, more: false, items: [] });
      }
    });
    const chat = connect({ ...options, since: { epoch: 'e1', convs } });
    await world.pass(5_000);
    const { since } = got.find(({ t }) => t === 'hello') as Frame & { since: { convs: object } };
    const shown = since.convs;
    t.equal(Object.keys(shown).length, 500);
    t.notOk('c0' in shown || 'c1' in shown);
    const pulled = () => got.filter((frame) => frame.t === 'sync').map(({ conv, after }) => [conv, after]);
    t.same(pulled(), [['c0', 5]], 'told by ready');
    chat.learn(viewOf('c1', 7));
    chat.learn(viewOf('c2', 7));
    await world.pass(5_000);
    t.same(
      pulled(),
      [
        ['c0', 5],
        ['c1', 5],
      ],
      'told over HTTP; one that was shown is told by the server',
    );
  },
);

t.test('a token whose end is told is renewed before it, by the one timer there is', async (t) => {
  let tokens = 0;
  const { world, network, got, options } = stage((frame, line) => {
    if (frame.t === 'hello') line.send(ready(frame, []));
    if (frame.t === 'renew') line.send({ t: 'ok', id: frame.id });
  });
  const chat = connect({ ...options, token: () => ({ access: `token ${tokens++}`, expiresIn: 900 }) });
  await world.pass(5_000);
  t.equal(world.waiting('client'), 1);
  await world.pass(1_800_000);
  t.same(
    got.filter((frame) => frame.t === 'renew').map(({ token }) => token),
    ['token 1', 'token 2'],
  );
  t.equal(got.filter((frame) => frame.t === 'hello').length, 1);
  t.equal(world.waiting('client'), 1);
  chat.close();
  t.equal(world.waiting('client'), 0);
  network.cutAll();
});

t.test('a token that is refused twice is the end, and a new one the way back', async (t) => {
  const asked: boolean[] = [];
  let isGood = false;
  const { world, options } = stage((frame, line) => {
    if (frame.t !== 'hello') return;
    if (isGood) return line.send(ready(frame, []));
    line.send({ t: 'error', id: frame.id, code: 'invalid_token', message: '', retry: false });
    line.close(4500);
  });
  const chat = connect({
    ...options,
    token: (isRefused) => {
      asked.push(isRefused);
      return 'token';
    },
  });
  await world.pass(60_000);
  t.same(asked, [false, true]);
  t.same([chat.state, chat.reason], ['closed', 'invalid_token']);
  isGood = true;
  chat.wake();
  await world.pass(5_000);
  t.equal(chat.state, 'online');
});

t.test(
  'without a login it closes; without a network it asks again, ever more seldom and never all at once',
  async (t) => {
    const { world, options } = stage(() => {});
    const outside = connect({
      ...options,
      token: () => {
        throw new Refusal({ code: 'invalid_token', message: '' });
      },
    });
    const askedAtMs: number[] = [];
    const offline = connect({
      ...options,
      token: async () => {
        askedAtMs.push(world.nowMs);
        throw new TypeError('fetch failed');
      },
    });
    await world.pass(600_000);
    t.same([outside.state, outside.reason], ['closed', 'invalid_token']);
    t.equal(offline.state, 'offline');
    const waits = askedAtMs.slice(1).map((ms, index) => ms - (askedAtMs[index] as number));
    t.ok(
      waits.every((ms, index) => ms <= Math.min(1_000 * 2 ** index, 30_000)),
      `${waits}`,
    );
    t.ok(new Set(waits.slice(6)).size > 3);
  },
);

t.test(
  'a connection that says nothing while something is awaited is given up; an idle one is left alone',
  async (t) => {
    let isDeaf = false;
    const { world, options } = stage((frame, line) => {
      if (frame.t === 'hello') line.send(ready(frame, [viewOf('c1', 1)]));
      if (frame.t === 'ping' && !isDeaf) line.send({ t: 'pong', id: frame.id, now: world.nowMs });
    });
    const chat = connect(options);
    const states: string[] = [];
    chat.on('state', ({ state, reason }) => states.push(reason ?? state));
    await world.pass(3_600_000);
    chat.wake();
    await world.pass(3_600_000);
    t.same(states, ['connecting', 'online']);
    isDeaf = true;
    chat.wake();
    await world.pass(14_000);
    t.equal(chat.state, 'online');
    await world.pass(10_000);
    t.same(states.slice(2), ['silent', 'connecting', 'online']);
  },
);

t.test('frames of later versions are passed over, but their numbers count', async (t) => {
  let line: Line | undefined;
  const { world, got, options } = stage((frame, at) => {
    line = at;
    if (frame.t === 'hello') at.send(ready(frame, [viewOf('c1', 1)]));
  });
  const chat = connectWhole(options);
  await world.pass(1_000);
  const common = { conv: 'c1', from: 'other', at: 1 };
  for (const frame of [
    { t: 'hologram', conv: 'c1', shape: {} },
    { t: 'sparkle', conv: 'c9', from: 'other' },
    { t: 'poll', ...common, seq: 2, options: [] },
    { t: 'member', ...common, seq: 3, user: 'other', what: 'promote' },
    { t: 'message', ...common, seq: 4, n: 1, text: 'hi', mood: 'good' },
    { t: 'error', code: 'bad_json', message: '', retry: false },
  ])
    line?.send(frame);
  await world.pass(1_000);
  t.same([...chat.conversations.keys()], ['c1']);
  t.match(chat.conversations.get('c1'), { seq: 4, n: 1 });
  t.same(
    got.filter(({ t }) => t === 'sync'),
    [],
  );
});

t.test('a listener that throws keeps nothing from the others', async (t) => {
  const { world, options } = stage((frame, line) => frame.t === 'hello' && line.send(ready(frame, [viewOf('c1', 1)])));
  const chat = connect(options);
  const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve));
  const told: BareEvent[] = [];
  chat.on('view', () => {
    throw new Error('a mistake');
  });
  chat.on('view', (event) => told.push(event));
  await world.pass(1_000);
  t.match(await uncaught, { message: 'a mistake' });
  t.equal(told.length, 1);
  t.equal(chat.state, 'online');
});

t.test('events can be taken one by one, until the chat closes', async (t) => {
  const { world, options } = stage((frame, line) => frame.t === 'hello' && line.send(ready(frame, [viewOf('c1', 1)])));
  const chat = connect(options);
  const taken = (async () => {
    const types: string[] = [];
    for await (const event of chat) types.push(event.type === 'state' ? event.state : event.type);
    return types;
  })();
  await world.pass(1_000);
  chat.close();
  t.same(await taken, ['connecting', 'view', 'online', 'closed']);
});

t.test('what is larger than a frame may be is refused here, and holds up nothing', async (t) => {
  const { world, got, options } = stage(
    (frame, line) => {
      const { id, conv } = frame;
      if (frame.t === 'hello') line.send(ready(frame, [viewOf('c1', 1)]));
      if (frame.t === 'message') line.send({ t: 'ok', id, conv, seq: 2, n: 1, at: 1 });
    },
    { frame: 65_536 },
  );
  const chat = connect(options);
  const states: string[] = [];
  chat.on('state', ({ state }) => states.push(state));
  // Three bytes each.
  const large = chat.write({ t: 'message', conv: 'c1', text: '€'.repeat(22_000) });
  const next = chat.write({ t: 'message', conv: 'c1', text: 'next' });
  await world.pass(60_000);
  await t.rejects(large.done, { code: 'too_large' });
  t.equal(large.state, 'refused');
  t.match(await next.done, { seq: 2 });
  t.same(states, ['connecting', 'online']);
  t.same(
    got.map((frame) => frame.text ?? frame.t),
    ['hello', 'next'],
  );
  t.equal(world.waiting('client'), 0);
});

t.test('what is given up is told once', async (t) => {
  const { world, options } = stage((frame, line) => {
    const { id } = frame;
    if (frame.t === 'hello') line.send(ready(frame, [viewOf('c1', 1)]));
    if (frame.t === 'message') line.send({ t: 'error', id, code: 'muted', message: 'muted', retry: false });
  });
  const removed: string[] = [];
  const outbox = {
    load: async () => [],
    put: async () => {},
    remove: async (id: string) => void removed.push(id),
  };
  const chat = connect({ ...options, outbox });
  const refused = chat.write({ t: 'message', conv: 'c1', text: 'psst' });
  await world.pass(5_000);
  t.equal(refused.state, 'refused');
  let told = 0;
  chat.on('sending', () => told++);
  refused.discard();
  t.equal(told, 1);
  t.same(chat.sendings, []);
  const waiting = chat.write({ t: 'message', conv: 'c1', text: 'never mind' });
  waiting.discard();
  t.equal(told, 3, 'one that is new, and then is not');
  t.ok(removed.includes(waiting.id), 'and it is taken out of the outbox');
});

t.test('a token that works for months asks for no wait that is too long for a timer', async (t) => {
  const { world, got, options } = stage((frame, line) => {
    if (frame.t === 'hello') line.send(ready(frame, []));
    if (frame.t === 'renew') line.send({ t: 'ok', id: frame.id });
  });
  const waits: number[] = [];
  const real = options.clock as Clock;
  const clock: Clock = {
    now: () => real.now(),
    after(ms, run) {
      waits.push(ms);
      return real.after(ms, run);
    },
  };
  connect({ ...options, clock, token: () => ({ access: 'token', expiresIn: 90 * 86_400 }) });
  await world.pass(60_000);
  t.ok(Math.max(...waits) < 2 ** 31, `${waits}`);
  t.equal(got.filter((frame) => frame.t === 'renew').length, 0);
});

t.test('without a constructor of sockets it says so at once, and does not try for ever', async (t) => {
  const { options } = stage(() => {});
  const { WebSocket: _, ...rest } = options;
  const { WebSocket: kept } = globalThis;
  t.teardown(() => Object.assign(globalThis, { WebSocket: kept }));
  Reflect.deleteProperty(globalThis, 'WebSocket');
  t.throws(() => connect(rest), /WebSocket/);
});

t.test('who closes a chat closes its outbox', async (t) => {
  const { options } = stage(() => {});
  let closed = 0;
  const outbox = { load: async () => [], put: async () => {}, remove: async () => {}, close: () => closed++ };
  const chat = connect({ ...options, outbox });
  t.equal(closed, 0);
  chat.close();
  t.equal(closed, 1);
});

t.test('nobody is seen typing through a connection that has ended', async (t) => {
  let line: Line | undefined;
  const { world, network, options } = stage((frame, at) => {
    line = at;
    if (frame.t === 'hello') at.send(ready(frame, [viewOf('c1', 1)]));
  });
  const chat = connectWhole(options);
  await world.pass(1_000);
  line?.send({ t: 'typing', conv: 'c1', user: 'bob', on: true });
  await world.pass(1_000);
  t.same([...(chat.conversations.get('c1')?.typing ?? [])], ['bob']);
  const typing = new Promise((resolve) => {
    chat.on('state', ({ state }) => state === 'offline' && resolve(chat.conversations.get('c1')?.typing.size));
  });
  network.cutAll();
  await world.pass(1_000);
  t.equal(await typing, 0);
});

t.test('one id is one write, here already', async (t) => {
  const { world, got, options } = stage((frame, line) => {
    if (frame.t === 'hello') line.send(ready(frame, [viewOf('c1', 1)]));
    if (frame.t !== 'message') return;
    const { t, id, conv, text } = frame;
    line.send({ t, conv, seq: 2, n: 1, from: 'me', at: 1, key: id, text });
    world.after(500, () => line.send({ t: 'ok', id, conv, seq: 2, n: 1, at: 1 }));
  });
  const chat = connect(options);
  const entry = { t: 'message', conv: 'c1', text: 'once', id: 'my-own-key' } as const;
  const first = chat.write(entry);
  t.equal(chat.write(entry), first);
  await new Promise((resolve) => {
    chat.on('message', resolve);
    void world.pass(400);
  });
  t.same(chat.sendings, []);
  const again = chat.write(entry);
  await world.pass(2_000);
  t.same(await Promise.all([first.done, again.done]), Array(2).fill({ conv: 'c1', seq: 2, n: 1, at: 1 }));
  t.equal(got.filter((frame) => frame.t === 'message').length, 1);
  t.same(chat.sendings, []);
});

t.test('what a member change makes of somebody is what the protocol says', async (t) => {
  const acts: readonly MemberAct[] = ['join', 'leave', 'add', 'invite', 'kick', 'ban', 'role'];
  const change = { t: 'member', conv: 'c', seq: 1, from: 'u', at: 1, user: 'u' };
  for (const what of [...acts, 'promote']) {
    const withRole = what === 'join' || what === 'add' || what === 'role' ? { role: 'moderator' as const } : {};
    t.equal(standingOf({ what, ...withRole }), standingAfter({ ...change, what, ...withRole } as never), what);
  }
  t.equal(standingOf({ what: 'add' }), standingAfter({ ...change, what: 'add' } as never));
});

t.test('ids are UUIDv7 that carry the time of the server', async (t) => {
  const id = uuidv7(1_794_000_000_123.9, Math.random);
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  t.equal(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16), 1_794_000_000_123);
  t.equal(new Set(Array.from({ length: 10_000 }, () => uuidv7(1, Math.random))).size, 10_000);
});
