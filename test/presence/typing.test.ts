// Typing on several nodes: told once, and ended though the typist's node is no more.
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { type Medium, memorySignals } from '../../src/adapters/memory/signals.ts';
import { Typing } from '../../src/presence/index.ts';
import type { ConvId, UserId } from '../../src/protocol/ids.ts';
import { fakeClock } from '../kit/clock.ts';

const CONV = 'c1' as ConvId;
const ANN = 'ann' as UserId;

function nodes() {
  const medium: Medium = new Set();
  const told: string[] = [];
  memorySignals('watcher', medium).subscribe((signal, from) => {
    if (signal.is === 'typing') told.push(`${from}: ${signal.user} ${signal.on ? 'on' : 'off'}`);
  });
  const node = (name: string) => {
    const clock = fakeClock();
    return { clock, typing: new Typing(memorySignals(name, medium), clock) };
  };
  const [a, b] = [node('a'), node('b')];
  const pass = async (ms: number, ...living: (typeof a)[]) => {
    for (let passed = 0; passed < ms; passed += 500) {
      for (const { clock } of living) clock.advance(500);
      await turn();
      await turn();
    }
  };
  return { a, b, told, pass };
}

t.test('who falls silent has stopped typing, told by one node only', async (t) => {
  const { a, b, told, pass } = nodes();
  a.typing.onTyping(CONV, ANN, true);
  await pass(20_000, a, b);
  t.same(told, ['a: ann on', 'a: ann off']);
});

t.test('a typist whose node dies has stopped typing for the others', async (t) => {
  const { a, b, told, pass } = nodes();
  a.typing.onTyping(CONV, ANN, true);
  await pass(7_500, b);
  t.same(told, ['a: ann on']);
  await pass(1_500, b);
  t.same(told, ['a: ann on', 'b: ann off']);
  await pass(20_000, b);
  t.equal(told.length, 2);
});

t.test('one who types on two nodes is told as often as one who types on one', async (t) => {
  const { a, b, told, pass } = nodes();
  for (let second = 0; second < 6; second++) {
    a.typing.onTyping(CONV, ANN, true);
    await pass(500, a, b);
    b.typing.onTyping(CONV, ANN, true);
    await pass(500, a, b);
  }
  t.ok(told.length <= 3, told.join());
  b.typing.onTyping(CONV, ANN, false);
  await pass(20_000, a, b);
  t.equal(told.filter((line) => line.endsWith('off')).length, 1);
});
