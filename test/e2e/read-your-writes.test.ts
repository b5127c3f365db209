// Promise 4: after `ok`, every history, sync and GET by anyone includes it, 2,000 times out of 2,000.
import t from 'tap';
import { type Client, server } from '../kit/index.ts';

const s = await server(t);
const WRITES = 2_000;

interface Reading {
  readonly name: string;
  /** The text that a read finds at the end. */
  last(reader: Client, conv: string, seq: number): Promise<unknown>;
}

const READINGS: readonly Reading[] = [
  { name: 'history', last: async (reader, conv) => (await reader.history(conv, { limit: 1 })).items[0]?.text },
  {
    name: 'history around',
    last: async (reader, conv, seq) => (await reader.history(conv, { around: seq, limit: 1 })).items[0]?.text,
  },
  {
    name: 'sync',
    last: async (reader, conv, seq) => {
      const item = (await reader.sync(conv, seq - 1)).items.find(
        (found) => found.is === 'message' && found.seq === seq,
      );
      return item?.is === 'message' ? item.text : undefined;
    },
  },
  {
    name: 'GET messages',
    last: async (reader, conv) =>
      (await reader.http('GET', `conversations/${conv}/messages?limit=1`)).body.items[0]?.text,
  },
  {
    name: 'GET conversations',
    last: async (reader) =>
      ((await reader.http('GET', 'conversations?limit=1')).body.items[0] as { last?: { text: string } }).last?.text,
  },
];

t.test('what was acknowledged is in every read after it, whoever reads and however', async (t) => {
  const pairs = await Promise.all(Array.from({ length: 4 }, () => s.clients('ann', 'bob')));
  const missing: string[] = [];
  const readings = new Map<string, number>();
  const check = async ([ann, bob]: readonly [Client, Client], pair: number) => {
    const group = await ann.group([bob]);
    for (let index = 0; index < WRITES / pairs.length; index++) {
      const reading = READINGS[index % READINGS.length] as Reading;
      const text = `${pair}.${index}`;
      const { seq } = await ann.send(group, text);
      const read = await reading.last(index % 2 === 0 ? ann : bob, group, seq);
      if (read !== text) missing.push(`${reading.name}: ${read} instead of ${text}`);
      readings.set(reading.name, (readings.get(reading.name) ?? 0) + 1);
    }
  };
  await Promise.all(pairs.map(check));
  t.same(missing, []);
  t.equal(
    [...readings.values()].reduce((sum, count) => sum + count, 0),
    WRITES,
  );
});

t.test('an edit, a deletion and a change of members are in every read after their ok', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const room = await ann.room();
  for (let round = 0; round < 50; round++) {
    const { seq } = await ann.send(room, 'text');
    const { seq: edited } = await ann.edit(room, seq, `edited ${round}`);
    const [history, sync] = await Promise.all([ann.history(room, { around: seq, limit: 1 }), ann.sync(room, seq)]);
    t.match([history.items[0], sync.items[0]], [{ text: `edited ${round}`, rev: edited }, { text: `edited ${round}` }]);
    const { seq: deleted } = await ann.remove(room, seq);
    const tombstone = { seq, rev: deleted, deleted: true, text: '' };
    t.match((await ann.history(room, { limit: 1 })).items, [tombstone]);
    t.match((await ann.sync(room, edited ?? 0)).items, [tombstone]);
    await (round % 2 === 0 ? bob.join(room) : bob.leave(room));
    t.equal((await ann.members(room))[bob.id], round % 2 === 0 ? 'member' : undefined);
  }
});

t.test('a new conversation is in the lists of all its members at once', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  for (let round = 0; round < 20; round++) {
    const { body } = await ann.http('POST', 'conversations', { kind: 'group', members: [bob.id] });
    const [list, device] = await Promise.all([bob.http('GET', 'conversations'), bob.device()]);
    t.ok(list.body.items.some(({ conv }) => conv === body.conv));
    t.ok(device.ready.convs.some(({ conv }) => conv === body.conv));
    await device.close();
    const { body: room } = await ann.http('POST', 'conversations', {
      kind: 'room',
      public: true,
      title: `room ${round}`,
    });
    const found = await bob.http('GET', `rooms?q=room%20${round}`);
    t.ok(found.body.items.some(({ conv }) => conv === room.conv));
  }
});
