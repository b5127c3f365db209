// The contract of Tallies (src/ports/tallies.ts): every adapter passes it.
import type { Test } from 'tap';
import type { Tallies } from '../../src/ports/tallies.ts';
import { eventually } from '../kit/waiting.ts';

export interface TalliesUnderTest {
  /** Of two nodes that share them. One process-local adapter may give the same object twice. */
  readonly nodes: readonly [Tallies, Tallies];
}

/** Long enough that no test sees its end. */
const LONG_MS = 600_000;

export function talliesContract(t: Test, open: (t: Test) => Promise<TalliesUnderTest>): void {
  t.test('law 1: a key is counted 1, 2, 3, ... by all nodes together', async (t) => {
    const { nodes } = await open(t);
    const counts = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => (await nodes[index % 2 ? 1 : 0].count('ann', LONG_MS)).count),
    );
    t.same(
      [...counts].sort((one, other) => one - other),
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
  });

  t.test('law 1: when its window has ended, a key begins at 1 again', async (t) => {
    const { nodes } = await open(t);
    t.equal((await nodes[0].count('ann', 20)).count, 1);
    await eventually(async () => (await nodes[0].count('ann', 20)).count === 1);
    t.pass('though it was counted all the while');
  });

  t.test('law 2: what is left of a window is not prolonged by counting', async (t) => {
    const { nodes } = await open(t);
    let before = LONG_MS;
    for (let count = 0; count < 20; count++) {
      const { leftMs } = await nodes[count % 2 ? 1 : 0].count('ann', LONG_MS);
      t.ok(leftMs > 0 && leftMs <= before);
      before = leftMs;
    }
  });

  t.test('law 3: keys do not count for each other', async (t) => {
    const { nodes } = await open(t);
    for (const key of ['ann', 'bob', 'ann:', '', 'user ann'])
      t.equal((await nodes[0].count(key, LONG_MS)).count, 1, key);
  });
}
