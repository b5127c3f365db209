// Turns: so many works at once, so many that wait, and none that waits for ever.
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { queue } from '../../src/queue.ts';

t.test('works take their turns in order, and one that fails gives its place to the next', async (t) => {
  const inTurn = queue(2, 10);
  const running = new Set<number>();
  const order: number[] = [];
  const works = [1, 2, 3, 4, 5].map((name) =>
    inTurn(async () => {
      running.add(name);
      t.ok(running.size <= 2);
      order.push(name);
      await delay(1);
      running.delete(name);
      if (name === 2) throw new Error('failed');
      return name;
    }),
  );
  const ends = await Promise.allSettled(works);
  t.same(order, [1, 2, 3, 4, 5]);
  t.same(
    ends.map((end) => (end.status === 'fulfilled' ? end.value : 'failed')),
    [1, 'failed', 3, 4, 5],
  );
});

t.test('more than may wait are refused at once, and who has waited too long when the turn comes', async (t) => {
  const inTurn = queue(1, 2, 10);
  const first = Promise.withResolvers<string>();
  const done: string[] = [];
  const works = [
    inTurn(() => first.promise),
    inTurn(async () => void done.push('second')),
    inTurn(async () => void done.push('third')),
  ];
  await t.rejects(
    inTurn(async () => void done.push('fourth')),
    { code: 'overloaded' },
  );
  await delay(30);
  first.resolve('first');
  const [one, ...late] = await Promise.allSettled(works);
  t.match(one, { status: 'fulfilled', value: 'first' });
  t.match(late, [{ reason: { code: 'overloaded' } }, { reason: { code: 'overloaded' } }]);
  t.same(done, [], 'without any work');
  t.equal(await inTurn(async () => 'again'), 'again');
});
