import t from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { memoryLimiter } from '../../src/adapters/memory/limiter.ts';
import { redisLimiter } from '../../src/adapters/redis/limiter.ts';
import type { Bucket } from '../../src/ports/limiter.ts';
import { fakeClock } from '../kit/clock.ts';
import { redisCluster, redisServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';
import { limiterContract } from './limiter.ts';
import { frozenWay, keysOf, OUTAGE_TIMEOUT_MS, openConnection, slowLimiter } from './redis-ephemeral.ts';

t.test('memory', async (t) => {
  limiterContract(t, async (bucket) => {
    const clock = fakeClock();
    return { limiter: memoryLimiter(bucket, clock), pass: async (ms) => clock.advance(ms) };
  });

  t.test('keys that fell idle are forgotten', async (t) => {
    const clock = fakeClock();
    const limiter = memoryLimiter({ rate: 10, burst: 20 }, clock);
    for (let index = 0; index < 10_000; index++) limiter.take([{ key: `k${index}`, cost: 1 }]);
    t.equal(limiter.keys, 10_000);
    clock.advance(2_000);
    limiter.take([{ key: 'one more', cost: 1 }]);
    t.equal(limiter.keys, 1);
  });

  t.test('a flood of made-up keys costs bounded memory, and gives nobody more than a bucket', async (t) => {
    const limiter = memoryLimiter({ rate: 10, burst: 20 }, fakeClock(), 100);
    const granted = Array.from({ length: 1_000 }, (_, index) => limiter.take([{ key: `k${index}`, cost: 1 }]));
    t.ok(limiter.keys <= 101);
    t.equal(
      granted.flat().filter((wait) => wait === 0).length,
      120,
      '100 keys of their own and one shared bucket of 20',
    );
  });
});

t.test('redis', async (t) => {
  const server = await redisServer(t, { appendfsync: 'no' });
  const client = await openConnection(t, server.url);
  const clock = systemClock();
  limiterContract(t, async (bucket) => slowLimiter(client, bucket, clock));

  const node = (bucket: Bucket, name: string, faults: unknown[] = [], from = client) =>
    redisLimiter({
      client: from,
      name,
      bucket,
      clock,
      fallback: (stricter) => memoryLimiter(stricter, clock),
      onFault: (error) => faults.push(error),
    });

  t.test('law 1: nodes share the buckets', async (t) => {
    const bucket = { rate: 0.001, burst: 10 };
    const other = await openConnection(t, server.url);
    const nodes = [node(bucket, 'shared'), node(bucket, 'shared', [], other)];
    const items = Array.from({ length: 8 }, () => ({ key: 'ann', cost: 1 }));
    const waits = (await Promise.all(nodes.map((one) => one.take(items)))).flat();
    t.equal(waits.filter((wait) => wait === 0).length, 10);
  });

  t.test('law 3: by the time of Redis a refused cost is granted some time after', async (t) => {
    const limiter = node({ rate: 50, burst: 1 }, 'real time');
    await limiter.take([{ key: 'ann', cost: 1 }]);
    await eventually(async () => (await limiter.take([{ key: 'ann', cost: 1 }]))[0] === 0);
    t.pass();
  });

  t.test('law 5: calls are answered in their order', async (t) => {
    const limiter = node({ rate: 1, burst: 10_000 }, 'order');
    const answered: number[] = [];
    const sizes = [2_000, 1, 600, 1];
    await Promise.all(
      sizes.map(async (size, call) => {
        await limiter.take(Array.from({ length: size }, (_, index) => ({ key: `k${index}`, cost: 1 })));
        answered.push(call);
      }),
    );
    t.same(answered, [0, 1, 2, 3]);
  });

  t.test('a bucket that would be full again is no key any more', async (t) => {
    const limiter = node({ rate: 1_000, burst: 20 }, 'idle');
    await limiter.take(Array.from({ length: 100 }, (_, index) => ({ key: `k${index}`, cost: 20 })));
    await eventually(async () => (await keysOf(client, 'chat:{limit:idle:*')).length === 0);
    const slow = node({ rate: 1, burst: 20 }, 'lasting');
    await slow.take([{ key: 'ann', cost: 20 }]);
    const [key = ''] = await keysOf(client, 'chat:{limit:lasting:*ann');
    const leftMs = await client.pttl(key);
    t.ok(leftMs > 0 && leftMs <= 20_000, `${leftMs} ms`);
  });

  t.test('a Redis whose clock was set back keeps nobody waiting longer than an empty bucket', async (t) => {
    const limiter = node({ rate: 1, burst: 5 }, 'clock');
    await limiter.take([{ key: 'ann', cost: 1 }]);
    const [key = ''] = await keysOf(client, 'chat:{limit:clock:*ann');
    const inAnHour = Number(await client.get(key)) + 3_600_000_000;
    await client.set(key, String(inAnHour));
    const [waitMs = 0] = await limiter.take([{ key: 'ann', cost: 5 }]);
    t.ok(waitMs > 0 && waitMs <= 5_000, `${waitMs} ms`);
  });

  t.test('a rate of 0 asks nobody', async (t) => {
    const limiter = node({ rate: 0, burst: 0 }, 'off');
    t.same(limiter.take([{ key: 'ann', cost: 9 }]), [0], 'answered at once');
  });

  t.test('a Redis that forgot the script is given it again, unseen', async (t) => {
    const faults: unknown[] = [];
    const limiter = node({ rate: 0.001, burst: 2 }, 'forgot', faults);
    await limiter.take([{ key: 'ann', cost: 1 }]);
    await client.script('FLUSH');
    const waits = await limiter.take([
      { key: 'ann', cost: 1 },
      { key: 'ann', cost: 1 },
    ]);
    t.same(
      waits.map((wait) => wait === 0),
      [true, false],
    );
    t.same(faults, []);
  });
});

t.test('law 6: while Redis does not answer, stricter buckets decide, and it is asked again by itself', async (t) => {
  for (const away of ['stopped (SIGSTOP)', 'killed'] as const) {
    await t.test(away, async (t) => {
      const server = await redisServer(t, { appendfsync: 'no' });
      const client = await openConnection(t, server.url, OUTAGE_TIMEOUT_MS);
      const faults: unknown[] = [];
      const clock = systemClock();
      const limiter = redisLimiter({
        client,
        name: 'messages',
        bucket: { rate: 0.001, burst: 40 },
        clock,
        fallback: (bucket) => memoryLimiter(bucket, clock),
        onFault: (error) => faults.push(error),
      });
      const grants = async (key: string, count: number) => {
        const waits = await limiter.take(Array.from({ length: count }, () => ({ key, cost: 1 })));
        return waits.filter((wait) => wait === 0).length;
      };
      t.equal(await grants('ann', 100), 40);
      if (away === 'killed') await server.kill();
      else server.pause();
      t.equal(await grants('bob', 100), 10, 'a quarter, and no error');
      t.equal(await grants('bob', 100), 0);
      t.equal(await grants('carl', 5), 5, 'not everything is refused');
      t.same(await limiter.take([{ key: 'dora', cost: 40 }]), [0], 'a large cost takes all there is');
      t.not(await grants('dora', 1), 1);
      t.equal(faults.length, 1, 'told once');
      if (away === 'killed') await server.start();
      else server.resume();
      await eventually(async () => (await grants(`new ${Math.random()}`, 100)) === 40);
      t.equal(faults.length, 1);
    });
  }
});

t.test('law 6: nobody waits behind a Redis that does not answer', async (t) => {
  const server = await redisServer(t, { appendfsync: 'no' });
  const client = await openConnection(t, server.url, OUTAGE_TIMEOUT_MS);
  const clock = systemClock();
  const limiter = redisLimiter({
    client,
    name: 'messages',
    bucket: { rate: 1, burst: 4 },
    clock,
    fallback: (bucket) => memoryLimiter(bucket, clock),
    onFault: () => {},
  });
  server.pause();
  const answered: number[] = [];
  const calls = Array.from({ length: 200 }, async (_, call) => {
    await limiter.take([{ key: `k${call}`, cost: 1 }]);
    answered.push(call);
  });
  await Promise.all(calls);
  t.same(
    answered,
    Array.from({ length: 200 }, (_, call) => call),
    'law 5 holds',
  );
  server.resume();
});

t.test('law 6: a connection that is dead without saying so is given up for a new one', async (t) => {
  const server = await redisServer(t, { appendfsync: 'no' });
  const way = await frozenWay(t, server.port);
  const clock = systemClock();
  const limiter = redisLimiter({
    client: await openConnection(t, way.url, OUTAGE_TIMEOUT_MS),
    name: 'messages',
    bucket: { rate: 0.001, burst: 40 },
    clock,
    fallback: (bucket) => memoryLimiter(bucket, clock),
    onFault: () => {},
  });
  const grants = async (key: string) => {
    const waits = await limiter.take(Array.from({ length: 40 }, () => ({ key, cost: 1 })));
    return waits.filter((wait) => wait === 0).length;
  };
  t.equal(await grants('ann'), 40);
  way.freeze();
  t.equal(await grants('bob'), 10);
  await eventually(async () => (await grants(`new ${Math.random()}`)) === 40);
});

t.test('redis cluster', async (t) => {
  const cluster = await redisCluster(t);
  const client = await openConnection(t, cluster.urls);
  const clock = systemClock();
  limiterContract(t, async (bucket) => slowLimiter(client, bucket, clock));

  t.test('law 6: where one master does not answer, the keys of the others are asked for as ever', async (t) => {
    const limiter = redisLimiter({
      client: await openConnection(t, cluster.urls, OUTAGE_TIMEOUT_MS),
      name: 'halves',
      bucket: { rate: 0.001, burst: 4 },
      clock,
      fallback: (bucket) => memoryLimiter(bucket, clock),
      onFault: () => {},
    });
    const take = async (key: string) => {
      const waits = await limiter.take(Array.from({ length: 8 }, () => ({ key, cost: 1 })));
      return waits.filter((wait) => wait === 0).length;
    };
    cluster.masters[2]?.pause();
    const grants = await Promise.all(Array.from({ length: 60 }, (_, index) => take(`k${index}`)));
    cluster.masters[2]?.resume();
    t.ok(grants.includes(1), 'stricter buckets');
    t.ok(grants.includes(4), 'shared buckets');
    t.notOk(grants.some((granted) => granted !== 1 && granted !== 4));
  });
});

t.test('law 6: a master of the cluster dies, and its replica is asked instead', async (t) => {
  const cluster = await redisCluster(t, { hasReplicas: true });
  const clock = systemClock();
  const limiter = redisLimiter({
    client: await openConnection(t, cluster.urls, OUTAGE_TIMEOUT_MS),
    name: 'messages',
    bucket: { rate: 0.001, burst: 4 },
    clock,
    fallback: (bucket) => memoryLimiter(bucket, clock),
    onFault: () => {},
  });
  /** How much each of many new keys is granted; they are spread over all masters. */
  const grants = async () => {
    const items = Array.from({ length: 60 }, () => Math.random()).flatMap((key) =>
      Array(8).fill({ key: `${key}`, cost: 1 }),
    );
    const waits = await limiter.take(items);
    return items
      .map((_, at) => waits.slice(at, at + 8))
      .filter((_, at) => at % 8 === 0)
      .map((some) => some.filter((wait) => wait === 0).length);
  };
  t.ok((await grants()).every((granted) => granted === 4));
  await cluster.masters[0]?.kill();
  t.same([...new Set(await grants())].sort(), [1, 4]);
  await eventually(async () => (await grants()).every((granted) => granted === 4));
});
