// A node whose log has gone on without it: what was under way when it began again.
import t from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { openMemoryLog } from '../../src/adapters/memory/log.ts';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { Delivery } from '../../src/app/delivery.ts';
import { Directory } from '../../src/conversations/index.ts';
import { ChatError } from '../../src/errors.ts';
import { Hub, LocalUser } from '../../src/gateway/hub.ts';
import { Flusher } from '../../src/gateway/outbox.ts';
import { Reads } from '../../src/messages/index.ts';
import type { ConversationStore, StoredConv } from '../../src/ports/conversations.ts';
import { PositionLost } from '../../src/ports/log.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import type { ConvId, UserId } from '../../src/protocol/ids.ts';
import { TailMemory } from '../../src/tail/index.ts';
import { eventually } from '../kit/waiting.ts';
import { appendOne, conv, creation, message } from './log-items.ts';

const ANN = 'ann' as UserId;

function stored(id: ConvId, seq: number, isMember: boolean): StoredConv {
  return {
    conv: id,
    state: { is: 'conv', kind: 'group', rev: 1 },
    head: { seq, n: 0, guard: seq, at: 1 },
    members: isMember ? [{ user: ANN, role: 'member' }] : [],
  };
}

t.test('a conversation whose loading was under way when the node began again is loaded anew', async (t) => {
  const before = Promise.withResolvers<readonly StoredConv[]>();
  const answers = [before.promise, Promise.resolve([stored(conv(1), 2, false)])];
  const store: ConversationStore = {
    load: () => answers.shift() as Promise<readonly StoredConv[]>,
    ofUser: async () => [],
    rooms: async () => ({ items: [], cursor: null }),
  };
  const tail = new TailMemory([1], 0);
  const directory = new Directory(store, tail, 100, () => false);
  const loading = directory.load([conv(1)]);
  // Meanwhile the kick (the second change) has been stored, and the tail goes on after it.
  tail.restart([2]);
  directory.restart();
  before.resolve([stored(conv(1), 1, true)]);
  await loading;
  t.notOk((await directory.get(conv(1)))?.has(ANN), 'who was kicked is none of them');
});

t.test('a list of conversations that was asked for before the node began again is asked for anew', async (t) => {
  type Own = Awaited<ReturnType<ConversationStore['ofUser']>>;
  const before = Promise.withResolvers<Own>();
  const answers = [before.promise, Promise.resolve<Own>([{ conv: conv(1), role: 'member' }])];
  const store: ConversationStore = {
    load: async () => [],
    ofUser: () => answers.shift() as Promise<Own>,
    rooms: async () => ({ items: [], cursor: null }),
  };
  const tail = new TailMemory([0], 0);
  const directory = new Directory(store, tail, 100, () => false);
  const found = Promise.withResolvers<ReadonlySet<ConvId>>();
  const asking = directory.ofUser(ANN, found.resolve);
  tail.restart([1]);
  directory.restart();
  before.resolve([]);
  await asking;
  t.same([...(await found.promise)], [conv(1)]);
});

t.test(
  'a read under way when the node begins again is told to come again: it may miss what the tail had',
  async (t) => {
    const { messages } = memoryStore();
    const asked = Promise.withResolvers<void>();
    const store: MessageStore = {
      ...messages,
      async history(...query) {
        await asked.promise;
        return messages.history(...query);
      },
    };
    const tail = new TailMemory([0], 0);
    const log = await openMemoryLog();
    const directory = new Directory(memoryStore().conversations, tail, 100, () => false);
    const reads = new Reads({ store, tail, log, clock: systemClock(), directory });
    const reading = reads.last(conv(1), {});
    tail.restart([2]);
    asked.resolve();
    await t.rejects(reading, { code: 'unavailable' });
  },
);

t.test('who says hello while the node begins again is not shown what was loaded before', async (t) => {
  const directory = new Directory(memoryStore().conversations, new TailMemory([0], 0), 100, () => false);
  const hub = new Hub(new Flusher(), () => directory);
  const [before, after] = [new LocalUser(ANN), new LocalUser(ANN)];
  hub.enter(before);
  hub.leave(before);
  hub.enter(after);
  hub.leave(before);
  t.equal(hub.user(ANN), after, 'who is let go of twice takes nobody else along');
});

/** What happens, in order, of a delivery whose log has lost its place once. */
async function lostOnce(position: () => Promise<readonly number[]>) {
  const log = await openMemoryLog();
  const epoch = { now: 'before' };
  const state = log.state();
  log.state = () => ({ ...state, epoch: epoch.now });
  await appendOne(log, creation(conv(1)));
  await appendOne(log, message(conv(1)));
  const tail = new TailMemory([0], 1_000_000);
  const events: string[] = [];
  const lose = Promise.withResolvers<void>();
  const delivery = new Delivery({
    log,
    tail,
    position,
    deliver: async (reading) => {
      if (events.length === 0) {
        events.push('delivers');
        await lose.promise;
        epoch.now = 'after';
        throw new PositionLost();
      }
      for await (const changes of reading) for (const { offset } of changes) events.push(`${offset}`);
    },
    onLost: () => {
      events.push('lost');
      // In this very turn, before anybody else is heard.
      queueMicrotask(() => events.push(tail.hasReached([1]) ? 'memory begins again' : 'memory of before'));
    },
  });
  await delivery.begin();
  return { delivery, events, lose, tail, log, epoch, running: delivery.run() };
}

t.test('a node that lost its place begins again in one turn, at the store’s watermark', async (t) => {
  const positions = [[0], [1]];
  const { delivery, events, lose, running } = await lostOnce(async () => positions.shift() as readonly number[]);
  lose.resolve();
  await eventually(() => events.includes('2'));
  t.same(events, ['delivers', 'lost', 'memory begins again', '2']);
  await delivery.stop();
  await running;
});

t.test('a node can stop while it waits for where the store is', async (t) => {
  const positions = [[0]];
  const asked = Promise.withResolvers<void>();
  const { delivery, events, lose, running } = await lostOnce(async () => {
    const position = positions.shift();
    if (position !== undefined) return position;
    asked.resolve();
    throw new ChatError('unavailable');
  });
  lose.resolve();
  await asked.promise;
  await delivery.stop();
  await running;
  t.same(events, ['delivers'], 'nobody was sent away');
});

t.test('until it begins again, a node is not sure of what it shows, and tells the epoch of that', async (t) => {
  const positions = [[0]];
  const isStored = Promise.withResolvers<void>();
  const { delivery, events, lose, running, tail, log } = await lostOnce(async () => {
    const position = positions.shift();
    if (position !== undefined) return position;
    await isStored.promise;
    return [0];
  });
  const { messages, conversations } = memoryStore();
  const directory = new Directory(conversations, tail, 100, () => false);
  const reads = new Reads({ store: messages, tail, log, clock: systemClock(), directory });
  t.ok(tail.hasReached([0]));
  lose.resolve();
  await eventually(() => log.state().epoch === 'after');
  t.notOk(tail.hasReached([0]));
  t.equal(reads.epoch, 'before');
  isStored.resolve();
  await eventually(() => events.includes('2'));
  t.ok(tail.hasReached([0]));
  t.equal(reads.epoch, 'after');
  await delivery.stop();
  await running;
});
