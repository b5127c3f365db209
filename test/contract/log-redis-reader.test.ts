// What the tails of the log on Redis do while it cannot be asked, and with what somebody has put into a stream by hand.
import { Redis } from 'ioredis';
import t from 'tap';
import { partKeys, partOf } from '../../src/adapters/redis/log-keys.ts';
import { appendScript } from '../../src/adapters/redis/log-scripts.ts';
import type { Change, Log } from '../../src/ports/log.ts';
import type { ConvId } from '../../src/protocol/ids.ts';
import { eventually, soon } from '../kit/waiting.ts';
import { appendOne, conv, creation, message, take } from './log-items.ts';
import { type RedisUnderTest, redisUnderTest } from './log-redis.ts';

const LOG = 'chat:{0}:log';

async function withRedis<Result>(under: RedisUnderTest, act: (redis: Redis) => Promise<Result>): Promise<Result> {
  const redis = new Redis(under.redis.url);
  try {
    return await act(redis);
  } finally {
    redis.disconnect();
  }
}

function convOf(part: number, parts: number): ConvId {
  const found = Array.from({ length: 100 }, (_, index) => conv(index)).find((id) => partOf(id, parts) === part);
  return found as ConvId;
}

t.test('law 4: a tail that reads older changes goes on when Redis is back', async (t) => {
  const under = await redisUnderTest(t);
  const writer = await under.open();
  await appendOne(writer, creation(conv(1)));
  await writer.append([message(conv(1)), message(conv(1))]);
  const reader = await under.open();
  await under.redis.kill('SIGKILL');
  const tail = reader.tail([0]);
  const next = take(tail, 3).then(
    (changes) => changes.length,
    (error: Error) => error.name + error.message,
  );
  await t.rejects(reader.readIndex());
  await under.redis.start();
  t.equal(await soon(next, () => 'no changes'), 3);
});

t.test('law 4: what one part gave is not lost where another part cannot be asked', async (t) => {
  const under = await redisUnderTest(t);
  const writer = await under.open({ parts: 2 });
  const [zero, one] = [convOf(0, 2), convOf(1, 2)];
  await writer.append([creation(zero), creation(one)]);
  const reader = await under.open({ parts: 2 });
  await appendOne(writer, message(zero));
  await eventually(() => reader.state().head[0] === 2);
  const tail = reader.tail([1, 0]);
  await under.redis.kill('SIGKILL');
  const first = tail.next().then(
    ({ value }) => value as Change[],
    () => [],
  );
  await t.rejects(reader.readIndex());
  await under.redis.start();
  await eventually(() => appendOne(writer, message(zero)));
  const changes = [...(await first)];
  while (!changes.some(({ part, offset }) => part === 0 && offset === 3)) changes.push(...(await take(tail, 1)));
  t.same(
    changes.filter(({ part }) => part === 0).map(({ offset }) => offset),
    [2, 3],
    'all of part 0',
  );
  await tail.return();
});

t.test('a tail that starts ahead of this node while Redis is away harms nobody', async (t) => {
  const under = await redisUnderTest(t);
  const log = await under.open();
  await appendOne(log, creation(conv(1)));
  await under.redis.kill('SIGKILL');
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => failures.push(error);
  process.prependListener('unhandledRejection', onFailure);
  log.tail([1_000]);
  await t.rejects(log.readIndex());
  await new Promise((resolve) => setImmediate(resolve));
  process.removeListener('unhandledRejection', onFailure);
  t.same(failures, [], 'no rejection that nobody handles');
});

const FOREIGN: readonly (readonly [what: string, put: (redis: Redis) => Promise<unknown>])[] = [
  ['whose id is the next', (redis) => redis.xadd(LOG, '3-0', 'x', 'not ours')],
  ['with the words of a change that is none', (redis) => redis.xadd(LOG, '3-0', 'b', '1', 'w', '{"t":')],
  ['whose id is made of the time', (redis) => redis.xadd(LOG, '*', 'x', 'not ours')],
  [
    'twenty between two of ours',
    // At once: the first of them that is seen is the last that is let in.
    (redis) => {
      const all = redis.multi();
      for (let sub = 1; sub <= 20; sub++) all.xadd(LOG, `2-${sub}`, 'x', 'not ours');
      return all.exec();
    },
  ],
];

for (const [what, put] of FOREIGN) {
  t.test(`F10: an entry put into the stream by hand, ${what}: the log goes on`, async (t) => {
    const under = await redisUnderTest(t);
    const lost: string[] = [];
    const log = await under.open({ onLost: (_part, reason) => lost.push(reason) });
    await appendOne(log, creation(conv(1)));
    await appendOne(log, message(conv(1)));
    await eventually(() => log.state().head[0] === 2);
    await withRedis(under, put);
    const appended = await soon(
      insist(log),
      () => `never appended; lost ${lost.length} times: ${lost.at(-1)}`,
      8_000,
    ).catch((error: Error) => error.message);
    t.match(appended, { is: 'ok', seq: 3 });
    const read = await soon(
      take(log.tail([2]), 1).then((changes) => changes.map(({ seq }) => seq)),
      () => `never read; lost ${lost.length} times`,
      8_000,
    ).catch((error: Error) => error.message);
    t.same(read, [3]);
    t.ok(lost.length < 10, `lost ${lost.length} times`);
  });
}

function insist(log: Log) {
  return eventually(() => appendOne(log, message(conv(1))));
}

t.test('law 1: an append whose place in the stream is taken has taken no number', async (t) => {
  const under = await redisUnderTest(t);
  const log = await under.open();
  await appendOne(log, creation(conv(1)));
  await withRedis(under, async (redis) => {
    const [, run = ''] = /run_id:(\w+)/.exec(await redis.info('server')) ?? [];
    const { log: stream, meta, heads, receipts, ahead } = partKeys(0);
    const before = await redis.hgetall(heads);
    const item = [`${conv(1)} ann - -1 1 - message -`, '"text":"hi"'];
    const keys = [stream, meta, heads, receipts, ahead];
    // In one transaction: nobody can put it right between the two.
    const [, appended] =
      (await redis
        .multi()
        .xadd(stream, '2-0', 'x', 'not ours')
        .evalsha(appendScript(0, run).sha, keys.length, ...keys, 1, 1, 1e9, '', ...item)
        .exec()) ?? [];
    t.match(appended, [null, ['stuck']]);
    t.same(await redis.hgetall(heads), before);
    t.equal(await redis.hget(meta, 'head'), '1');
  });
  t.match(await appendOne(log, message(conv(1))), { is: 'ok', seq: 2 });
});

t.test('law 4: a tail of an epoch is given no change of the next one', async (t) => {
  const under = await redisUnderTest(t);
  const node = '00000000-0000-4000-8000-000000000001';
  const idle = await under.open({ node });
  await appendOne(idle, creation(conv(1)));
  for (let count = 0; count < 3; count++) await appendOne(idle, message(conv(1)));
  await eventually(() => idle.state().head[0] === 4);
  await under.apply(idle, await take(idle.tail([0]), 2));
  const tail = idle.tail([4]);
  const seen: Change[] = [];
  const reading = (async () => {
    for await (const changes of tail) seen.push(...changes);
  })().catch((error: Error) => error.name);
  // Right after it has told of itself: two seconds until it does so again.
  const told = () => withRedis(under, (redis) => redis.xinfo('GROUPS', LOG));
  await eventually(async () => JSON.stringify(await told()).includes('4-0'));
  await withRedis(under, (redis) => redis.flushall());
  const other = await under.open();
  for (let count = 0; count < 4; count++) await appendOne(other, message(conv(1)));
  t.equal(await soon(reading, () => 'not lost'), 'PositionLost');
  t.same(
    seen.map(({ offset, seq }) => `${offset}:${seq}`),
    [],
  );
});
