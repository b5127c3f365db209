// What reading costs in memory: few pages at once, each no longer than an answer, however many pull and however long
// the messages are. A hundred slow readers that pulled together had taken 2 GB.
import t from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { openMemoryLog } from '../../src/adapters/memory/log.ts';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { Directory } from '../../src/conversations/index.ts';
import { Reads, type Replay } from '../../src/messages/index.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import { MAX_ANSWER_BYTES, MAX_REPLAY, MAX_REPLAY_BYTES } from '../../src/protocol/limits.ts';
import { TailMemory } from '../../src/tail/index.ts';
import { after, conv, Writer } from '../contract/store-model.ts';

const CONV = conv('c1');
const READERS = 60;
const TEXT = 'x'.repeat(3_900);

/** A store that says how many pages were under way at once, and how many bytes were asked for at most. */
function watched(store: MessageStore) {
  const seen = { now: 0, atOnce: 0, maxBytes: 0 };
  async function watch<Page>(maxBytes: number | undefined, read: () => Promise<Page>): Promise<Page> {
    seen.atOnce = Math.max(seen.atOnce, ++seen.now);
    seen.maxBytes = Math.max(seen.maxBytes, maxBytes ?? Number.POSITIVE_INFINITY);
    await new Promise((resolve) => setImmediate(resolve));
    const page = await read();
    seen.now--;
    return page;
  }
  const messages: MessageStore = {
    ...store,
    changes: (...query) => watch(query[3], () => store.changes(...query)),
    history: (...query) => watch(query[3], () => store.history(...query)),
    sync: (...query) => watch(query[3], () => store.sync(...query)),
  };
  return { messages, seen };
}

async function nodeWith(messagesSent: number) {
  const writer = new Writer();
  writer.create(CONV);
  for (let count = 0; count < messagesSent; count++) writer.say(CONV, TEXT);
  const { messages: store, conversations } = memoryStore();
  await store.apply(writer.changes, after(writer.changes));
  const { messages, seen } = watched(store);
  const tail = new TailMemory(after(writer.changes), 1_000_000);
  const directory = new Directory(conversations, tail, 100, () => true);
  const reads = new Reads({ store: messages, tail, directory, log: await openMemoryLog(), clock: systemClock() });
  const conversation = await directory.get(CONV);
  if (conversation === undefined) throw new Error('no such conversation');
  return { reads, conversation, seen };
}

t.test('many who pull, go back or resume at once: few pages at a time, each as long as an answer', async (t) => {
  const { reads, conversation, seen } = await nodeWith(200);

  async function pull(): Promise<number> {
    let pulled = 0;
    for (let after = 0, more = true; more; ) {
      await reads.sync({ conversation, after, limit: 500 }, {}, (answer) => {
        pulled += answer.items.filter(({ is }) => is === 'message').length;
        after = answer.to;
        more = answer.more;
      });
    }
    return pulled;
  }

  async function goBack(): Promise<number> {
    let read = 0;
    for (let before = 1_000, more: boolean | undefined = true; more; ) {
      const page = await reads.history(conversation, { before, limit: 200 }, {});
      read += page.items.length;
      before = page.items[0]?.seq ?? 0;
      more = page.more;
    }
    return read;
  }

  const counts = await Promise.all(
    Array.from({ length: READERS }, (_, index) => (index % 2 === 0 ? pull() : goBack())),
  );
  t.same(new Set(counts), new Set([200]), 'each has everything');
  t.ok(seen.atOnce > 1 && seen.atOnce <= 10, `${seen.atOnce} pages at once`);
  t.ok(seen.maxBytes <= 1.5 * MAX_ANSWER_BYTES, `${seen.maxBytes} bytes asked for`);
});

t.test('a replay of more bytes than an outbox takes is none, of fewer it is whole', async (t) => {
  const { reads, conversation, seen } = await nodeWith(200);
  const replayed: (readonly Replay[] | null)[] = [];
  const fits = Math.floor(MAX_REPLAY_BYTES / 4_200);
  for (const missed of [200, fits]) {
    await reads.replay(conversation, conversation.head.seq - missed, MAX_REPLAY, (changes) => replayed.push(changes));
  }
  t.equal(replayed[0], null);
  t.equal(replayed[1]?.length, fits);
  t.equal(seen.maxBytes, MAX_REPLAY_BYTES);
});
