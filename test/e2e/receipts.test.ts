// Marks: how far somebody has read and received, told to the others as receipts and to one's own devices as `unread`.
import t from 'tap';
import { type Client, eventually, server } from '../kit/index.ts';

const s = await server(t, { cheapPasswords: true });

async function pair(): Promise<[string, Client, Client]> {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  for (let count = 0; count < 5; count++) await ann.send(group, `text ${count}`);
  await bob.next('message', { n: 5 });
  return [group, ann, bob];
}

t.test('received and read are told to the others, reading implies receiving', async (t) => {
  const [group, ann, bob] = await pair();
  const second = await bob.device();
  bob.signal({ t: 'received', conv: group, n: 3 });
  t.same(await ann.next('receipt'), { t: 'receipt', conv: group, user: bob.id, read: 0, received: 3 });
  t.match(await bob.read(group, 4), { t: 'ok', conv: group, seq: undefined });
  t.same(await ann.next('receipt'), { t: 'receipt', conv: group, user: bob.id, read: 4, received: 4 });
  t.same(await second.next('unread', { read: 4 }), { t: 'unread', conv: group, read: 4, n: 5 });
  await Promise.all([bob.fence(), second.fence()]);
  t.notOk(
    [...bob.pushes, ...second.pushes].some((push) => push.t === 'receipt'),
    'not to the reader',
  );
  t.notOk(
    bob.pushes.some((push) => push.t === 'unread'),
    'not to the device that read',
  );
});

t.test('a mark never goes back, unless told to; above the head it is the head', async (t) => {
  const [group, ann, bob] = await pair();
  const readOf = async () => (await bob.device()).ready.convs[0]?.read;
  await bob.read(group, 4);
  await bob.read(group, 2);
  t.equal(await readOf(), 4);
  await bob.read(group, 2, { unread: true });
  t.equal(await readOf(), 2);
  await bob.read(group, 1_000);
  t.equal(await readOf(), 5);
  await bob.send(group, 'sending is reading');
  t.equal(await readOf(), 6);
  t.match(await ann.next('receipt', { read: 5 }), { user: bob.id });
});

t.test('a mark is read back at once, whether it waits, is on its way to the store, or is there', async (t) => {
  const own = await server(t, { fastClock: true });
  const [ann, bob] = await own.clients('ann', 'bob');
  const wrong: string[] = [];
  for (let round = 0; round < 200; round++) {
    const group = await ann.group([bob]);
    await ann.send(group, 'text');
    await bob.read(group, 1);
    const { read } = (await bob.http('GET', `conversations/${group}`)).body;
    if (read !== 1) wrong.push(`round ${round}: ${read}`);
  }
  t.same(wrong, []);
});

t.test('marks that move quickly are told together', async (t) => {
  const [group, ann, bob] = await pair();
  await Promise.all([1, 2, 3, 4, 5].map((n) => bob.read(group, n)));
  await ann.next('receipt', { read: 5 });
  t.ok(ann.pushes.filter((push) => push.t === 'receipt').length <= 2);
});

t.test('marks are in the lists, and outlive a restart', async (t) => {
  const own = await server(t);
  const [ann, bob] = await own.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await ann.send(group, 'one');
  await ann.send(group, 'two');
  await bob.read(group, 1);
  const readOf = async () => (await bob.http('GET', `conversations/${group}`)).body.read;
  t.equal(await readOf(), 1);
  await own.restart('SIGTERM');
  t.equal(await readOf(), 1);
  const device = await bob.device();
  await device.read(group, 2);
  t.equal(await readOf(), 2);
  t.match((await bob.http('GET', 'conversations')).body.items, [{ conv: group, n: 2, read: 2 }]);
});

t.test('above a hundred members there are no receipts, marks of one’s own stay', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const room = await ann.room();
  await bob.join(room);
  const { n } = await ann.send(room, 'one');
  await bob.read(room, n);
  await ann.next('receipt', { conv: room });
  const accounts = await Promise.all(Array.from({ length: 99 }, (_, index) => s.account(`crowd-${index}`)));
  const users = accounts.map(({ id }) => id);
  t.equal((await ann.http('POST', `conversations/${room}/members`, { users })).status, 200);
  const second = await bob.device();
  await ann.send(room, 'two');
  await bob.read(room, 2);
  await second.next('unread', { read: 2 });
  await ann.fence();
  t.equal(ann.pushes.filter((push) => push.t === 'receipt').length, 1);
  t.same(await eventually(async () => (await bob.http('GET', `conversations/${room}`)).body.read), 2);
});
