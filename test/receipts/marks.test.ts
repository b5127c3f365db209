// Marks on several nodes: what one moves the others hear, and what they missed misleads them for a while only.
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { memoryMarks } from '../../src/adapters/memory/marks.ts';
import { type Medium, memorySignals } from '../../src/adapters/memory/signals.ts';
import type { MarkStore } from '../../src/ports/marks.ts';
import type { Signal } from '../../src/ports/signals.ts';
import type { ConvId, UserId } from '../../src/protocol/ids.ts';
import { Marks, type Numbers } from '../../src/receipts/index.ts';
import { fakeClock } from '../kit/clock.ts';

const CONV = 'c1' as ConvId;
const ANN = 'ann' as UserId;
const TRUST_MS = 60_000;

function nodesOn(store: MarkStore) {
  const medium: Medium = new Set();
  const clock = fakeClock();
  const onFault = (error: unknown) => {
    throw error;
  };
  const node = (name: string) => {
    const signals = memorySignals(name, medium);
    const told: Signal[] = [];
    signals.subscribe((signal, from) => from === name && told.push(signal));
    const marks = new Marks(store, signals, clock, onFault, TRUST_MS);
    const numbers = async (): Promise<Numbers | undefined> => (await marks.ofUser(ANN)).get(CONV);
    return { marks, told, numbers };
  };
  return { clock, medium, a: node('a'), b: node('b') };
}

/** Signals are heard, and what is due is stored. */
async function pass({ clock }: { clock: ReturnType<typeof fakeClock> }, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    clock.advance(100);
    await turn();
    await turn();
  }
}

t.test('what one node moves another goes on from', async (t) => {
  const nodes = nodesOn(memoryMarks());
  const { a, b } = nodes;
  await a.marks.read(CONV, ANN, 5, false, null);
  await b.marks.read(CONV, ANN, 1, false, null);
  await pass(nodes, 1_000);
  await b.marks.read(CONV, ANN, 10, false, null);
  await pass(nodes, 100);
  await a.marks.received(CONV, ANN, 7, null);
  await pass(nodes, 1_000);
  for (const node of [a, b]) t.match(await node.numbers(), { read: 10, received: 10 });
  t.notOk(
    a.told.some((signal) => signal.is === 'mark' && signal.received === 7),
    'no mark that goes back is told',
  );
});

t.test('of marks moved on two nodes at once the furthest stands', async (t) => {
  const nodes = nodesOn(memoryMarks());
  const { a, b } = nodes;
  await a.marks.read(CONV, ANN, 1, false, null);
  await b.marks.read(CONV, ANN, 1, false, null);
  await pass(nodes, 1_000);
  await Promise.all([a.marks.read(CONV, ANN, 5, false, null), b.marks.read(CONV, ANN, 9, false, null)]);
  await pass(nodes, 1_000);
  for (const node of [a, b]) t.match(await node.numbers(), { read: 9, received: 9 });
});

t.test('a mark that the user takes back goes back on every node', async (t) => {
  const nodes = nodesOn(memoryMarks());
  const { a, b } = nodes;
  await a.marks.read(CONV, ANN, 9, false, null);
  await pass(nodes, 1_000);
  await b.marks.received(CONV, ANN, 10, null);
  await pass(nodes, 200);
  await a.marks.read(CONV, ANN, 2, true, null);
  await pass(nodes, 1_000);
  for (const node of [a, b]) t.match(await node.numbers(), { read: 2, received: 10 });
  await b.marks.read(CONV, ANN, 3, false, null);
  t.match(await b.numbers(), { read: 3 });
});

t.test('a signal that was lost misleads for a minute only, even who moves the mark all the while', async (t) => {
  const nodes = nodesOn(memoryMarks());
  const { a, b, medium } = nodes;
  await a.marks.read(CONV, ANN, 1, false, null);
  await b.marks.read(CONV, ANN, 1, false, null);
  await pass(nodes, 1_000);
  const ways = [...medium];
  medium.clear();
  await b.marks.read(CONV, ANN, 50, false, null);
  await pass(nodes, 1_000);
  for (const way of ways) medium.add(way);
  t.match(await a.numbers(), { read: 1 }, 'lost indeed');
  await pass(nodes, TRUST_MS);
  t.match(await a.numbers(), { read: 50 });
  await a.marks.received(CONV, ANN, 51, null);
  await pass(nodes, 1_000);
  for (const node of [a, b]) t.match(await node.numbers(), { read: 50, received: 51 });
});

t.test('while the store does not answer, what was known goes on', async (t) => {
  const store = memoryMarks();
  let isAway = false;
  const nodes = nodesOn({
    ...store,
    ofUser: async (user) => {
      if (isAway) throw new Error('away');
      return store.ofUser(user);
    },
  });
  const { a } = nodes;
  await a.marks.read(CONV, ANN, 5, false, null);
  await pass(nodes, TRUST_MS);
  isAway = true;
  await a.marks.read(CONV, ANN, 6, false, null);
  await t.rejects(a.marks.read('c2' as ConvId, ANN, 1, false, null), { message: 'away' });
  isAway = false;
  t.match(await a.numbers(), { read: 6 });
});
