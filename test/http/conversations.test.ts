import t, { type Test } from 'tap';
import { server } from './kit.ts';

type Server = Awaited<ReturnType<typeof server>>;

/** Somebody registered, with a way to call as them. */
async function person(s: Server, name: string) {
  const { body } = await s.register(name);
  const call = (method: string, path: string, given?: unknown, headers: Record<string, string> = {}) =>
    s.call(method, path, { token: body.access, headers, ...(given === undefined ? {} : { body: given }) });
  return { id: body.user.id as string, call };
}

async function people(t: Test, ...names: string[]) {
  const s = await server(t);
  const all = await Promise.all(names.map((name) => person(s, name)));
  const [ann, bob, eve] = all;
  if (ann === undefined || bob === undefined || eve === undefined) throw new Error('three people at least');
  return { s, ann, bob, eve };
}

const key = (value: string) => ({ 'idempotency-key': value });

t.test('a group is made once per key, and its members see it', async (t) => {
  const { ann, bob, eve } = await people(t, 'ann', 'bob', 'eve');
  const body = { kind: 'group', title: 'Tea 💬', topic: 'Earl Grey', members: [bob.id, bob.id] };
  const made = await ann.call('POST', 'conversations', body, key('make-tea-1'));
  t.equal(made.status, 201);
  t.match(made.body, { kind: 'group', title: 'Tea 💬', topic: 'Earl Grey', role: 'owner', seq: 1, n: 0, read: 0 });
  const again = await ann.call('POST', 'conversations', { kind: 'group' }, key('make-tea-1'));
  t.equal(again.status, 200);
  t.same(again.body, made.body);
  const another = await ann.call('POST', 'conversations', body, key('make-tea-2'));
  t.equal(another.status, 201);
  t.not(another.body.conv, made.body.conv);
  const seen = await bob.call('GET', `conversations/${made.body.conv}`);
  t.match(seen, { status: 200, body: { ...made.body, role: 'member' } });
  t.match(await eve.call('GET', `conversations/${made.body.conv}`), { status: 404, body: { code: 'not_found' } });
});

t.test('who lists everybody lists themselves too: that is nobody more', async (t) => {
  const { ann, bob } = await people(t, 'ann', 'bob', 'eve');
  const made = await ann.call('POST', 'conversations', { kind: 'group', members: [ann.id, bob.id] });
  t.equal(made.status, 201);
  const { body } = await ann.call('GET', `conversations/${made.body.conv}/members`);
  t.same(
    body.items.map(({ user, role }: { user: string; role: string }) => [user, role]).sort(),
    [
      [ann.id, 'owner'],
      [bob.id, 'member'],
    ].sort(),
  );
  const direct = await ann.call('POST', 'conversations', { kind: 'direct', members: [bob.id, ann.id] });
  t.match(direct, { status: 201, body: { kind: 'direct', peer: bob.id } });
});

t.test('a repeated creation gets its first answer also when its maker has left, or it was deleted', async (t) => {
  const { ann, bob } = await people(t, 'ann', 'bob', 'eve');
  const body = { kind: 'group', title: 'Tea', members: [bob.id] };
  const make = (name: string) => ann.call('POST', 'conversations', body, key(name));
  const { body: left } = await make('make-and-leave');
  t.equal((await ann.call('PATCH', `conversations/${left.conv}/members/${bob.id}`, { role: 'owner' })).status, 200);
  t.equal((await ann.call('DELETE', `conversations/${left.conv}/members/${ann.id}`)).status, 204);
  t.match(await make('make-and-leave'), { status: 200, body: left });
  const { body: deleted } = await make('make-and-delete');
  t.equal((await ann.call('DELETE', `conversations/${deleted.conv}`)).status, 204);
  t.match(await make('make-and-delete'), { status: 200, body: deleted });
  t.equal((await ann.call('GET', `conversations/${deleted.conv}`)).status, 404, 'and nothing more of it');
});

t.test('a direct is one, whoever opens it and however often, from both sides at once', async (t) => {
  const { ann, bob, eve } = await people(t, 'ann', 'bob', 'eve');
  const open = (from: typeof ann, to: typeof ann) =>
    from.call('POST', 'conversations', { kind: 'direct', members: [to.id] });
  const both = await Promise.all([open(ann, bob), open(bob, ann), open(ann, bob), open(bob, ann)]);
  t.same(both.map(({ status }) => status).sort(), [200, 200, 200, 201]);
  t.equal(new Set(both.map(({ body }) => body.conv)).size, 1);
  t.match(both[0]?.body, { kind: 'direct', role: 'member', seq: 1, peer: bob.id });
  t.match(both[1]?.body, { peer: ann.id });
  t.not((await open(ann, eve)).body.conv, both[0]?.body.conv);
  const { conv } = both[0]?.body ?? {};
  t.match(await ann.call('DELETE', `conversations/${conv}/members/${ann.id}`), { status: 403 });
  t.match(await ann.call('POST', `conversations/${conv}/members`, { users: [eve.id] }), { status: 403 });
});

t.test('a creation of the wrong shape is refused, and so are members who do not exist', async (t) => {
  const { ann, bob } = await people(t, 'ann', 'bob', 'eve');
  const wrong: [number, object][] = [
    [400, { kind: 'channel' }],
    [400, {}],
    [400, { kind: 'direct' }],
    [400, { kind: 'direct', members: [ann.id] }],
    [400, { kind: 'direct', members: [bob.id], title: 'x' }],
    [400, { kind: 'group', public: true }],
    [400, { kind: 'group', seq: 7 }],
    [400, { kind: 'group', role: 'owner' }],
    [400, { kind: 'group', members: [{ $ne: '' }] }],
    [400, { kind: 'group', title: 'nul\u0000' }],
    [404, { kind: 'group', members: ['nobody'] }],
    [413, { kind: 'group', title: 'x'.repeat(201) }],
    [413, { kind: 'group', members: Array.from({ length: 101 }, (_, index) => `u${index}`) }],
  ];
  for (const [status, body] of wrong) {
    t.equal((await ann.call('POST', 'conversations', body)).status, status, JSON.stringify(body).slice(0, 80));
  }
});

t.test('the list of conversations is latest active first, page by page, with the newest message', async (t) => {
  const { ann, bob, eve } = await people(t, 'ann', 'bob', 'eve');
  const convs: string[] = [];
  for (const title of ['one', 'two', 'three']) {
    const { body } = await ann.call('POST', 'conversations', { kind: 'group', title, members: [bob.id] });
    convs.push(body.conv);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const sent = await bob.call('POST', `conversations/${convs[0]}/messages`, { text: 'hello' });
  const list = await ann.call('GET', 'conversations');
  t.equal(list.status, 200);
  t.same(new Set(list.body.items.map(({ conv }: { conv: string }) => conv)), new Set(convs));
  const first = list.body.items.find(({ conv }: { conv: string }) => conv === convs[0]);
  t.match(first, {
    n: 1,
    read: 0,
    role: 'owner',
    last: { is: 'message', text: 'hello', seq: sent.body.seq, from: bob.id },
  });
  t.match(
    (await bob.call('GET', 'conversations')).body.items.find(({ n }: { n: number }) => n === 1),
    { read: 1 },
  );
  const pages: string[] = [];
  let cursor = '';
  do {
    const { body } = await ann.call('GET', `conversations?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`);
    t.equal(body.items.length, 1);
    pages.push(body.items[0].conv);
    cursor = body.cursor ?? '';
  } while (cursor !== '');
  t.same(
    pages,
    list.body.items.map(({ conv }: { conv: string }) => conv),
  );
  t.same((await eve.call('GET', 'conversations')).body, { items: [] });
  t.match(await ann.call('GET', 'conversations?cursor=nonsense'), { status: 400, body: { field: 'cursor' } });
});

t.test('titles are for moderators and owners to change, closing is for owners', async (t) => {
  const { ann, bob } = await people(t, 'ann', 'bob', 'eve');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'group', title: 'Tea', members: [bob.id] });
  const path = `conversations/${made.conv}`;
  const changed = await ann.call('PATCH', path, { title: 'Coffee' });
  t.match(changed, { status: 200, body: { title: 'Coffee', seq: 2, role: 'owner' } });
  t.match(
    await ann.call('PATCH', path, { title: 'Coffee' }),
    { status: 200, body: { seq: 2 } },
    'no effect, no number',
  );
  t.match(await bob.call('PATCH', path, { title: 'Beer' }), { status: 403, body: { code: 'forbidden' } });
  t.match(await ann.call('PATCH', path, { deleted: true }), { status: 400, body: { field: 'deleted' } });
  t.match(await ann.call('PATCH', path, { public: true }), { status: 400 });
  t.match(await bob.call('DELETE', path), { status: 403 });
  t.equal((await ann.call('DELETE', path, undefined, key('close-the-tea'))).status, 204);
  t.match(await ann.call('GET', path), { status: 404 });
  t.match(await bob.call('GET', `${path}/messages`), { status: 404 });
  t.same((await bob.call('GET', 'conversations')).body.items, []);
  t.equal((await ann.call('DELETE', path, undefined, key('close-the-tea'))).status, 204, 'a repeat by its key');
  t.equal((await ann.call('DELETE', path)).status, 404);
});

t.test('members are added, promoted, removed, and leave', async (t) => {
  const { ann, bob, eve } = await people(t, 'ann', 'bob', 'eve');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'group', members: [] });
  const path = `conversations/${made.conv}/members`;
  const added = await ann.call('POST', path, { users: [bob.id, ann.id, bob.id] });
  t.match(added, {
    status: 200,
    body: {
      items: [
        { user: bob.id, role: 'member' },
        { user: ann.id, role: 'owner' },
      ],
    },
  });
  t.match(await ann.call('POST', path, { users: [bob.id] }), { status: 200 }, 'those already in are left as they are');
  t.match(await ann.call('POST', path, { users: ['nobody'] }), { status: 404, body: { field: 'users' } });
  t.match(await ann.call('POST', path, { users: [] }), { status: 400 });
  t.match(await eve.call('POST', path, { users: [eve.id] }), { status: 404 });
  t.match(await bob.call('PATCH', `${path}/${bob.id}`, { role: 'owner' }), { status: 403 });
  t.match(await ann.call('PATCH', `${path}/${bob.id}`, { role: 'king' }), { status: 400 });
  t.same((await ann.call('PATCH', `${path}/${bob.id}`, { role: 'moderator' })).body, {
    user: bob.id,
    role: 'moderator',
  });
  t.match(await ann.call('PATCH', `${path}/${ann.id}`, { role: 'member' }), {
    status: 409,
    body: { code: 'conflict' },
  });
  t.match(await ann.call('DELETE', `${path}/${ann.id}`), { status: 409 }, 'the last owner stays');
  await bob.call('POST', path, { users: [eve.id] });
  const all = (await ann.call('GET', path)).body.items;
  t.same(new Set(all.map(({ user }: { user: string }) => user)), new Set([ann.id, bob.id, eve.id]));
  const page = await ann.call('GET', `${path}?limit=2`);
  const rest = await ann.call('GET', `${path}?limit=2&cursor=${page.body.cursor}`);
  t.same([...page.body.items, ...rest.body.items], all);
  t.equal((await bob.call('DELETE', `${path}/${eve.id}`)).status, 204);
  t.match(await eve.call('GET', path), { status: 404 });
  t.equal((await bob.call('DELETE', `${path}/${bob.id}`)).status, 204, 'leaving');
  t.same((await ann.call('GET', path)).body.items, [{ user: ann.id, role: 'owner' }]);
});

t.test('an invited user sees what the room is called, and no more', async (t) => {
  const { ann, bob } = await people(t, 'ann', 'bob', 'eve');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'room', title: 'Cellar', topic: 'Wine' });
  t.match(made, { public: false });
  await ann.call('POST', `conversations/${made.conv}/messages`, { text: 'secret' });
  const invited = await ann.call('POST', `conversations/${made.conv}/members`, { users: [bob.id] });
  t.same(invited.body.items, [{ user: bob.id, role: 'invited' }]);
  t.match(await bob.call('GET', `conversations/${made.conv}`), {
    status: 200,
    body: { title: 'Cellar', role: 'invited' },
  });
  const [entry] = (await bob.call('GET', 'conversations')).body.items;
  t.match(entry, { conv: made.conv, role: 'invited' });
  t.notOk('last' in entry);
  t.match(await bob.call('GET', `conversations/${made.conv}/messages`), { status: 404 });
  t.match(await bob.call('GET', `conversations/${made.conv}/members`), { status: 404 });
  t.match(await bob.call('POST', `conversations/${made.conv}/messages`, { text: 'x' }), { status: 404 });
});

t.test('public rooms are found at once by title, page by page; inside is for members', async (t) => {
  const { ann, bob } = await people(t, 'ann', 'bob', 'eve');
  const make = async (title: string, isPublic: boolean) =>
    (await ann.call('POST', 'conversations', { kind: 'room', title, public: isPublic })).body.conv as string;
  const convs = [await make('Garden', true), await make('gardening', true), await make('Kitchen', true)];
  await make('Secret garden', false);
  const found = await bob.call('GET', 'rooms?q=GARDEN');
  t.same(found.body, {
    items: [
      { conv: convs[0], title: 'Garden', members: 1 },
      { conv: convs[1], title: 'gardening', members: 1 },
    ],
  });
  const first = await bob.call('GET', 'rooms?limit=2');
  const second = await bob.call('GET', `rooms?limit=2&cursor=${first.body.cursor}`);
  t.same(
    [...first.body.items, ...second.body.items].map(({ conv }) => conv),
    convs,
  );
  t.match(await bob.call('GET', `conversations/${convs[0]}`), { status: 403, body: { code: 'forbidden' } });
  t.match(await bob.call('GET', `conversations/${convs[0]}/messages`), { status: 403 });
  await ann.call('PATCH', `conversations/${convs[0]}`, { public: false });
  t.same((await bob.call('GET', 'rooms?q=Garden')).body.items.length, 1, 'a room that closed its door is gone at once');
  t.match(await bob.call('GET', `conversations/${convs[0]}`), { status: 404 });
});

t.test('a message is written once per key, and every read after it has it', async (t) => {
  const { ann, bob, eve } = await people(t, 'ann', 'bob', 'eve');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'group', members: [bob.id] });
  const path = `conversations/${made.conv}/messages`;
  const first = await ann.call('POST', path, { text: 'hi @bob' }, key('message-1'));
  t.match(first, { status: 201, body: { conv: made.conv, seq: 2, n: 1 } });
  t.notOk('dup' in first.body);
  const again = await ann.call('POST', path, { text: 'another text' }, key('message-1'));
  t.match(again, { status: 200, body: { ...first.body, dup: true } });
  t.match(await bob.call('POST', path, { text: 'mine', reply: 2 }, key('message-1')), { status: 201, body: { n: 2 } });
  t.match(await bob.call('POST', path, { text: 'no key' }), { status: 201, body: { n: 3 } });
  const { items, more } = (await bob.call('GET', path)).body;
  t.equal(more, false);
  t.match(items, [
    { is: 'message', seq: 2, n: 1, text: 'hi @bob', from: ann.id, key: 'message-1', mentions: [bob.id] },
    { text: 'mine', reply: 2 },
    { text: 'no key' },
  ]);
  t.match(await eve.call('POST', path, { text: 'x' }), { status: 404 });
  t.match(await eve.call('GET', path), { status: 404 });
});

t.test('fifty sends of one key at once are one message', async (t) => {
  const { ann, bob } = await people(t, 'ann', 'bob', 'eve');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'group', members: [bob.id] });
  const path = `conversations/${made.conv}/messages`;
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, index) => ann.call('POST', path, { text: `try ${index}` }, key('the-same-key'))),
  );
  t.equal(replies.filter(({ status }) => status === 201).length, 1);
  t.same(new Set(replies.map(({ body }) => body.seq)), new Set([2]));
  t.equal((await ann.call('GET', path)).body.items.length, 1);
});

t.test('messages of the wrong shape are refused', async (t) => {
  const { ann } = await people(t, 'ann', 'bob', 'eve');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'group' });
  const path = `conversations/${made.conv}/messages`;
  const wrong: [number, object][] = [
    [400, { text: '' }],
    [400, { text: 7 }],
    [400, {}],
    [400, { text: 'nul\u0000' }],
    [400, { text: '\ud800' }],
    [400, { text: 'x', reply: -1 }],
    [400, { text: 'x', reply: 1.5 }],
    [400, { text: 'x', reply: '1' }],
    [400, { text: 'x', from: 'me' }],
    [400, { text: 'x', seq: 9 }],
    [400, { text: 'x', id: 'message-1' }],
    [400, { text: 'x', conv: made.conv }],
    [413, { text: 'x'.repeat(4_001) }],
  ];
  for (const [status, body] of wrong) {
    t.equal((await ann.call('POST', path, body)).status, status, JSON.stringify(body).slice(0, 60));
  }
  t.equal((await ann.call('POST', path, { text: '💬'.repeat(4_000) })).status, 201);
  t.match(await ann.call('POST', 'conversations/nothing/messages', { text: 'x' }), { status: 404 });
});

t.test('history pages before, after and around, and never clamps', async (t) => {
  const { ann } = await people(t, 'ann', 'bob', 'eve');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'group' });
  const path = `conversations/${made.conv}/messages`;
  for (let n = 1; n <= 7; n++) await ann.call('POST', path, { text: `message ${n}` });
  const get = async (query: string) => (await ann.call('GET', `${path}?${query}`)).body;
  const numbers = ({ items }: { items: { n: number }[] }) => items.map(({ n }) => n);
  const newest = await get('limit=3');
  t.same([numbers(newest), newest.more], [[5, 6, 7], true]);
  const older = await get(`before=${newest.items[0].seq}&limit=10`);
  t.same([numbers(older), older.more], [[1, 2, 3, 4], false]);
  const newer = await get(`after=${older.items[1].seq}&limit=2`);
  t.same([numbers(newer), newer.more], [[3, 4], true]);
  const around = await get(`around=${newer.items[0].seq}&limit=3`);
  t.match(around, { moreBefore: true, moreAfter: true, more: true });
  t.same(numbers(around), [2, 3, 4]);
  for (const query of [
    'limit=0',
    'limit=201',
    'limit=-1',
    'limit=1.5',
    'before=0',
    'after=-1',
    'before=1&after=2',
    'x=1',
  ]) {
    t.match(await ann.call('GET', `${path}?${query}`), { status: 400, body: { code: 'bad_frame' } }, query);
  }
});

t.test('messages are changed by their sender and deleted by sender or moderator', async (t) => {
  const { ann, bob } = await people(t, 'ann', 'bob', 'eve');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'group', members: [bob.id] });
  const path = `conversations/${made.conv}/messages`;
  const { body: sent } = await bob.call('POST', path, { text: 'frist' });
  const message = `${path}/${sent.seq}`;
  t.match(await ann.call('PATCH', message, { text: 'mine now' }), { status: 403 });
  t.match(await bob.call('PATCH', message, { text: 'first' }, key('edit-it-1')), { status: 200, body: { seq: 3 } });
  t.match(await bob.call('PATCH', message, { text: 'second' }, key('edit-it-1')), {
    status: 200,
    body: { seq: 3, dup: true },
  });
  t.same((await bob.call('PATCH', message, { text: 'first' })).body, { conv: made.conv }, 'no effect, no number');
  t.match(await bob.call('PATCH', message, { text: '' }), { status: 400 });
  t.match(await bob.call('PATCH', `${path}/1`, { text: 'x' }), { status: 404 });
  t.match(await bob.call('PATCH', `${path}/99`, { text: 'x' }), { status: 404 });
  t.match(await bob.call('PATCH', `${path}/x`, { text: 'x' }), { status: 400 });
  t.match((await ann.call('GET', path)).body.items[0], { text: 'first', rev: 3 });
  t.match(await bob.call('DELETE', `${message}?for=nobody`), { status: 400, body: { field: 'for' } });
  t.match(await ann.call('DELETE', `${message}?for=all`), { status: 200, body: { seq: 4 } });
  t.match(await bob.call('PATCH', message, { text: 'again' }), { status: 410, body: { code: 'gone' } });
  t.match((await bob.call('GET', path)).body.items[0], { text: '', deleted: true });
});

t.test('while the log cannot be asked reads say so, and writes are not taken', async (t) => {
  const { s, ann } = await people(t, 'ann', 'bob', 'eve');
  const { ChatError } = await import('../../src/errors.ts');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'room', title: 'x', public: true });
  const path = `conversations/${made.conv}`;
  await ann.call('POST', `${path}/messages`, { text: 'x' });
  const unavailable = async () => {
    throw new ChatError('unavailable', { afterMs: 1_000 });
  };
  s.log.readIndex = unavailable;
  s.log.append = unavailable;
  for (const read of [path, `${path}/messages`, `${path}/members`, 'conversations', 'rooms']) {
    t.match(await ann.call('GET', read), { status: 200, body: { stale: true } }, read);
  }
  const refused = await ann.call('POST', `${path}/messages`, { text: 'x' });
  t.match(refused, { status: 503, body: { code: 'unavailable' } });
  t.equal(refused.headers.get('retry-after'), '1');
});

t.test("on every route somebody else's conversation answers as one that does not exist", async (t) => {
  const { s, ann, bob, eve } = await people(t, 'ann', 'bob', 'eve');
  const { body: made } = await ann.call('POST', 'conversations', { kind: 'group', members: [bob.id] });
  await ann.call('POST', `conversations/${made.conv}/messages`, { text: 'secret' });
  const { body: api } = await s.call('GET', '/docs/json');
  const bodies: Record<string, object> = {
    'patch /conversations/{conv}': { title: 'mine' },
    'post /conversations/{conv}/members': { users: [eve.id] },
    'patch /conversations/{conv}/members/{user}': { role: 'owner' },
    'post /conversations/{conv}/messages': { text: 'mine' },
    'patch /conversations/{conv}/messages/{seq}': { text: 'mine' },
  };
  let tried = 0;
  for (const [path, methods] of Object.entries<object>(api.paths)) {
    if (!path.includes('{conv}')) continue;
    for (const method of Object.keys(methods)) {
      const name = `${method} ${path.replace('/api/v1', '')}`;
      const ask = async (conv: string, user: string) => {
        const url = path.replace('{conv}', conv).replace('{user}', user).replace('{seq}', '2');
        const { status, body } = await eve.call(method.toUpperCase(), url, bodies[name]);
        return { status, ...body, requestId: '' };
      };
      const nothing = await ask('nothing', bob.id);
      t.equal(nothing.status, 404, name);
      t.same(await ask(made.conv, bob.id), nothing, name);
      t.same(await ask(made.conv, eve.id), nothing, `${name}, of oneself`);
      tried++;
    }
  }
  t.equal(tried, 11);
  t.match((await ann.call('GET', `conversations/${made.conv}`)).body, { seq: 2, n: 1 }, 'and nothing came of it');
});
