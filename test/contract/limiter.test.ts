import t from 'tap';
import { memoryLimiter } from '../../src/adapters/memory/limiter.ts';
import { fakeClock } from '../kit/clock.ts';
import { limiterContract } from './limiter.ts';

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

  t.test('a cost above the burst is never granted', async (t) => {
    const limiter = memoryLimiter({ rate: 10, burst: 3 }, fakeClock());
    t.same(limiter.take([{ key: 'ann', cost: 5 }]), [Number.POSITIVE_INFINITY]);
    t.same(limiter.take([{ key: 'ann', cost: 3 }]), [0], 'and takes nothing');
  });
});
