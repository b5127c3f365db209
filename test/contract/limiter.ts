// The contract of Limiter (src/ports/limiter.ts): every adapter passes it.
import * as fc from 'fast-check';
import type { Test } from 'tap';
import type { Bucket, Limiter } from '../../src/ports/limiter.ts';

export interface LimiterUnderTest {
  readonly limiter: Limiter;
  /** Lets exactly this much time pass. */
  pass(ms: number): Promise<void>;
}

export function limiterContract(t: Test, open: (bucket: Bucket, t: Test) => Promise<LimiterUnderTest>): void {
  t.test('law 1: a burst at once, then the rate', async (t) => {
    const { limiter, pass } = await open({ rate: 10, burst: 20 }, t);
    const at = async (count: number) =>
      (await limiter.take(Array.from({ length: count }, () => ({ key: 'ann', cost: 1 })))).filter((wait) => wait === 0);
    t.equal((await at(50)).length, 20);
    await pass(1_000);
    t.equal((await at(50)).length, 10);
    await pass(60_000);
    t.equal((await at(50)).length, 20, 'a bucket never holds more than its burst');
  });

  t.test('law 1: over any time no key is granted more than burst + rate × time', async (t) => {
    const steps = fc.array(
      fc.record({ waitMs: fc.integer({ min: 0, max: 3_000 }), cost: fc.integer({ min: 1, max: 5 }) }),
      {
        maxLength: 60,
      },
    );
    const buckets = fc.record({ rate: fc.integer({ min: 1, max: 50 }), burst: fc.integer({ min: 5, max: 40 }) });
    await fc.assert(
      fc.asyncProperty(buckets, steps, async (bucket, plan) => {
        const { limiter, pass } = await open(bucket, t);
        let elapsedMs = 0;
        const grants: { at: number; cost: number }[] = [];
        for (const { waitMs, cost } of plan) {
          await pass(waitMs);
          elapsedMs += waitMs;
          const [wait] = await limiter.take([{ key: 'ann', cost }]);
          if (wait === 0) grants.push({ at: elapsedMs, cost });
        }
        return grants.every((first, from) => {
          let sum = 0;
          return grants.slice(from).every(({ at, cost }) => {
            sum += cost;
            return sum <= bucket.burst + (bucket.rate * (at - first.at)) / 1_000 + 1e-6;
          });
        });
      }),
      { numRuns: 100 },
    );
    t.pass();
  });

  t.test('law 1: keys do not take from each other', async (t) => {
    const { limiter } = await open({ rate: 1, burst: 2 }, t);
    const items = ['ann', 'bob', 'ann', 'bob', 'ann', 'bob'].map((key) => ({ key, cost: 1 }));
    t.same(
      (await limiter.take(items)).map((wait) => wait === 0),
      [true, true, true, true, false, false],
    );
  });

  t.test('law 2: items are decided in order, and a refused one takes nothing', async (t) => {
    const { limiter } = await open({ rate: 1, burst: 5 }, t);
    const costs = [3, 5, 2, 1];
    const waits = await limiter.take(costs.map((cost) => ({ key: 'ann', cost })));
    t.same(
      waits.map((wait) => wait === 0),
      [true, false, true, false],
    );
    t.same(await limiter.take([]), []);
  });

  t.test('law 3: a refusal says when the same cost would be granted', async (t) => {
    const { limiter, pass } = await open({ rate: 3, burst: 7 }, t);
    await limiter.take([{ key: 'ann', cost: 7 }]);
    for (const cost of [1, 5, 2, 7]) {
      const [waitMs = 0] = await limiter.take([{ key: 'ann', cost }]);
      t.ok(waitMs > 0);
      await pass(waitMs - 1);
      t.ok(((await limiter.take([{ key: 'ann', cost }]))[0] ?? 0) > 0, `${cost} is not granted a millisecond early`);
      await pass(1);
      t.equal((await limiter.take([{ key: 'ann', cost }]))[0], 0, `${cost} is granted when said`);
    }
  });

  t.test('law 3: a cost above the burst is never granted, and takes nothing', async (t) => {
    const { limiter } = await open({ rate: 10, burst: 3 }, t);
    t.same(await limiter.take([{ key: 'ann', cost: 5 }]), [Number.POSITIVE_INFINITY]);
    t.same(await limiter.take([{ key: 'ann', cost: 3 }]), [0]);
  });

  t.test('law 4: a rate of 0 grants everything', async (t) => {
    const { limiter } = await open({ rate: 0, burst: 1 }, t);
    const waits = await limiter.take(Array.from({ length: 1_000 }, () => ({ key: 'ann', cost: 100 })));
    t.ok(waits.every((wait) => wait === 0));
  });
}
