// The laws of src/presence/neighbours.ts, on signals of one process: some of them lost on purpose.
import * as fc from 'fast-check';
import t from 'tap';
import { type Medium, memorySignals } from '../../src/adapters/memory/signals.ts';
import type { NodeId, Signal, Signals } from '../../src/ports/signals.ts';
import type { PresenceStatus } from '../../src/protocol/answers.ts';
import { fakeClock } from '../kit/clock.ts';
import { type PresenceNode, pass, presenceNode, settle } from './nodes.ts';

function nodesOf(...names: string[]): PresenceNode[] {
  const medium: Medium = new Set();
  return names.map((name) => presenceNode(memorySignals(name, medium)));
}

/** Signals that a test may lose: those of others before they are heard. */
function lossy(signals: Signals, isLost: (signal: Signal, from: NodeId) => boolean): Signals {
  return {
    node: signals.node,
    isCut: false,
    publish: (signal) => signals.publish(signal),
    subscribe: (onSignal) =>
      signals.subscribe((signal, from) => {
        if (from === signals.node || !isLost(signal, from)) onSignal(signal, from);
      }),
  };
}

t.test('law 1: of connections on several nodes the first of busy, online, away counts', async (t) => {
  const nodes = nodesOf('a', 'b', 'c');
  const [a, b, c] = nodes as [PresenceNode, PresenceNode, PresenceNode];
  const steps: [PresenceNode, PresenceStatus[], PresenceStatus][] = [
    [a, ['away'], 'away'],
    [b, ['away', 'online'], 'online'],
    [c, ['busy'], 'busy'],
    [b, ['busy'], 'busy'],
    [c, ['away'], 'busy'],
    [b, ['offline'], 'away'],
    [b, ['online'], 'online'],
  ];
  for (const [node, statuses, expected] of steps) {
    node.has('ann', ...statuses);
    await settle(nodes);
    for (const one of nodes) t.equal(one.statusOf('ann'), expected);
  }
  for (const one of nodes) t.same(one.toldOf('ann'), ['away', 'online', 'busy', 'away', 'online'], 'told once each');
  t.same(c.told[0]?.convs, ['c1']);
});

t.test('law 1: offline when the last node has none of the user, after the grace, and seen then', async (t) => {
  const nodes = nodesOf('a', 'b');
  const [a, b] = nodes as [PresenceNode, PresenceNode];
  a.has('ann', 'online');
  b.has('ann', 'online');
  a.has('ann');
  await pass(nodes, 6);
  t.equal(b.statusOf('ann'), 'online');
  b.has('ann');
  await pass(nodes, 4);
  t.equal(a.statusOf('ann'), 'online', 'a grace');
  await pass(nodes, 2);
  for (const one of nodes) t.same(one.toldOf('ann'), ['online', 'offline']);
  t.equal(a.told.at(-1)?.seen, b.clock.now() - 1_000);
});

t.test('law 1: a user who comes back by another node within the grace is never offline', async (t) => {
  const nodes = nodesOf('a', 'b');
  const [a, b] = nodes as [PresenceNode, PresenceNode];
  a.has('ann', 'online');
  await settle(nodes);
  a.has('ann');
  await pass(nodes, 3);
  b.has('ann', 'online');
  await pass(nodes, 20);
  for (const one of nodes) t.same(one.toldOf('ann'), ['online']);
});

t.test('a node that starts knows of everybody within seconds, thousands of users included', async (t) => {
  const medium: Medium = new Set();
  const a = presenceNode(memorySignals('a', medium));
  for (let index = 0; index < 3_210; index++) a.has(`u${index}`, index % 2 ? 'online' : 'away');
  await pass([a], 1);
  const b = presenceNode(memorySignals('b', medium));
  await pass([a, b], 2);
  t.equal(b.presence.roster.statedBy('a').size, 3_210);
  t.equal(b.statusOf('u3208'), 'away');
  t.equal(b.told.length, 3_210);
  t.equal(b.told[0]?.convs, null, 'who shares with them is for this node to find out');
  t.same(b.presence.roster.summaryOf('a'), a.presence.roster.summaryOf('a'));
});

t.test('law 2: the users of a node that dies are offline within 15 s, those with another node excepted', async (t) => {
  const nodes = nodesOf('a', 'b', 'c');
  const [a, b, c] = nodes as [PresenceNode, PresenceNode, PresenceNode];
  b.has('ann', 'busy');
  b.has('bob', 'busy');
  c.has('bob', 'online');
  await pass(nodes, 5);
  await pass([a, c], 8);
  t.equal(a.statusOf('ann'), 'busy', 'not too soon');
  await pass([a, c], 6);
  for (const one of [a, c]) {
    t.same(one.toldOf('ann'), ['busy', 'offline']);
    t.same(one.toldOf('bob').slice(-1), ['online']);
    t.equal(one.presence.roster.statedBy('b').size, 0);
  }
});

t.test('law 2: a node that ends in good order leaves its users the grace', async (t) => {
  const nodes = nodesOf('a', 'b', 'c');
  const [a, b, c] = nodes as [PresenceNode, PresenceNode, PresenceNode];
  b.has('ann', 'online');
  b.has('bob', 'online');
  await pass(nodes, 2);
  b.neighbours.stop();
  await pass([a, c], 3);
  c.has('ann', 'online');
  await pass([a, c], 3);
  for (const one of [a, c]) {
    t.same(one.toldOf('ann'), ['online']);
    t.same(one.toldOf('bob'), ['online', 'offline']);
  }
});

t.test('law 3: a lost signal misleads for at most two intervals', async (t) => {
  const medium: Medium = new Set();
  let isLosing = false;
  const a = presenceNode(memorySignals('a', medium));
  const b = presenceNode(lossy(memorySignals('b', medium), ({ is }) => isLosing && is === 'presence'));
  const nodes = [a, b];
  for (const user of ['ann', 'bob', 'carl']) a.has(user, 'online');
  await pass(nodes, 4);
  isLosing = true;
  a.has('ann', 'busy');
  a.has('bob', 'offline');
  a.has('dora', 'away');
  await settle(nodes);
  isLosing = false;
  t.same(['ann', 'bob', 'dora'].map(b.statusOf), ['online', 'online', 'offline'], 'lost indeed');
  await pass(nodes, 6);
  t.same(['ann', 'bob', 'carl', 'dora'].map(b.statusOf), ['busy', 'offline', 'online', 'away']);
  t.same(b.toldOf('ann'), ['online', 'busy']);
  t.same(b.toldOf('bob'), ['online', 'offline']);
});

t.test('law 3: whatever was done and lost, all nodes agree two intervals after nothing is lost', async (t) => {
  const users = ['ann', 'bob', 'carl'];
  const status = fc.constantFrom<PresenceStatus>('busy', 'online', 'away', 'offline');
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('has'),
        node: fc.nat(2),
        user: fc.nat(2),
        statuses: fc.array(status, { maxLength: 2 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('pass'), seconds: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('lose'), share: fc.constantFrom(0, 0.3, 1) }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 25 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      async (steps, luck) => {
        let share = 0;
        const medium: Medium = new Set();
        const nodes = ['a', 'b', 'c'].map((name) =>
          presenceNode(
            lossy(memorySignals(name, medium), ({ is }) => is !== 'ended' && (luck.next().value ?? 1) < share),
          ),
        );
        const truth = nodes.map(() => new Map<string, PresenceStatus[]>());
        for (const one of steps) {
          if ('seconds' in one) await pass(nodes, one.seconds);
          else if ('share' in one) share = one.share;
          else {
            nodes[one.node]?.has(users[one.user] as string, ...one.statuses);
            truth[one.node]?.set(users[one.user] as string, one.statuses);
          }
        }
        share = 0;
        // The grace, the lease of whoever was not heard, and two intervals.
        await pass(nodes, 12);
        return users.every((user) => {
          const all = truth.flatMap((held) => held.get(user) ?? []);
          const expected =
            (['busy', 'online', 'away', 'offline'] as const).find((rank) => all.includes(rank)) ?? 'offline';
          return nodes.every(
            (node) => node.statusOf(user) === expected && (node.toldOf(user).at(-1) ?? 'offline') === expected,
          );
        });
      },
    ),
    { numRuns: 100 },
  );
  t.pass();
});

t.test(
  'law 4: while this node hears nobody, nobody goes offline; and who died meanwhile does afterwards',
  async (t) => {
    const medium: Medium = new Set();
    const a = presenceNode(memorySignals('a', medium));
    const b = presenceNode(memorySignals('b', medium));
    const inner = memorySignals('c', medium);
    let isCut = false;
    const ear = lossy(inner, ({ is }) => isCut && is !== 'ended');
    const c = presenceNode({
      ...ear,
      get isCut() {
        return isCut;
      },
    });
    a.has('ann', 'online');
    b.has('bob', 'online');
    await pass([a, b, c], 3);
    isCut = true;
    await pass([a, b, c], 60);
    t.same([c.statusOf('ann'), c.statusOf('bob')], ['online', 'online']);
    isCut = false;
    await pass([a, c], 9);
    t.same([c.toldOf('ann'), c.toldOf('bob')], [['online'], ['online']]);
    await pass([a, c], 5);
    t.same([c.toldOf('ann'), c.toldOf('bob')], [['online'], ['online', 'offline']]);
  },
);

t.test('law 4: a process that stood still takes nobody for dead, and is whole again where it was', async (t) => {
  const medium: Medium = new Set();
  const a = presenceNode(memorySignals('a', medium));
  const inner = fakeClock();
  let stoodStillMs = 0;
  const b = presenceNode(memorySignals('b', medium), { ...inner, monotonic: () => inner.monotonic() + stoodStillMs });
  a.has('ann', 'online');
  b.has('bob', 'online');
  await pass([a, b], 3);
  await pass([a], 60);
  t.same(a.toldOf('bob'), ['online', 'offline'], 'the others took it for dead');
  stoodStillMs = 60_000;
  await pass([a, b], 7);
  t.same(b.toldOf('ann'), ['online']);
  t.same(a.toldOf('bob'), ['online', 'offline', 'online']);
});

t.test('what comes and goes within one turn is not told', async (t) => {
  const nodes = nodesOf('a', 'b');
  const [a] = nodes as [PresenceNode];
  a.has('ann', 'online');
  await settle(nodes);
  a.has('ann', 'busy');
  a.has('ann', 'online');
  await settle(nodes);
  t.same(nodes[1]?.toldOf('ann'), ['online']);
});
