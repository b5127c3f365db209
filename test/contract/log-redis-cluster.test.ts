// The log on a Redis Cluster: its parts are on several masters, and one of them dies, alone or with a replica that takes over
// and has not heard of everything.
import { Redis } from 'ioredis';
import t from 'tap';
import { partKeys, partOf } from '../../src/adapters/redis/log-keys.ts';
import { type Append, type Log, PositionLost } from '../../src/ports/log.ts';
import type { ConvId } from '../../src/protocol/ids.ts';
import { cluster } from '../kit/nodes.ts';
import { type OwnServer, type RedisCluster, redisCluster } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';
import { appendOne, conv, creation, message } from './log-items.ts';
import { clusterUnderTest } from './log-redis.ts';

const PARTS = 16;

async function withRedis<Result>({ url }: OwnServer, ask: (redis: Redis) => Promise<Result>): Promise<Result> {
  const redis = new Redis(url);
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

/** Of each part, the place of its master among the masters. */
async function mastersOfParts({ masters }: RedisCluster): Promise<readonly number[]> {
  const [first] = masters as readonly [OwnServer];
  return withRedis(first, async (redis) => {
    const ranges = await redis.cluster('SLOTS');
    const parts = Array.from({ length: PARTS }, async (_, part) => {
      const slot = Number(await redis.cluster('KEYSLOT', partKeys(part).log));
      const range = ranges.find(([from, to]) => from <= slot && slot <= to);
      return masters.findIndex(({ port }) => port === range?.[2]?.[1]);
    });
    return Promise.all(parts);
  });
}

/** One conversation whose part is there. */
function convWhere(isThere: (part: number) => boolean): ConvId {
  const all = Array.from({ length: 500 }, (_, index) => conv(index));
  return all.find((id) => isThere(partOf(id, PARTS))) as ConvId;
}

/** Repeats what was not accepted, as clients do. */
function insist(log: Log, append: Append) {
  return eventually(() => appendOne(log, append));
}

async function seqsIn(log: Log, id: ConvId): Promise<readonly number[]> {
  const part = partOf(id, PARTS);
  const head = (await log.readIndex())[part] ?? 0;
  const tail = log.tail([], [part]);
  const seqs: number[] = [];
  for (let last = 0; last < head; ) {
    const { value = [] } = await tail.next();
    for (const change of value) if (change.conv === id) seqs.push(change.seq);
    last = value.at(-1)?.offset ?? head;
  }
  await tail.return();
  return seqs;
}

/** The server that copies a master has not heard of what comes from now on. */
async function stopCopying(copy: OwnServer, master: OwnServer): Promise<void> {
  const offset = (redis: Redis, name: string) =>
    redis.info('replication').then((info) => Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1]));
  await eventually(async () => {
    const wrote = await withRedis(master, (redis) => offset(redis, 'master_repl_offset'));
    return (await withRedis(copy, (redis) => offset(redis, 'slave_repl_offset'))) >= wrote;
  });
  copy.pause();
  // What is on its way would be read all the same.
  await withRedis(master, (redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'replica'));
}

t.test('laws 1, 4, 8: parts on three masters, two nodes, one order in each conversation', async (t) => {
  const servers = await redisCluster(t);
  t.equal(new Set(await mastersOfParts(servers)).size, 3);
  const under = await clusterUnderTest(t, servers);
  const [one, two] = [await under.open({ parts: PARTS }), await under.open({ parts: PARTS })];
  const convs = Array.from({ length: 40 }, (_, index) => conv(index));
  await one.append(convs.map((id) => creation(id)));
  await Promise.all([one, two].map((log) => log.append(convs.flatMap((id) => [message(id), message(id)]))));
  for (const log of [one, two]) {
    const index = await log.readIndex();
    t.equal(
      index.reduce((sum, head) => sum + head, 0),
      200,
    );
    for (const id of convs.slice(0, 4)) t.same(await seqsIn(log, id), [1, 2, 3, 4, 5]);
  }
});

t.test('a master dies and comes back: its parts wait, the others go on, no epoch ends', async (t) => {
  const servers = await redisCluster(t);
  const under = await clusterUnderTest(t, servers);
  const places = await mastersOfParts(servers);
  const [, victim] = servers.masters as readonly [OwnServer, OwnServer];
  const [here, there] = [convWhere((part) => places[part] === 1), convWhere((part) => places[part] !== 1)];
  const log = await under.open({ parts: PARTS });
  await log.append([creation(here), creation(there)]);
  const { epoch } = log.state();
  await victim.kill();
  await t.rejects(appendOne(log, message(here)), { code: 'unavailable' });
  await victim.start();
  t.match(await insist(log, message(here)), { is: 'ok', seq: 2 });
  t.match(await insist(log, message(there)), { is: 'ok', seq: 2 });
  t.same(await seqsIn(log, here), [1, 2]);
  t.equal(log.state().epoch, epoch);
});

t.test('law 6: a replica that has not heard of everything takes over: its parts alone have a new epoch', async (t) => {
  const servers = await redisCluster(t, { hasReplicas: true });
  const under = await clusterUnderTest(t, servers);
  const places = await mastersOfParts(servers);
  const [master, replica] = [servers.masters[1] as OwnServer, servers.replicas[1] as OwnServer];
  const [here, there] = [convWhere((part) => places[part] === 1), convWhere((part) => places[part] !== 1)];
  const [log, other] = [await under.open({ parts: PARTS }), await under.open({ parts: PARTS })];
  await log.append([creation(here), message(here), creation(there), message(there)]);
  await stopCopying(replica, master);
  t.match(await appendOne(log, message(here)), { is: 'ok', seq: 3 });
  const { epoch } = log.state();
  const reading = other.tail(await log.readIndex());
  const lost = reading.next().catch((error: unknown) => error);
  await master.kill();
  replica.resume();
  t.match(await insist(log, message(here)), { is: 'ok', seq: 3 }, 'what was not copied is lost');
  t.notOk(log.sameEpoch(here, epoch), 'and that is told');
  t.ok(log.sameEpoch(there, epoch));
  t.type(await lost, PositionLost);
  await eventually(() => !other.sameEpoch(here, epoch));
  t.match(await insist(other, message(there)), { is: 'ok', seq: 3 });
  for (const node of [log, other]) t.same(await seqsIn(node, here), [1, 2, 3]);
});

t.test('promise 6: whoever has seen what a failover lost is told to begin again', async (t) => {
  const servers = await redisCluster(t, { hasReplicas: true });
  const places = await mastersOfParts(servers);
  const nodes = await cluster(t, { redis: servers.masters[0] as OwnServer, env: { CHAT_REDIS_URL: servers.urls } });
  const [one] = nodes.pair;
  const ann = await one.client('ann');
  const group = await ann.group([]);
  await ann.send(group, 'one');
  const place = places[partOf(group as ConvId, PARTS)] as number;
  const [master, replica] = [servers.masters[place] as OwnServer, servers.replicas[place] as OwnServer];
  await stopCopying(replica, master);
  await ann.send(group, 'two');
  const { seq } = await ann.next('message', { text: 'two' });
  await eventually(async () => (await one.lag()) === 0);
  await master.kill();
  replica.resume();
  await ann.next('bye');
  const back = await eventually(() => ann.resume());
  await back.next('reset', { conv: group });
  await back.pull(group);
  const next = await eventually(() => back.send(group, 'three'));
  t.equal(next.seq, seq + 1, 'what was stored is not lost');
  const { items } = await back.history(group);
  t.same(
    items.map(({ text }) => text),
    ['one', 'two', 'three'],
  );
});
