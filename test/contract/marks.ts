// The contract of MarkStore (src/ports/marks.ts): every adapter passes it.
import type { Test } from 'tap';
import type { Mark, MarkStore } from '../../src/ports/marks.ts';
import { conv, Random, USERS, user } from './store-model.ts';

export interface MarksUnderTest {
  readonly marks: MarkStore;
  /** Closes and opens again what is stored; absent where nothing survives. */
  readonly reopen?: () => Promise<MarkStore>;
}

const c1 = conv('c1');
const ann = user('ann');
const mark = (read: number, received: number): Mark => ({ conv: c1, user: ann, read, received });

export function marksContract(t: Test, open: (t: Test) => Promise<MarksUnderTest>): void {
  t.test('law 1: a put sets, forward and back', async (t) => {
    const { marks } = await open(t);
    for (const given of [mark(3, 4), mark(9, 9), mark(2, 9), mark(0, 0)]) {
      await marks.put([given]);
      t.strictSame(await marks.ofUser(ann), [given]);
      t.strictSame(await marks.inConv(c1), [given]);
    }
  });

  t.test('law 1: of several puts of one mark the last stands', async (t) => {
    const { marks } = await open(t);
    await marks.put([mark(5, 5), mark(1, 7)]);
    t.strictSame(await marks.ofUser(ann), [mark(1, 7)]);
    await Promise.all([marks.put([mark(2, 2)]), marks.put([mark(3, 3)])]);
    t.strictSame(await marks.ofUser(ann), [mark(3, 3)]);
    await marks.put([]);
    t.strictSame(await marks.ofUser(ann), [mark(3, 3)]);
  });

  t.test('law 2: a put that resolved is read by every later read, by user and by conversation', async (t) => {
    const { marks } = await open(t);
    const random = new Random(1);
    const held = new Map<string, Mark>();
    for (let round = 0; round < 30; round++) {
      const given = Array.from({ length: random.below(8) }, () => anyMark(random));
      for (const one of given) held.set(place(one), one);
      await marks.put(given);
      const name = random.pick(USERS);
      const id = conv(`c${random.below(6)}`);
      const all = [...held.values()];
      t.strictSame(inOrder(await marks.ofUser(name)), inOrder(all.filter((one) => one.user === name)));
      t.strictSame(inOrder(await marks.inConv(id)), inOrder(all.filter((one) => one.conv === id)));
    }
  });

  t.test('law 2: what nobody has put is empty', async (t) => {
    const { marks } = await open(t);
    await marks.put([mark(1, 1)]);
    t.strictSame(await marks.ofUser(user('bob')), []);
    t.strictSame(await marks.inConv(conv('c2')), []);
  });

  t.test('law 2: marks are there after opening again', async (t) => {
    const { marks, reopen } = await open(t);
    if (reopen === undefined) return t.pass('nothing survives here');
    await marks.put([mark(3, 4)]);
    t.strictSame(await (await reopen()).ofUser(ann), [mark(3, 4)]);
  });
}

function anyMark(random: Random): Mark {
  const read = random.below(100);
  return { conv: conv(`c${random.below(6)}`), user: random.pick(USERS), read, received: read + random.below(9) };
}

function place({ conv, user }: Mark): string {
  return `${conv} ${user}`;
}

function inOrder(marks: readonly Mark[]): readonly Mark[] {
  return [...marks].sort((one, other) => (place(one) < place(other) ? -1 : 1));
}
