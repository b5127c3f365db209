import t, { type Test } from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { type Medium, memorySignals } from '../../src/adapters/memory/signals.ts';
import { type RedisSignals, redisSignals } from '../../src/adapters/redis/signals.ts';
import type { Signal, Signals } from '../../src/ports/signals.ts';
import type { ConvId, SessionId, UserId } from '../../src/protocol/ids.ts';
import { redisCluster, redisServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';
import { connection, frozenWay, OUTAGE_TIMEOUT_MS, openConnection } from './redis-ephemeral.ts';
import { signalsContract } from './signals.ts';

interface NodeOptions {
  /** How it gets to Redis to hear; left out: as it does to publish. */
  readonly hearsBy?: string;
  readonly faults?: unknown[];
  readonly node?: string;
  readonly timeoutMs?: number;
}

async function redisNode(t: Test, urls: string, options: NodeOptions = {}): Promise<RedisSignals> {
  const { hearsBy = urls, faults = [], node, timeoutMs } = options;
  const signals = redisSignals({
    client: await openConnection(t, urls, timeoutMs),
    connect: () => connection(t, hearsBy, timeoutMs),
    clock: systemClock(),
    onFault: (error) => faults.push(error),
    ...(node === undefined ? {} : { node }),
  });
  t.teardown(() => signals.close());
  await eventually(() => !signals.isCut);
  return signals;
}

function typing(user: string, on = true): Signal {
  return { is: 'typing', conv: 'c1' as ConvId, user: user as UserId, on };
}

function ended(...sessions: string[]): Signal {
  return { is: 'ended', sessions: sessions as SessionId[] };
}

/** Every signal this node's subscribers have heard. */
function hear(signals: Signals): readonly Signal[] {
  const heard: Signal[] = [];
  signals.subscribe((signal) => heard.push(signal));
  return heard;
}

/** Publishes until it is heard: what is lost on the way is lost. */
async function arrives(from: Signals, heard: readonly Signal[]): Promise<void> {
  const name = `arrives ${Math.random()}`;
  await eventually(() => {
    from.publish(typing(name));
    return heard.some((signal) => signal.is === 'typing' && signal.user === name);
  });
}

t.test('memory', async (t) => {
  signalsContract(t, async () => {
    const signals = memorySignals();
    return { nodes: [signals, signals] };
  });
});

t.test('memory, two nodes of one medium', async (t) => {
  signalsContract(t, async () => {
    const medium: Medium = new Set();
    return { nodes: [memorySignals('a', medium), memorySignals('b', medium)] };
  });
});

t.test('redis', async (t) => {
  const { url } = await redisServer(t, { appendfsync: 'no' });
  signalsContract(t, async (t) => ({ nodes: [await redisNode(t, url), await redisNode(t, url)] }));

  t.test('law 1: what Redis gives back to its publisher is not heard twice', async (t) => {
    const nodes = [await redisNode(t, url), await redisNode(t, url)] as const;
    const [own, others] = [hear(nodes[0]), hear(nodes[1])];
    for (let index = 0; index < 10; index++) nodes[0].publish(typing(`u${index}`));
    await eventually(() => others.length === 10);
    nodes[1].publish(ended('fence'));
    await eventually(() => own.some(({ is }) => is === 'ended'));
    t.equal(own.length, 11);
  });

  t.test('subscribers are told whose signal it is', async (t) => {
    const nodes = [await redisNode(t, url, { node: 'a' }), await redisNode(t, url, { node: 'b' })] as const;
    const heard: string[] = [];
    nodes[1].subscribe((signal, from) => heard.push(`${signal.is} from ${from}`));
    nodes[0].publish(typing('ann'));
    await eventually(() => heard.length === 1);
    nodes[1].publish(ended());
    await eventually(() => heard.length === 2);
    t.same(heard, ['typing from a', 'ended from b']);
  });

  t.test('law 2: a turn with more than fits one message arrives whole and in its order', async (t) => {
    const nodes = [await redisNode(t, url), await redisNode(t, url)] as const;
    const heard = hear(nodes[1]);
    const published = Array.from({ length: 3_000 }, (_, index) => ended(`${index}`, 'x'.repeat(500)));
    for (const signal of published) nodes[0].publish(signal);
    await eventually(() => heard.length === published.length);
    t.same(heard, published);
  });

  t.test('what is malformed, new or old is left out, and the rest is heard', async (t) => {
    const node = await redisNode(t, url);
    const heard = hear(node);
    const raw = await openConnection(t, url);
    const channel = 'chat:{signals:0}:all';
    const say = (message: unknown) =>
      raw.spublish(channel, typeof message === 'string' ? message : JSON.stringify(message));
    const good = typing('good');
    const odd = [
      { ...good, on: 'yes' },
      { is: 'presence', user: 'ann', status: 'asleep', seen: 1, convs: [] },
      { is: 'from a newer version', a: 1 },
      { is: 'toString' },
      { is: 'ended', sessions: [7] },
      { is: 'everyone', part: 0, parts: 1, users: [['ann', 'online']] },
    ];
    for (const junk of ['', 'not json', 'null', '[]', '{}', '"x"', '{"from":7,"n":1,"signals":[]}']) await say(junk);
    for (const junk of [null, 7, { is: 7 }]) await say({ from: 'z', n: 1, signals: [junk] });
    await say({ from: 'other', n: 5, signals: [...odd, { ...good, newer: true }], newer: 1 });
    await say({ from: 'other', n: 5, signals: [typing('twice')] });
    await say({ from: 'other', n: 4, signals: [typing('late')] });
    await say({ from: node.node, n: 9, signals: [typing('own')] });
    await say({ from: 'other', n: 6, signals: [ended('last')] });
    await eventually(() => heard.some(({ is }) => is === 'ended'));
    t.match(heard, [good, ended('last')]);
    t.equal(heard.length, 2);
  });

  t.test('a subscriber that throws costs nobody else a signal', async (t) => {
    const nodes = [await redisNode(t, url), await redisNode(t, url)] as const;
    const thrown: unknown[] = [];
    const onUncaught = (error: unknown) => void thrown.push(error);
    process.setUncaughtExceptionCaptureCallback(onUncaught);
    t.teardown(() => process.setUncaughtExceptionCaptureCallback(null));
    nodes[1].subscribe(() => {
      throw new Error('a defect');
    });
    const heard = hear(nodes[1]);
    nodes[0].publish(typing('ann'));
    nodes[0].publish(typing('bob'));
    await eventually(() => heard.length === 2);
    t.match(thrown, [{ message: 'a defect' }, { message: 'a defect' }]);
  });

  t.test('after its close a node hears nothing, and what it published last has arrived', async (t) => {
    const nodes = [await redisNode(t, url), await redisNode(t, url)] as const;
    const [own, others] = [hear(nodes[0]), hear(nodes[1])];
    nodes[0].publish(ended('left'));
    await nodes[0].close();
    await eventually(() => others.length === 1);
    nodes[1].publish(ended('later'));
    await eventually(() => others.length === 2);
    t.same(own, [ended('left')]);
  });
});

for (const away of ['stopped (SIGSTOP)', 'killed, and started empty'] as const) {
  t.test(`laws 5 and 6: Redis is ${away}`, async (t) => {
    const server = await redisServer(t, { appendfsync: 'no', args: ['--appendonly', 'no'] });
    const faults: unknown[] = [];
    const options = { timeoutMs: OUTAGE_TIMEOUT_MS };
    const nodes = [
      await redisNode(t, server.url, { ...options, faults }),
      await redisNode(t, server.url, options),
    ] as const;
    const [own, others] = [hear(nodes[0]), hear(nodes[1])];
    await arrives(nodes[0], others);
    if (away.startsWith('killed')) await server.kill();
    else server.pause();
    await eventually(() => nodes.every(({ isCut }) => isCut));
    for (let index = 0; index < 1_000; index++) nodes[0].publish(ended(`alone ${index}`));
    await eventually(() => own.filter(({ is }) => is === 'ended').length === 1_000);
    await eventually(() => faults.length > 0);
    if (away.startsWith('killed')) await server.start();
    else server.resume();
    await eventually(() => nodes.every(({ isCut }) => !isCut));
    await arrives(nodes[0], others);
    await arrives(nodes[1], own);
    t.equal(faults.length, 1, 'told once');
    t.notOk(
      others.some(({ is }) => is === 'ended'),
      'what could not be told then is not told later',
    );
  });
}

t.test('law 6: a connection that Redis closes is opened again', async (t) => {
  const { url } = await redisServer(t, { appendfsync: 'no' });
  const nodes = [await redisNode(t, url), await redisNode(t, url)] as const;
  const heard = hear(nodes[1]);
  await arrives(nodes[0], heard);
  const admin = await openConnection(t, url);
  t.ok(Number(await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')) >= 2);
  await arrives(nodes[0], heard);
});

t.test('law 6: a connection that is dead without saying so is given up for a new one', async (t) => {
  const server = await redisServer(t, { appendfsync: 'no' });
  const way = await frozenWay(t, server.port);
  const faults: unknown[] = [];
  const node = await redisNode(t, server.url, { hearsBy: way.url, faults });
  const other = await redisNode(t, server.url);
  const heard = hear(node);
  await arrives(other, heard);
  way.freeze();
  await eventually(() => node.isCut);
  t.notOk(other.isCut);
  await arrives(other, heard);
  await eventually(() => !node.isCut);
  t.equal(faults.length, 1);
});

t.test('redis cluster', async (t) => {
  const { urls, masters } = await redisCluster(t);
  signalsContract(t, async (t) => ({ nodes: [await redisNode(t, urls), await redisNode(t, urls)] }));

  t.test('nodes of different channels hear each other', async (t) => {
    const nodes = await Promise.all(
      Array.from({ length: 8 }, (_, index) => redisNode(t, urls, { node: `node ${index}` })),
    );
    const heards = nodes.map(hear);
    await Promise.all(nodes.map((node, index) => arrives(node, heards[(index + 1) % nodes.length] ?? [])));
    const messages = await Promise.all(
      masters.map(async ({ url }) => (await openConnection(t, url)).info('commandstats')),
    );
    t.ok(
      messages.every((stats) => /cmdstat_spublish:calls=[1-9]/.test(String(stats))),
      'every master carries some',
    );
  });

  t.test('who publishes by a master that does not answer goes on by another', async (t) => {
    const nodes = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        redisNode(t, urls, { node: `node ${index}`, timeoutMs: OUTAGE_TIMEOUT_MS }),
      ),
    );
    const heards = nodes.map(hear);
    masters[1]?.pause();
    await eventually(() => nodes.every(({ isCut }) => isCut));
    await Promise.all(nodes.map((node, index) => arrives(node, heards[(index + 1) % nodes.length] ?? [])));
    masters[1]?.resume();
    await eventually(() => nodes.every(({ isCut }) => !isCut));
    await Promise.all(nodes.map((node, index) => arrives(node, heards[(index + 1) % nodes.length] ?? [])));
  });
});

t.test('law 6: a master of the cluster dies, and its replica takes its place', async (t) => {
  const { urls, masters } = await redisCluster(t, { hasReplicas: true });
  const names = Array.from({ length: 4 }, (_, index) => `node ${index}`);
  const nodes = await Promise.all(names.map((node) => redisNode(t, urls, { node, timeoutMs: OUTAGE_TIMEOUT_MS })));
  const heards = nodes.map(hear);
  await masters[0]?.kill();
  await eventually(() => nodes.every(({ isCut }) => isCut));
  await eventually(() => nodes.every(({ isCut }) => !isCut));
  await Promise.all(nodes.map((node, index) => arrives(node, heards[(index + 1) % nodes.length] ?? [])));
});
