// The laws of src/presence/neighbours.ts, on signals of a real Redis that is killed, stopped and started empty.
import t, { type Test } from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { type RedisSignals, redisSignals } from '../../src/adapters/redis/signals.ts';
import { connection, OUTAGE_TIMEOUT_MS, openConnection } from '../contract/redis-ephemeral.ts';
import { redisCluster, redisServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';
import { type PresenceNode, pass, presenceNode } from './nodes.ts';

interface RedisNode extends PresenceNode {
  readonly signals: RedisSignals;
}

async function redisNode(t: Test, urls: string): Promise<RedisNode> {
  const signals = redisSignals({
    client: await openConnection(t, urls, OUTAGE_TIMEOUT_MS),
    connect: () => connection(t, urls, OUTAGE_TIMEOUT_MS),
    clock: systemClock(),
    onFault: () => {},
  });
  t.teardown(() => signals.close());
  await eventually(() => !signals.isCut);
  return { ...presenceNode(signals), signals };
}

async function three(t: Test, urls: string): Promise<[RedisNode, RedisNode, RedisNode]> {
  const nodes = [await redisNode(t, urls), await redisNode(t, urls), await redisNode(t, urls)] as const;
  nodes[0].has('ann', 'online');
  nodes[1].has('bob', 'busy');
  nodes[2].has('bob', 'away');
  await pass(nodes, 4);
  for (const node of nodes) t.same([node.statusOf('ann'), node.statusOf('bob')], ['online', 'busy']);
  return [...nodes];
}

for (const where of ['one server', 'a cluster'] as const) {
  t.test(`law 2: a dead node takes its users with it (${where})`, async (t) => {
    const urls =
      where === 'one server' ? (await redisServer(t, { appendfsync: 'no' })).url : (await redisCluster(t)).urls;
    const [a, b, c] = await three(t, urls);
    await b.signals.close();
    await pass([a, c], 15);
    for (const node of [a, c]) {
      t.same(node.toldOf('bob').slice(-2), ['busy', 'away']);
      t.equal(node.statusOf('ann'), 'online');
    }
    const late = await redisNode(t, urls);
    await pass([a, c, late], 4);
    t.same([late.statusOf('ann'), late.statusOf('bob')], ['online', 'away'], 'who comes later hears the same');
  });
}

for (const away of ['stopped (SIGSTOP)', 'killed, and started empty'] as const) {
  t.test(`laws 3 and 4: Redis is ${away}`, async (t) => {
    const server = await redisServer(t, { appendfsync: 'no', args: ['--appendonly', 'no'] });
    const nodes = await three(t, server.url);
    const [a, b, c] = nodes;
    if (away.startsWith('killed')) await server.kill();
    else server.pause();
    await eventually(() => nodes.every(({ signals }) => signals.isCut));
    a.has('ann', 'busy');
    b.has('carl', 'online');
    for (const { clock } of nodes) clock.advance(60_000);
    t.equal(a.statusOf('ann'), 'busy', 'known here at once');
    t.same([c.statusOf('ann'), c.statusOf('bob')], ['online', 'busy'], 'nobody goes offline by silence');
    if (away.startsWith('killed')) await server.start();
    else server.resume();
    await eventually(() => nodes.every(({ signals }) => !signals.isCut));
    await pass(nodes, 7);
    for (const node of nodes) {
      t.same(['ann', 'bob', 'carl'].map(node.statusOf), ['busy', 'busy', 'online']);
      t.notOk(node.told.some(({ status }) => status === 'offline'));
    }
  });
}
