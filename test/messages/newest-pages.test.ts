// Opening a conversation: the newest messages come from memory where they are there, and are the same as the store's.
import t from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { openMemoryLog } from '../../src/adapters/memory/log.ts';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { Directory } from '../../src/conversations/index.ts';
import { type Freshness, type HistoryResult, Reads } from '../../src/messages/index.ts';
import { NewestPages } from '../../src/messages/newest-pages.ts';
import { foldAll, sentIn } from '../../src/messages/pages.ts';
import type { Change } from '../../src/ports/log.ts';
import { bodyText, type ChangeType, parseChange, wireText } from '../../src/protocol/changes.ts';
import type { ConvId, Seq, UserId } from '../../src/protocol/ids.ts';
import { TailMemory } from '../../src/tail/index.ts';
import { random } from '../kit/index.ts';

const CONVS = ['c1', 'c2', 'c3'] as ConvId[];
const [CONV = '' as ConvId] = CONVS;
const ANN = 'ann' as UserId;

/** Eight of them fill an answer. */
const LONG = '€'.repeat(4_000);

const seqs = ({ items }: HistoryResult) => items.map(({ seq }) => seq);

function messageChange(conv: ConvId, seq: Seq, text: string): Change {
  const wire = wireText('message', conv, seq, seq, ANN, 1, null, bodyText({ text }));
  return { part: 0, offset: seq, conv, seq, n: seq, type: 'message', from: ANN, at: 1, key: null, wire };
}

/** One node's view of some conversations, whose log this test writes by hand. */
async function node(keepTailBytes = 1_000_000) {
  const { messages, conversations } = memoryStore();
  const tail = new TailMemory([0], keepTailBytes);
  const directory = new Directory(conversations, tail, 100, () => true);
  let asked = 0;
  const store: typeof messages = {
    ...messages,
    history(...query) {
      asked++;
      return messages.history(...query);
    },
  };
  const reads = new Reads({ store, tail, directory, log: await openMemoryLog(), clock: systemClock() });
  const all: Change[] = [];
  let stored = 0;

  function changeOf(conv: ConvId, type: ChangeType, fields: object): Change {
    const before = all.filter((change) => change.conv === conv);
    const seq = before.length + 1;
    const n = before.filter((change) => change.type === 'message').length + (type === 'message' ? 1 : 0);
    const wire = wireText(type, conv, seq, type === 'message' ? n : 0, ANN, 1, null, bodyText(fields));
    return { part: 0, offset: all.length + 1, conv, seq, n, type, from: ANN, at: 1, key: null, wire };
  }

  function tell(conv: ConvId, type: ChangeType, fields: object): Seq {
    const change = changeOf(conv, type, fields);
    all.push(change);
    tail.add(change);
    directory.onChange(change);
    tail.settle();
    return change.seq;
  }

  return {
    tail,
    directory,
    tell,
    begin: (conv: ConvId) => tell(conv, 'conv', { kind: 'group', members: [{ user: ANN, role: 'owner' }] }),
    send: (conv: ConvId, text: string) => tell(conv, 'message', { text }),
    /** The store takes the next changes. */
    async store(count = Number.POSITIVE_INFINITY) {
      const batch = all.slice(stored, stored + count);
      stored += batch.length;
      await messages.apply(batch, [stored]);
      tail.onStored([stored]);
    },
    /** The log begins again at what the store has. */
    lose() {
      all.splice(stored);
      tail.restart([stored]);
      directory.restart();
    },
    async newest(conv: ConvId, limit: number, freshness: Freshness = {}) {
      const conversation = await directory.get(conv);
      if (conversation === undefined) throw new Error('no such conversation');
      return reads.history(conversation, { limit }, freshness);
    },
    async around(conv: ConvId, around: Seq, limit: number) {
      const conversation = await directory.get(conv);
      if (conversation === undefined) throw new Error('no such conversation');
      return reads.history(conversation, { around, limit }, {});
    },
    last: (conv: ConvId, freshness: Freshness = {}) => reads.last(conv, freshness),
    /** The store goes on by another node's hand, which this one does not hear of. */
    async storeUnheard(conv: ConvId, type: ChangeType, fields: object) {
      const change = changeOf(conv, type, fields);
      all.push(change);
      stored = all.length;
      await messages.apply([change], [stored]);
    },
    /** What it must be, by the changes from the first on. */
    expected(conv: ConvId, limit: number) {
      const changes = all.filter((change) => change.conv === conv).map(({ wire }) => parseChange(wire));
      const items = foldAll(sentIn(changes), changes);
      return { items: items.slice(-limit), more: items.length > limit };
    },
    unstored: () => all.length - stored,
    asked: () => asked,
  };
}

t.test('a conversation opened twice asks the store once, whatever was said meanwhile', async (t) => {
  const here = await node();
  here.begin(CONV);
  const first = here.send(CONV, 'one');
  await here.store();
  await here.newest(CONV, 50);
  here.tell(CONV, 'edit', { of: first, text: 'uno' });
  here.send(CONV, 'two');
  here.tell(CONV, 'delete', { of: first });
  t.same(await here.newest(CONV, 50), here.expected(CONV, 50));
  await here.store();
  t.same(await here.newest(CONV, 1), here.expected(CONV, 1));
  t.equal(here.asked(), 1);
});

t.test('more than is in memory is asked of the store', async (t) => {
  const here = await node();
  here.begin(CONV);
  for (let count = 0; count < 20; count++) here.send(CONV, `${count}`);
  await here.store();
  await here.newest(CONV, 1);
  t.same(await here.newest(CONV, 10), here.expected(CONV, 10));
  t.equal(here.asked(), 2);
  t.same(await here.newest(CONV, 3), here.expected(CONV, 3));
  t.equal(here.asked(), 2);
});

t.test('a page that the tail does not reach back to any more is asked for again', async (t) => {
  const here = await node(0);
  here.begin(CONV);
  here.send(CONV, 'one');
  await here.store();
  await here.newest(CONV, 50);
  here.send(CONV, 'two');
  await here.store();
  t.same(await here.newest(CONV, 50), here.expected(CONV, 50));
  t.equal(here.asked(), 2);
});

t.test('a node that has begun again shows nothing it remembers of before', async (t) => {
  const here = await node();
  here.begin(CONV);
  here.send(CONV, 'kept');
  await here.store();
  here.send(CONV, 'told by a log that is lost');
  t.equal((await here.newest(CONV, 50)).items.length, 2);
  here.lose();
  here.send(CONV, 'of the same number, told by the log that follows');
  t.same(await here.newest(CONV, 50), here.expected(CONV, 50));
});

t.test('a page carried on past what is kept of it has more before it', async (t) => {
  const here = await node();
  here.begin(CONV);
  here.send(CONV, 'first');
  await here.store();
  await here.newest(CONV, 50);
  for (let count = 0; count < 60; count++) here.send(CONV, `${count}`);
  t.same(await here.newest(CONV, 50), here.expected(CONV, 50));
  t.equal(here.asked(), 1);
});

t.test('texts that do not fit into one answer are cut as the store’s are', async (t) => {
  const here = await node();
  here.begin(CONV);
  for (let count = 0; count < 20; count++) here.send(CONV, LONG);
  await here.store();
  const asked = await here.newest(CONV, 10);
  for (let count = 0; count < 5; count++) here.send(CONV, LONG);
  const remembered = await here.newest(CONV, 10);
  t.equal(asked.items.length, 10);
  t.equal(remembered.items.length, 10);
  t.equal(remembered.items.at(-1)?.seq, 26);
  t.ok(Buffer.byteLength(JSON.stringify((await here.newest(CONV, 15)).items)) <= 131_072);
});

t.test('of a conversation of long texts the store is asked once, too', async (t) => {
  const here = await node();
  here.begin(CONV);
  for (let count = 0; count < 20; count++) here.send(CONV, `${count} ${LONG}`);
  await here.store();
  const page = await here.newest(CONV, 50);
  t.ok(page.items.length < 20 && page.more);
  t.same(await here.newest(CONV, 50), page);
  here.send(CONV, `20 ${LONG}`);
  t.same(
    seqs(await here.newest(CONV, 50)),
    seqs(page).map((seq) => seq + 1),
  );
  t.equal(here.asked(), 1);
});

t.test(
  'where the log cannot be asked the store may know better: a deleted text is not shown from memory',
  async (t) => {
    const here = await node();
    here.begin(CONV);
    const secret = here.send(CONV, 'secret');
    await here.store();
    await here.newest(CONV, 50);
    await here.storeUnheard(CONV, 'delete', { of: secret });
    t.equal((await here.newest(CONV, 50, { stale: true })).items[0]?.text, '');
    t.equal((await here.last(CONV, { stale: true }))?.text, '');
  },
);

t.test('half a page around the last number there can be is not taken for the newest page', async (t) => {
  const here = await node();
  here.begin(CONV);
  for (let count = 0; count < 20; count++) here.send(CONV, `${count} ${LONG}`);
  await here.store();
  await here.around(CONV, Number.MAX_SAFE_INTEGER - 1, 50);
  const page = await here.newest(CONV, 50);
  t.equal(here.asked(), 3);
  t.ok(page.items.length > 5, 'more than half an answer');
});

t.test('memory is bounded, of pages carried on as well: the longest unused goes', async (t) => {
  const tail = new TailMemory([0], 1_000_000);
  const keepBytes = 60_000;
  const pages = new NewestPages(tail, () => 1, keepBytes);
  const item = { is: 'message' as const, seq: 1, n: 1, rev: 1, from: ANN, at: 1, text: 'x' };
  for (const conv of CONVS) pages.keep(conv, { items: [item], more: false, isFull: false }, 1);
  for (const conv of CONVS) {
    for (let seq = 2; seq <= 4; seq++) tail.add(messageChange(conv, seq, 'x'.repeat(4_000)));
    t.equal(pages.find(conv, 50)?.items.length, 4);
    t.ok(pages.bytes <= keepBytes, `${pages.bytes} bytes`);
  }
  t.notOk(pages.find(CONV, 50), 'used before the others');
  t.ok(pages.find(CONVS[2] as ConvId, 50));
});

t.test('any story: what is read is what all changes add up to', async (t) => {
  for (let run = 0; run < 300; run++) {
    const chance = random();
    const here = await node(chance.pick([0, 1_000, 5_000, 1_000_000]));
    for (const conv of CONVS) here.begin(conv);
    const sent = new Map<ConvId, Seq[]>(CONVS.map((conv) => [conv, []]));
    for (let step = 0; step < 60; step++) {
      const conv = chance.pick(CONVS);
      const messages = sent.get(conv) as Seq[];
      const what = chance.whole(10);
      if (what < 4 || messages.length === 0) messages.push(here.send(conv, `message ${step}`));
      else if (what === 4) here.tell(conv, 'edit', { of: chance.pick(messages), text: `edited ${step}` });
      else if (what === 5) here.tell(conv, 'delete', { of: chance.pick(messages) });
      else if (what === 6) await here.store(chance.whole(here.unstored() + 1));
      else {
        const limit = 1 + chance.whole(12);
        const [read, expected] = [await here.newest(conv, limit), here.expected(conv, limit)];
        if (JSON.stringify(read) !== JSON.stringify(expected)) {
          t.same(read, expected, `seed ${chance.seed}, step ${step}`);
          return;
        }
      }
    }
  }
  t.pass('300 stories');
});
