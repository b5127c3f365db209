// Pulling what was missed: the answer from memory is the one through the store, from every cursor, at every moment.
import t, { type Test } from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { openMemoryLog } from '../../src/adapters/memory/log.ts';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { Directory } from '../../src/conversations/index.ts';
import { type Freshness, Reads } from '../../src/messages/index.ts';
import type { SyncQuery, SyncResult } from '../../src/messages/sync-pages.ts';
import type { Change } from '../../src/ports/log.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import type { Seq } from '../../src/protocol/ids.ts';
import type { ItemState } from '../../src/protocol/states.ts';
import { TailMemory } from '../../src/tail/index.ts';
import {
  conv,
  identity,
  after as positionAfter,
  Random,
  randomChanges,
  sorted,
  Writer,
} from '../contract/store-model.ts';

const LIMITS = [1, 3, 500];
/** 2: a message touched without effect after the store's answer had fallen out between two pages. */
const SEEDS = [1, 2];
/** What a node does that is cut off: it asks the store in any case. */
const BY_STORE: Freshness = { stale: true };

async function node(keepTailBytes: number) {
  const { messages, conversations } = memoryStore();
  let asked = 0;
  const store: MessageStore = {
    ...messages,
    sync: (...query) => {
      asked++;
      return messages.sync(...query);
    },
  };
  const tail = new TailMemory([0], keepTailBytes);
  const directory = new Directory(conversations, tail, 100, () => true);
  const reads = new Reads({ store, tail, directory, log: await openMemoryLog(), clock: systemClock() });
  return {
    directory,
    asked: () => asked,
    tell(change: Change) {
      tail.add(change);
      directory.onChange(change);
      tail.settle();
    },
    async store(changes: readonly Change[]) {
      await messages.apply(changes, positionAfter(changes));
      tail.onStored(positionAfter(changes));
    },
    async sync(query: SyncQuery, freshness: Freshness): Promise<SyncResult> {
      const { promise, resolve } = Promise.withResolvers<SyncResult>();
      await reads.sync(query, freshness, resolve);
      return promise;
    },
  };
}

type Node = Awaited<ReturnType<typeof node>>;

/** All pages from a cursor on, laid over one another. Where pages end may differ: an item the store counts may be overtaken. */
async function pull({ sync }: Node, query: SyncQuery, freshness: Freshness) {
  const held = new Map<string, ItemState>();
  const revs: Seq[] = [];
  for (let { after } = query, more = true; more; ) {
    const page = await sync({ ...query, after }, freshness);
    for (const item of page.items) held.set(identity(item), item);
    revs.push(...page.items.map(({ rev }) => rev), page.to);
    ({ to: after, more } = page);
  }
  return {
    items: sorted([...held.values()]),
    to: revs.at(-1),
    isInOrder: revs.every((rev, at) => rev >= (revs[at - 1] ?? 0)),
  };
}

/** @returns how many pulls the store was not asked for */
async function compare(t: Test, seed: number, keepTailBytes: number): Promise<number> {
  const one = await node(keepTailBytes);
  const random = new Random(seed);
  const changes = randomChanges(seed, 140, 2);
  let stored = 0;
  let remembered = 0;
  for (const [index, change] of changes.entries()) {
    one.tell(change);
    if (random.below(8) === 0) {
      await one.store(changes.slice(stored, index + 1));
      stored = index + 1;
    }
    if (random.below(4) > 0) continue;
    const conversation = await one.directory.get(change.conv);
    if (conversation === undefined) throw new Error('no such conversation');
    for (let after = 0; after <= conversation.head.seq; after++) {
      const query = { conversation, after, limit: LIMITS[random.below(LIMITS.length)] ?? 1 };
      const before = one.asked();
      const found = await pull(one, query, {});
      if (one.asked() === before) remembered++;
      t.same(found, await pull(one, query, BY_STORE));
      t.ok(found.isInOrder && found.to === conversation.head.seq);
    }
  }
  return remembered;
}

for (const seed of SEEDS) {
  t.test(`from memory as through the store (seed ${seed})`, async (t) => {
    t.ok((await compare(t, seed, 1_000_000)) > 0);
    t.ok((await compare(t, seed, 4_000)) > 0, 'where little is kept');
  });
}

t.test('who has everything is told so without the store; who missed more than an answer is not', async (t) => {
  const { directory, tell, store, sync, asked } = await node(10_000_000);
  const writer = new Writer();
  writer.create(conv('c1'));
  for (let count = 0; count < 60; count++) writer.say(conv('c1'), 'x'.repeat(3_900));
  for (const change of writer.changes) tell(change);
  await store(writer.changes);
  const conversation = await directory.get(conv('c1'));
  if (conversation === undefined) throw new Error('no such conversation');
  const head = conversation.head.seq;
  t.same(await sync({ conversation, after: head, limit: 500 }, {}), { items: [], to: head, head, more: false });
  t.equal((await sync({ conversation, after: head - 5, limit: 500 }, {})).items.length, 5);
  t.equal(asked(), 0);
  t.ok((await sync({ conversation, after: 0, limit: 500 }, {})).more);
  t.equal(asked(), 1);
});
