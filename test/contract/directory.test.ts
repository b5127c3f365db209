// The directory when more conversations are in use than it would keep.
import t from 'tap';
import { Directory } from '../../src/conversations/index.ts';
import type { ConversationStore, StoredConv } from '../../src/ports/conversations.ts';
import type { ConvId, UserId } from '../../src/protocol/ids.ts';
import { TailMemory } from '../../src/tail/index.ts';

const KEEP = 200;

function stored(conv: ConvId): StoredConv {
  const head = { seq: 1, n: 0, guard: 1, at: 1 };
  return {
    conv,
    state: { is: 'conv', kind: 'group', rev: 1 },
    head,
    members: [{ user: 'u' as UserId, role: 'member' }],
  };
}

const store: ConversationStore = {
  load: async (convs) => convs.map(stored),
  ofUser: async () => [],
  rooms: async () => ({ items: [], cursor: null }),
};

t.test('what was just loaded is known, however many conversations are in use', async (t) => {
  const inUse = new Set<ConvId>();
  let asked = 0;
  const lost: ConvId[] = [];
  const directory = new Directory(store, new TailMemory([0], 0), KEEP, (conv) => {
    asked++;
    return inUse.has(conv);
  });
  for (let user = 0; user < 50; user++) {
    const convs = Array.from({ length: 20 }, (_, index) => `c${user}-${index}` as ConvId);
    await directory.load(convs);
    lost.push(...convs.filter((conv) => directory.peek(conv) === undefined));
    for (const conv of convs) inUse.add(conv);
  }
  t.same(lost, []);
  t.equal(directory.size, inUse.size);
  t.ok(asked <= 3 * inUse.size, `a bounded number of looks for each: ${asked}`);
});

t.test('what nobody is in any more is let go of as others come', async (t) => {
  const inUse = new Set<ConvId>();
  const directory = new Directory(store, new TailMemory([0], 0), KEEP, (conv) => inUse.has(conv));
  const first = Array.from({ length: 5 * KEEP }, (_, index) => `c${index}` as ConvId);
  for (const conv of first) inUse.add(conv);
  await directory.load(first);
  t.equal(directory.size, first.length);
  inUse.clear();
  for (let index = 0; index < first.length; index++) await directory.load([`d${index}` as ConvId]);
  t.equal(directory.size, KEEP);
});

t.test('who waits for a change of a conversation that was let go of meanwhile is not left waiting', async (t) => {
  const directory = new Directory(store, new TailMemory([0], 0), 1, () => false);
  await directory.load(['c1' as ConvId]);
  await directory.load(['c2' as ConvId]);
  t.equal(directory.peek('c1' as ConvId), undefined);
  await directory.reach('c1' as ConvId, 1);
});
