// Law 2 of the log on Redis where its two ways of knowing a key meet: the two minutes after an epoch has begun and what
// follows them, and keys of clocks that go ahead. Times are moved by `now`; nothing waits for them.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import t from 'tap';
import type { Log } from '../../src/ports/log.ts';
import type { Key } from '../../src/protocol/ids.ts';
import { eventually } from '../kit/waiting.ts';
import { appendOne, conv, creation, message, readUpTo } from './log-items.ts';
import { type RedisUnderTest, redisUnderTest } from './log-redis.ts';

const MINUTE_MS = 60_000;
const SLOT_MS = 10_000;
const META = 'chat:{0}:meta';

function keyAt(ms: number): Key {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}` as Key;
}

/** An epoch that is not the first one of all: that one needs no long way. */
async function openSecond(under: RedisUnderTest, now: () => number): Promise<Log> {
  const first = await under.open({ now });
  const redis = new Redis(under.redis.url);
  await redis.flushall();
  redis.disconnect();
  await eventually(() => appendOne(first, creation(conv('first'))));
  await first.close();
  return under.open({ now });
}

/** Until when every key of the epoch is looked up. */
async function longUntil(under: RedisUnderTest): Promise<number> {
  const redis = new Redis(under.redis.url);
  const until = Number(await redis.hget(META, 'long_until'));
  redis.disconnect();
  return until;
}

t.test('law 2: a fresh key written at the end of an epoch’s first minutes is found after them', async (t) => {
  const under = await redisUnderTest(t);
  let now = Date.now();
  const log = await openSecond(under, () => now);
  const until = await longUntil(under);
  await appendOne(log, creation(conv(1)));
  now = until - 1_000;
  const append = message(conv(1), { key: keyAt(now - 2 * SLOT_MS) });
  t.match(await appendOne(log, append), { is: 'ok', dup: false, seq: 2 });
  now = until + 1_000;
  t.match(await appendOne(log, append), { is: 'ok', dup: true, seq: 2 });
});

t.test('law 2: every fresh key, written at any moment around the end of the first minutes, is one write', async (t) => {
  const under = await redisUnderTest(t);
  let now = Date.now();
  const log = await openSecond(under, () => now);
  const until = await longUntil(under);
  await appendOne(log, creation(conv(1)));
  const twice: string[] = [];
  for (const writtenMs of [-60_000, -1, 0, 60_000]) {
    for (const ageMs of [-119_000, -30_000, 0, 5_000, 30_000, 119_000]) {
      now = until + writtenMs;
      const append = message(conv(1), { key: keyAt(now - ageMs) });
      const first = await appendOne(log, append);
      for (const laterMs of [1, 30_000, 61_000, 125_000]) {
        now = until + writtenMs + laterMs;
        const again = await appendOne(log, append);
        if (first.is !== 'ok' || again.is !== 'ok' || again.seq !== first.seq)
          twice.push(`written ${writtenMs}, age ${ageMs}, again after ${laterMs}`);
      }
    }
  }
  t.same(twice, []);
});

t.test('law 2: a key of a clock that goes ahead is one write across the beginning of an epoch', async (t) => {
  for (const aheadMs of [119_000, 60 * MINUTE_MS]) {
    t.test(`${aheadMs} ms ahead`, async (t) => {
      const under = await redisUnderTest(t);
      let now = Date.now();
      const log = await under.open({ now: () => now });
      await appendOne(log, creation(conv(1)));
      const append = message(conv(1), { key: keyAt(now + aheadMs) });
      t.match(await appendOne(log, append), { is: 'ok', dup: false, seq: 2 });
      await under.apply(log, await readUpTo(log, [0], [2]));
      const redis = new Redis(under.redis.url);
      await redis.flushall();
      redis.disconnect();
      await eventually(() => appendOne(log, message(conv(1))));
      const later = await under.open({ now: () => now });
      now = Math.max(now + aheadMs, await longUntil(under)) + 1_000;
      t.match(await appendOne(later, append), { is: 'ok', dup: true, seq: 2 }, 'the store has it');
    });
  }
});

t.test('law 2: a key of a clock a year ahead is one write when its year has come', async (t) => {
  const under = await redisUnderTest(t);
  let now = Date.now();
  const log = await under.open({ now: () => now });
  await appendOne(log, creation(conv(1)));
  const yearMs = 525_600 * MINUTE_MS;
  const append = message(conv(1), { key: keyAt(now + yearMs) });
  t.match(await appendOne(log, append), { is: 'ok', dup: false, seq: 2 });
  await under.apply(log, await readUpTo(log, [0], [2]));
  now += yearMs;
  t.match(await appendOne(log, append), { is: 'ok', dup: true, seq: 2 });
});
