// Typing and presence: who hears of it, what several devices add up to, and what silence ends. The server's clock runs
// fast, so that seconds of silence pass quickly.
import t from 'tap';
import { type Client, eventually, server } from '../kit/index.ts';

const s = await server(t, { fastClock: true });

async function together(...names: string[]): Promise<[string, ...Client[]]> {
  const [first, ...others] = await s.clients(...names);
  const group = await (first as Client).group(others);
  await Promise.all(others.map((other) => other.hears(group)));
  return [group, first as Client, ...others];
}

function presences(client: Client, of: Client): readonly string[] {
  return client.pushes.flatMap((push) => (push.t === 'presence' && push.user === of.id ? [push.status] : []));
}

t.test('typing is told to the others, not to one’s own connections', async (t) => {
  const [group, ann, bob] = (await together('ann', 'bob')) as [string, Client, Client];
  const second = await ann.device();
  ann.signal({ t: 'typing', conv: group, on: true });
  t.same(await bob.next('typing'), { t: 'typing', conv: group, user: ann.id, on: true });
  ann.signal({ t: 'typing', conv: group, on: false });
  t.same(await bob.next('typing'), { t: 'typing', conv: group, user: ann.id, on: false });
  await Promise.all([ann.fence(), second.fence()]);
  t.notOk([...ann.pushes, ...second.pushes].some((push) => push.t === 'typing'));
});

t.test('who falls silent has stopped typing', async (t) => {
  const [group, ann, bob] = (await together('ann', 'bob')) as [string, Client, Client];
  ann.signal({ t: 'typing', conv: group, on: true });
  await bob.next('typing', { on: true });
  t.match(await bob.next('typing'), { on: false, user: ann.id });
});

t.test('typing is told once in a while, however often it is said', async (t) => {
  const [group, ann, bob] = (await together('ann', 'bob')) as [string, Client, Client];
  for (let count = 0; count < 30; count++) ann.signal({ t: 'typing', conv: group, on: true });
  await ann.fence();
  await bob.next('typing', { on: false });
  const told = bob.pushes.filter((push) => push.t === 'typing');
  t.ok(told.length <= 3, `${told.length} of 30`);
});

t.test('typing somewhere one is not, is told to nobody', async (t) => {
  const [group, ann] = (await together('ann', 'bob')) as [string, Client, Client];
  const carl = await s.client('carl');
  carl.signal({ t: 'typing', conv: group, on: true });
  carl.signal({ t: 'typing', conv: 'no-such-conversation', on: true });
  await carl.fence();
  await ann.fence();
  t.notOk(ann.pushes.some((push) => push.t === 'typing'));
});

t.test('who comes is told to people shared with, and who comes later gets a snapshot', async (t) => {
  const [, ann, bob] = (await together('ann', 'bob')) as [string, Client, Client];
  const stranger = await s.client('stranger');
  ann.signal({ t: 'presence', status: 'busy' });
  const busy = await bob.next('presence', { user: ann.id, status: 'busy' });
  t.same(busy, { t: 'presence', user: ann.id, status: 'busy', seen: busy.seen });
  t.ok(Math.abs(busy.seen - Date.now()) < 60_000);
  const later = await bob.device();
  t.same(await later.next('presence'), busy);
  t.notOk(
    later.pushes.some((push) => push.t === 'presence' && push.user === bob.id),
    'never of oneself',
  );
  await stranger.fence();
  t.same(presences(stranger, ann), []);
});

t.test('people who come to share a conversation hear of each other at once', async (t) => {
  const [ann, bob, cat] = (await s.clients('ann', 'bob', 'cat')) as [Client, Client, Client];
  const group = await ann.group([bob]);
  t.match(await ann.next('presence', { user: bob.id }), { status: 'online' });
  t.match(await bob.next('presence', { user: ann.id }), { status: 'online' });
  await ann.add(group, cat);
  t.match(await cat.next('presence', { user: ann.id }), { status: 'online' });
  t.match(await cat.next('presence', { user: bob.id }), { status: 'online' });
  t.match(await bob.next('presence', { user: cat.id }), { status: 'online' });
  t.same(presences(cat, cat), [], 'never of oneself');
});

t.test('people who share a room only are not told of each other', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const room = await ann.room();
  await bob.join(room);
  ann.signal({ t: 'presence', status: 'busy' });
  await ann.fence();
  await bob.fence();
  t.same(presences(bob, ann), []);
  t.notOk((await bob.device()).pushes.some((push) => push.t === 'presence'));
});

t.test('of several devices the first of busy, online, away counts', async (t) => {
  const [, ann, bob] = (await together('ann', 'bob')) as [string, Client, Client];
  const second = await ann.device();
  const say = async (device: Client, status: string, told: string | null) => {
    device.signal({ t: 'presence', status });
    await device.fence();
    if (told !== null) t.match(await bob.next('presence', { user: ann.id }), { status: told }, `${status}: ${told}`);
  };
  await bob.fence();
  await eventually(() => presences(bob, ann).length === 0 || bob.next('presence', { user: ann.id }).then(() => true));
  await say(ann, 'away', null);
  await say(second, 'away', 'away');
  await say(ann, 'busy', 'busy');
  await say(second, 'online', null);
  await say(ann, 'away', 'online');
  await second.close();
  t.match(await bob.next('presence', { user: ann.id }), { status: 'away' }, 'a device goes');
});

t.test('who goes is offline after a grace, and a reconnect within it is not seen', async (t) => {
  const [, ann, bob] = (await together('ann', 'bob')) as [string, Client, Client];
  const before = presences(bob, ann).length;
  await ann.cut();
  const back = await ann.device();
  await back.cut();
  t.match(await bob.next('presence', { user: ann.id, status: 'offline' }), { user: ann.id });
  t.same(presences(bob, ann).slice(before), ['offline']);
  await ann.device();
  t.match(await bob.next('presence', { user: ann.id, status: 'online' }), { user: ann.id });
});

t.test('who wants to appear offline is told to be, and is in no snapshot', async (t) => {
  const [group, ann, bob] = (await together('ann', 'bob')) as [string, Client, Client];
  ann.signal({ t: 'presence', status: 'offline' });
  t.match(await bob.next('presence', { user: ann.id, status: 'offline' }), { user: ann.id });
  const later = await bob.device();
  await later.fence();
  t.same(presences(later, ann), []);
  const { seq } = await ann.send(group, 'still here');
  await bob.next('message', { seq });
});

t.test('a silent client is let go when it answers no ping, and one that answers is not', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const deaf = await bob.device({ ws: { autoPong: false } as object });
  t.same(await deaf.ended(), { code: 4005, reason: 'no_pong' });
  t.ok(ann.isOpen && bob.isOpen);
});
