import t from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { memoryTallies } from '../../src/adapters/memory/tallies.ts';
import type { RedisClient } from '../../src/adapters/redis/connection.ts';
import { redisTallies } from '../../src/adapters/redis/tallies.ts';
import { fakeClock } from '../kit/clock.ts';
import { redisCluster, redisServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';
import { OUTAGE_TIMEOUT_MS, openConnection } from './redis-ephemeral.ts';
import { talliesContract } from './tallies.ts';

function node(client: RedisClient, faults: unknown[] = []) {
  const clock = systemClock();
  const onFault = (error: unknown) => void faults.push(error);
  return redisTallies({ client, clock, fallback: memoryTallies(clock), onFault });
}

t.test('memory', async (t) => {
  talliesContract(t, async () => {
    const tallies = memoryTallies(systemClock());
    return { nodes: [tallies, tallies] };
  });

  t.test('windows that ended are forgotten', async (t) => {
    const clock = fakeClock();
    const tallies = memoryTallies(clock);
    for (let index = 0; index < 1_000; index++) tallies.count(`k${index}`, 60_000);
    t.equal(tallies.keys, 1_000);
    clock.advance(60_000);
    tallies.count('one more', 60_000);
    t.equal(tallies.keys, 1);
  });

  t.test('a flood of made-up keys costs bounded memory, and counts together', async (t) => {
    const tallies = memoryTallies(fakeClock(), 10);
    const counts = Array.from({ length: 30 }, (_, index) => tallies.count(`k${index}`, 60_000).count);
    t.equal(tallies.keys, 11);
    t.equal(counts.at(-1), 20);
    t.equal(tallies.count('k0', 60_000).count, 2, 'who was there keeps its own');
  });
});

t.test('redis', async (t) => {
  const server = await redisServer(t, { appendfsync: 'no' });
  const clients = [await openConnection(t, server.url), await openConnection(t, server.url)] as const;
  talliesContract(t, async () => {
    await clients[0].flushall();
    return { nodes: [node(clients[0]), node(clients[1])] };
  });
});

t.test('redis cluster', async (t) => {
  const { urls, masters } = await redisCluster(t);
  const client = await openConnection(t, urls);
  const servers = await Promise.all(masters.map(({ url }) => openConnection(t, url)));
  talliesContract(t, async () => {
    await Promise.all(servers.map((server) => server.flushall()));
    return { nodes: [node(client), node(client)] };
  });
});

t.test('law 4: while Redis does not answer, every count of a node counts for several', async (t) => {
  const server = await redisServer(t, { appendfsync: 'no' });
  const faults: unknown[] = [];
  const tallies = node(await openConnection(t, server.url, OUTAGE_TIMEOUT_MS), faults);
  const count = async (key: string) => (await tallies.count(key, 600_000)).count;
  t.same([await count('ann'), await count('ann')], [1, 2]);
  server.pause();
  t.same([await count('ann'), await count('ann'), await count('bob')], [4, 8, 4]);
  t.equal(faults.length, 1, 'told once');
  server.resume();
  await eventually(async () => (await count(`new ${Math.random()}`)) === 1);
  t.ok((await count('ann')) > 2, 'what was counted before still counts');
  await server.kill();
  t.equal(await count('bob'), 8);
  await server.start();
  await eventually(async () => (await count(`new ${Math.random()}`)) === 1);
});
