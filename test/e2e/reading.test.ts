// `history` and `sync`: pages, limits, what is refused, and that what they give adds up.
import t from 'tap';
import { type Client, Replica, server } from '../kit/index.ts';

const s = await server(t);

async function groupWith(ann: Client, count: number, text: (index: number) => string): Promise<string> {
  const group = await ann.group([]);
  for (let index = 1; index <= count; index++) await ann.send(group, text(index));
  return group;
}

t.test('history gives pages around, before and after a message, ascending', async (t) => {
  const ann = await s.client('ann');
  const group = await groupWith(ann, 20, String);
  const page = async (query: object) => {
    const { items, more, moreBefore, moreAfter } = await ann.history(group, query);
    return { texts: items.map(({ text }) => text).join(' '), more, moreBefore, moreAfter };
  };
  const around = (texts: string, moreBefore: boolean, moreAfter: boolean) => ({
    texts,
    more: undefined,
    moreBefore,
    moreAfter,
  });
  const one = (texts: string, more: boolean) => ({ texts, more, moreBefore: undefined, moreAfter: undefined });
  t.same(await page({ limit: 3 }), one('18 19 20', true), 'the newest');
  t.same(await page({ limit: 20 }), one(Array.from({ length: 20 }, (_, index) => index + 1).join(' '), false));
  t.same(await page({ before: 5, limit: 2 }), one('2 3', true), 'message 4 has seq 5');
  t.same(await page({ before: 3, limit: 2 }), one('1', false));
  t.same(await page({ before: 2 }), one('', false));
  t.same(await page({ after: 19, limit: 2 }), one('19 20', false));
  t.same(await page({ after: 0, limit: 2 }), one('1 2', true));
  t.same(await page({ after: 21 }), one('', false));
  t.same(await page({ around: 11, limit: 3 }), around('9 10 11', true, true));
  t.same(await page({ around: 2, limit: 4 }), around('1 2 3', false, true));
  t.same(await page({ around: 21, limit: 3 }), around('19 20', true, false));
  t.same(await page({ around: 11, limit: 1 }), around('10', true, true));
});

t.test('an item of history has the fields of the page, and no others', async (t) => {
  const ann = await s.client('ann');
  const group = await ann.group([]);
  const one = await ann.send(group, 'one', { id: 'key-of-one' });
  const two = await ann.send(group, 'two', { id: 'key-of-two', reply: one.seq });
  const edited = await ann.edit(group, one.seq, 'uno');
  t.same(await ann.history(group, { id: 'the-request' }), {
    t: 'history',
    id: 'the-request',
    conv: group,
    items: [
      {
        is: 'message',
        seq: 2,
        n: 1,
        rev: 4,
        from: ann.id,
        at: one.at,
        key: 'key-of-one',
        text: 'uno',
        edited: edited.at,
      },
      { is: 'message', seq: 3, n: 2, rev: 3, from: ann.id, at: two.at, key: 'key-of-two', text: 'two', reply: 2 },
    ],
    more: false,
  });
});

t.test('sync by small pages adds up to the history, with members and titles', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const group = await ann.group([bob]);
  for (let index = 0; index < 10; index++) {
    const { seq } = await ann.send(group, `text ${index}`);
    if (index % 3 === 0) await ann.edit(group, seq - (index > 0 ? 1 : 0), 'edited').catch(() => ({}));
    if (index === 4) await ann.add(group, carl);
    if (index === 6) await ann.kick(group, bob);
    if (index === 7) await ann.http('PATCH', `conversations/${group}`, { title: 'Title' });
    if (index === 8) await ann.remove(group, seq);
  }
  const history = await ann.allMessages(group);
  const members = await ann.members(group);
  for (const limit of [1, 2, 3, 7, 500]) {
    const replica = new Replica();
    const pages = await ann.pull(group, 0, limit);
    for (const page of pages) replica.pull(page);
    t.same(replica.messages, history, `limit ${limit}`);
    t.same(replica.roles, members);
    t.ok(
      pages.every(({ items }) => items.length <= Math.max(limit, 3)),
      'more only where one rev has them',
    );
    const { head } = pages.at(-1) ?? { head: 0 };
    t.equal(replica.cursor, head);
  }
  const [first] = await ann.pull(group, 0, 1);
  t.match(first, { from: 0, items: [{ is: 'member', user: ann.id, role: 'owner', rev: 1 }] });
});

t.test('items of one rev are never split, even past the limit', async (t) => {
  const [ann, ...others] = await s.clients('ann', 'b1', 'b2', 'b3', 'b4', 'b5');
  const group = await ann.group(others, { title: 'Six' });
  const { items, to, more } = await ann.sync(group, 0, 1);
  t.equal(to, 1);
  t.equal(more, false);
  t.same(new Set(items.map((item) => item.is)), new Set(['conv', 'member']));
  t.equal(items.length, 7);
});

t.test('a page leaves out what changed again after it: that comes, once, where it changed last', async (t) => {
  const ann = await s.client('ann');
  const group = await groupWith(ann, 4, String);
  const { seq: edited = 0 } = await ann.edit(group, 2, 'one');
  const pages = await ann.pull(group, 1, 2);
  t.same(
    pages.map(({ items, to }) => ({ to, items: items.map((item) => (item.is === 'message' ? item.text : item.is)) })),
    [
      { to: 4, items: ['2', '3'] },
      { to: edited, items: ['4', 'one'] },
    ],
  );
});

t.test('an answer ends after 128 KiB, with at least one item, and says that there is more', async (t) => {
  const ann = await s.client('ann');
  const long = '\u{1f4a7}'.repeat(4_000);
  const group = await groupWith(ann, 20, () => long);
  for (const query of [{}, { before: 15 }, { after: 0 }, { around: 10 }]) {
    const answer = await ann.history(group, { limit: 200, ...query });
    const bytes = Buffer.byteLength(JSON.stringify(answer.items));
    t.ok(bytes > 64_000 && bytes <= 131_072, `${bytes} bytes`);
    t.ok(answer.more === true || answer.moreBefore === true);
  }
  t.equal((await ann.allMessages(group)).length, 20);
  const [page, ...rest] = await ann.pull(group, 0, 500);
  const bytes = Buffer.byteLength(JSON.stringify(page?.items));
  t.ok(bytes > 64_000 && bytes <= 131_072, `${bytes} bytes`);
  t.ok(rest.length > 0);
});

t.test('limits and numbers out of range are refused, never clamped', async (t) => {
  const ann = await s.client('ann');
  const group = await groupWith(ann, 3, String);
  const bad: [string, object][] = [
    ['limit', { t: 'history', limit: 0 }],
    ['limit', { t: 'history', limit: 201 }],
    ['limit', { t: 'history', limit: 1.5 }],
    ['limit', { t: 'history', limit: '5' }],
    ['before', { t: 'history', before: 0 }],
    ['before', { t: 'history', before: -1 }],
    ['after', { t: 'history', after: -1 }],
    ['around', { t: 'history', around: 1.5 }],
    ['after', { t: 'sync' }],
  ];
  for (const [field, frame] of bad) {
    const device = await ann.device();
    t.match(
      await device.refused({ t: '', conv: group, ...frame }),
      { code: 'bad_frame', field },
      JSON.stringify(frame),
    );
    await device.close();
  }
  const device = await ann.device();
  for (const frame of [
    { t: 'sync', after: 0, limit: 501 },
    { t: 'sync', after: 0, limit: 0 },
    { t: 'sync', after: -1 },
    { t: 'sync', after: 1e300 },
    { t: 'history', before: 3, after: 1 },
    { t: 'read', n: -1 },
    { t: 'history', limit: 5, seq: 3 },
  ]) {
    t.match(await device.refused({ conv: group, ...frame }), { code: 'bad_frame' }, JSON.stringify(frame));
  }
});

t.test('a cursor above the head is reset, and the answer is as for 0', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  const { seq } = await ann.send(group, 'hi');
  await bob.next('message', { seq });
  const answer = await bob.sync(group, 1_000);
  t.match(await bob.next('reset'), { conv: group, seq, epoch: bob.ready.epoch });
  t.match(answer, { from: 0, to: seq, head: seq, more: false });
  t.same(answer.items, (await bob.sync(group, 0)).items);
  await ann.send(group, 'pushed on');
  t.match(await bob.next('message'), { text: 'pushed on' });
});

t.test('four reads may be unanswered on a connection, a fifth is refused', async (t) => {
  const ann = await s.client('ann');
  const group = await groupWith(ann, 50, (index) => `text ${index}`);
  // In one write, so that all arrive together.
  ann.socket.cork();
  const asked = Array.from({ length: 12 }, (_, index) =>
    ann.request(index % 2 === 0 ? { t: 'sync', conv: group, after: 0 } : { t: 'history', conv: group }),
  );
  ann.socket.uncork();
  const answers = await Promise.all(asked);
  const refused = answers.filter((answer) => answer.t === 'error');
  t.equal(refused.length, 8);
  for (const error of refused) t.match(error, { code: 'rate_limited', retry: true, after: Number });
  t.equal((await ann.history(group)).items.length, 50, 'then it goes on');
});

t.test('HTTP gives the same pages', async (t) => {
  const ann = await s.client('ann');
  const group = await groupWith(ann, 10, String);
  for (const query of ['', '?limit=3', '?before=5', '?after=9', '?after=2&limit=2']) {
    const { body } = await ann.http('GET', `conversations/${group}/messages${query}`);
    const parameters = Object.fromEntries(
      [...new URLSearchParams(query)].map(([name, value]) => [name, Number(value)]),
    );
    const { items, more } = await ann.history(group, parameters);
    t.same({ items: body.items, more: body.more }, { items, more }, query);
  }
  const list = await ann.http('GET', 'conversations');
  t.match(list.body.items, [{ conv: group, seq: 11, n: 10, read: 10, last: { text: '10' } }]);
});
