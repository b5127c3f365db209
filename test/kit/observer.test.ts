// The checker behind every connection can fail: each kind of broken promise, put into a good history, is found.
import t from 'tap';
import type { Ready, SyncAnswer } from '../../src/protocol/answers.ts';
import type { Push } from './frames.ts';
import { Ledger, Observer, type Since } from './observer.ts';

const READY = {
  t: 'ready',
  id: 'hello-id',
  user: { id: 'bob', name: 'bob' },
  session: 's',
  epoch: 'e',
  more: false,
  convs: [{ conv: 'c', kind: 'group', seq: 3, n: 2, read: 0, role: 'member' }],
} as unknown as Ready;

const message = (seq: number, n: number, fields: object = {}): Push =>
  ({ t: 'message', conv: 'c', seq, n, from: 'ann', at: seq, text: `text ${n}`, ...fields }) as Push;
const member = (seq: number, what: string, fields: object = {}): Push =>
  ({ t: 'member', conv: 'c', seq, from: 'ann', at: seq, user: 'bob', what, ...fields }) as Push;
const turn = (name: string, fields: object = {}): Push => ({ t: name, conv: 'c', ...fields }) as Push;
const pulled = (from: number, to: number, fields: object = {}): SyncAnswer =>
  ({
    t: 'sync',
    id: 'sync-id',
    conv: 'c',
    epoch: 'e',
    from,
    to,
    head: to,
    more: false,
    items: [],
    ...fields,
  }) as unknown as SyncAnswer;

/** What an observer finds in a history of pushes and pulls. */
function faultsIn(history: readonly (Push | SyncAnswer)[], since?: Since, ready = READY): readonly string[] {
  const faults: string[] = [];
  const observer = new Observer(new Ledger(), (fault) => faults.push(fault));
  observer.onReady(ready, since);
  for (const frame of history) {
    if (frame.t === 'sync') observer.onSync(frame);
    else observer.onPush(frame);
  }
  return faults;
}

const GOOD: Readonly<Record<string, readonly (Push | SyncAnswer)[]>> = {
  'live changes': [message(4, 3), message(5, 4), { ...message(6, 0), t: 'edit', of: 4 } as Push, message(7, 5)],
  'behind and back': [turn('behind', { seq: 9 }), pulled(3, 9), message(10, 7), message(11, 8)],
  'removed and added again': [message(4, 3), member(5, 'kick'), turn('gone'), member(8, 'add'), message(9, 6)],
  'reset by a pull': [turn('reset', { seq: 3 }), pulled(0, 3), message(4, 3)],
};

for (const [name, history] of Object.entries(GOOD)) {
  t.test(`nothing is found in a good history: ${name}`, async (t) => t.same(faultsIn(history), []));
}

t.test('a gap, a repeat and a swap are found in every history, wherever they are', async (t) => {
  for (const [name, history] of Object.entries(GOOD)) {
    const changes = history.flatMap((frame, at) => ('seq' in frame && 'from' in frame ? [at] : []));
    for (const at of changes) {
      const repeated = history.toSpliced(at, 0, history[at] as Push);
      t.ok(faultsIn(repeated).length > 0, `${name}: ${at} twice`);
    }
    for (const at of changes.slice(0, -1)) {
      t.ok(faultsIn(history.toSpliced(at, 1)).length > 0, `${name}: without ${at}`);
    }
    const [first = 0, second = 0] = changes;
    const swapped = history.with(first, history[second] as Push).with(second, history[first] as Push);
    if (second > 0) t.ok(faultsIn(swapped).length > 0, `${name}: swapped`);
  }
});

const BAD: Readonly<Record<string, readonly (Push | SyncAnswer)[]>> = {
  'a change while behind': [turn('behind', { seq: 9 }), message(4, 3)],
  'a change after the one that removed': [member(4, 'kick'), message(5, 3)],
  'a change after gone': [member(4, 'kick'), turn('gone'), message(5, 3)],
  'gone without a reason': [turn('gone')],
  'a change of a conversation one is not in': [{ ...message(1, 1), conv: 'other' } as Push],
  'pushes that go on elsewhere than after the pull': [turn('behind', { seq: 9 }), pulled(3, 9), message(11, 8)],
  'a pull that is not to the end and ends behind': [
    turn('behind', { seq: 9 }),
    pulled(3, 5, { more: true, head: 9 }),
    message(6, 4),
  ],
  'behind twice': [turn('behind', { seq: 9 }), turn('behind', { seq: 9 })],
  'caught_up that nobody asked for': [turn('caught_up', { seq: 3 })],
  'a message number left out': [message(4, 4)],
  'time that goes back': [message(4, 3, { at: 9 }), message(5, 4, { at: 8 })],
  'a pull older than what was pushed': [message(4, 3), pulled(0, 3)],
  'a pull that says more at the head': [pulled(0, 3, { more: true })],
  'an item outside of its page': [pulled(2, 3, { items: [{ is: 'message', seq: 2, rev: 2 }] })],
  'items that are not in order': [
    pulled(0, 3, {
      items: [
        { is: 'message', rev: 3 },
        { is: 'message', rev: 2 },
      ],
    }),
  ],
};

for (const [name, history] of Object.entries(BAD)) {
  t.test(`it is found: ${name}`, async (t) => t.equal(faultsIn(history).length > 0, true));
}

t.test('a replay is held to its cursor, its order and its end', async (t) => {
  const since = { epoch: 'e', convs: { c: 1 } };
  const end = turn('caught_up', { seq: 3 });
  t.same(faultsIn([message(2, 1), message(3, 2), end, message(4, 3)], since), []);
  t.same(faultsIn([turn('behind', { seq: 3 }), pulled(1, 3), message(4, 3)], since), []);
  t.ok(faultsIn([message(3, 2), end], since).length > 0, 'a gap at its beginning');
  t.ok(faultsIn([message(2, 1), end], since).length > 0, 'a gap at its end');
  t.ok(faultsIn([message(2, 1), message(2, 1), message(3, 2), end], since).length > 0, 'a repeat');
  const gone = { epoch: 'e', convs: { other: 1 } };
  t.same(faultsIn([{ t: 'gone', conv: 'other' } as Push], gone), []);
  t.ok(faultsIn([{ ...message(2, 1), conv: 'other' } as Push], gone).length > 0, 'of what one is not in');
});

t.test('one number that names two changes is found, an erased change is the same one', async (t) => {
  const ledger = new Ledger();
  const change = message(4, 3) as Parameters<Ledger['compare']>[0];
  t.equal(ledger.compare(change), null);
  t.equal(ledger.compare({ ...change }), null);
  t.equal(ledger.compare({ ...change, text: '', deleted: true } as typeof change), null);
  t.equal(ledger.compare(change), null);
  t.match(ledger.compare({ ...change, text: 'another' } as typeof change), /two changes/);
  t.match(ledger.compare({ ...change, from: 'carl' } as unknown as typeof change), /two changes/);
});
