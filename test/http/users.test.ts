import t from 'tap';
import { server } from './kit.ts';

t.test("one's own account shows the address, others' profiles do not", async (t) => {
  const s = await server(t);
  const { body: ann } = await s.register('ann');
  const { body: bob } = await s.register('bob');
  const me = await s.call('GET', 'users/me', { token: ann.access });
  t.match(me.body, { ...ann.user, email: 'ann@example.org' });
  t.same(Object.keys(me.body).sort(), ['createdAt', 'displayName', 'email', 'id', 'name']);
  const other = await s.call('GET', `users/${bob.user.id}`, { token: ann.access });
  t.same(other.body, bob.user);
  t.match(await s.call('GET', 'users/nobody', { token: ann.access }), { status: 404, body: { code: 'not_found' } });
});

t.test('a change of the account changes the given fields only', async (t) => {
  const s = await server(t);
  const { body: ann } = await s.register('ann');
  await s.register('bob');
  const patch = (body: unknown) => s.call('PATCH', 'users/me', { token: ann.access, body });
  t.match((await patch({ displayName: 'Änn 💬' })).body, {
    name: 'ann',
    displayName: 'Änn 💬',
    email: 'ann@example.org',
  });
  t.match((await patch({ email: 'new@example.org' })).body, { displayName: 'Änn 💬', email: 'new@example.org' });
  t.match(await patch({}), { status: 200 });
  t.match(await patch({ email: 'BOB@example.org' }), { status: 409, body: { code: 'conflict', field: 'email' } });
  for (const field of ['name', 'id', 'password', 'createdAt', 'role']) {
    t.match(await patch({ [field]: 'x' }), { status: 400, body: { code: 'bad_frame', field } });
  }
});

t.test('users are found by prefix page by page, and by ids', async (t) => {
  const s = await server(t);
  const { body: ann } = await s.register('ann');
  const { body: anna } = await s.register('anna');
  await s.register('bob', { displayName: 'Anton' });
  await s.register('zoe');
  const get = (query: string) => s.call('GET', `users?${query}`, { token: ann.access });
  const names = (reply: Awaited<ReturnType<typeof get>>) => reply.body.items.map((user: { name: string }) => user.name);
  t.same(names(await get('q=AN')), ['ann', 'anna', 'bob']);
  const first = await get('q=an&limit=2');
  t.same(names(first), ['ann', 'anna']);
  const second = await get(`q=an&limit=2&cursor=${first.body.cursor}`);
  t.same(names(second), ['bob']);
  t.notOk('cursor' in second.body);
  t.same(names(await get(`ids=${anna.user.id},nobody,${ann.user.id}`)).sort(), ['ann', 'anna']);
  t.same((await get('q=an')).body.items[0], ann.user, 'no address in a list');
  for (const wrong of [
    '',
    'q=',
    'q=a&ids=b',
    'ids=',
    'ids=a,,b',
    'q=a&limit=0',
    'q=a&limit=101',
    'q=a&limit=x',
    'q=a&limit=0x5',
  ]) {
    t.match(await get(wrong), { status: 400, body: { code: 'bad_frame' } }, wrong);
  }
  t.match(await get(`ids=${Array.from({ length: 101 }, (_, index) => `u${index}`)}`), { status: 413 });
});
