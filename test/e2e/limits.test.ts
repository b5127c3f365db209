// How much is taken from whom: the token bucket, floods, faults, sizes and numbers of connections.
import t from 'tap';
import { type Client, server } from '../kit/index.ts';

const RATE = { CHAT_MESSAGE_RATE: '5', CHAT_MESSAGE_BURST: '10' };

const s = await server(t);
const limited = await server(t, { env: RATE });

/** Answers of so many requests that are sent at once. */
async function outcomes(client: Client, count: number, frame: { t: string; conv: string }) {
  const answers = await Promise.all(Array.from({ length: count }, () => client.request({ ...frame, text: 'x' })));
  return { answers, ok: answers.filter((answer) => answer.t === 'ok').length };
}

t.test('who asks faster than the bucket fills is told when to come back', async (t) => {
  const [ann, bob] = await limited.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const { answers, ok } = await outcomes(ann, 30, { t: 'message', conv: group });
  t.ok(ok >= 8 && ok <= 15, `${ok} of 30 with a burst of 10`);
  const refused = answers.filter((answer) => answer.t === 'error');
  for (const error of refused) t.match(error, { code: 'rate_limited', retry: true, after: Number });
  t.ok(refused.every(({ after = 0 }) => after > 0 && after <= 2_000));
  t.ok(ann.isOpen);
  await bob.send(group, 'the bucket is each user’s own');
  t.equal((await bob.history(group)).items.length, ok + 1, 'what was refused was not written');
});

t.test('all connections of a user share one bucket', async (t) => {
  const ann = await limited.client('ann');
  const group = await ann.group([]);
  const devices = [ann, await ann.device(), await ann.device()];
  const sent = await Promise.all(devices.map((device) => outcomes(device, 10, { t: 'message', conv: group })));
  const ok = sent.reduce((sum, outcome) => sum + outcome.ok, 0);
  t.ok(ok <= 15, `${ok} of 30`);
});

t.test('a flood is closed, and the others notice nothing', async (t) => {
  const [ann, bob] = await limited.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  // The first ones may be answered before the end.
  for (let count = 0; count < 200; count++) ann.send(group, 'x').catch(() => undefined);
  t.match(await ann.ended(), { code: 4004 });
  await bob.send(group, 'still here');
});

t.test('the tenth faulty frame closes', async (t) => {
  const faults = [
    'not JSON',
    '{"t":"nonsense","id":"12345678"}',
    '{"t":"message","id":"12345678"}',
    '[]',
    '{}',
    '{"t":5}',
    'null',
    '{"t":"ping","id":"12345678","extra":1}',
    '{"t":"typing","conv":"c"}',
    '{"t":"ping","id":"short"}',
  ];
  const ann = await s.client('ann');
  for (const [index, fault] of faults.entries()) {
    ann.ws.send(fault);
    t.match((await ann.nextError()).code, /^(?:bad_json|bad_frame|unknown_type)$/, fault);
    if (index === 8) await ann.fence();
  }
  t.match(await ann.ended(), { code: 4501 });
});

t.test('nine faulty frames are forgiven, with all else around them', async (t) => {
  const ann = await s.client('ann');
  const group = await ann.group([]);
  for (let count = 0; count < 9; count++) {
    t.match(await ann.refused({ t: 'message', conv: group, text: '' }), { code: 'bad_frame', field: 'text' });
    await ann.send(group, 'fine');
  }
  t.match(await ann.refused({ t: 'message', conv: group, text: 'x'.repeat(4_001) }), {
    code: 'too_large',
    field: 'text',
  });
  t.ok(ann.isOpen);
});

t.test('text of exactly the limit is taken, counted in code points', async (t) => {
  const ann = await s.client('ann');
  const group = await ann.group([]);
  for (const text of ['x'.repeat(4_000), '\u{1f4a7}'.repeat(4_000), '\u0301'.repeat(4_000), ' \n ', '\u202e']) {
    const { seq } = await ann.send(group, text);
    t.equal((await ann.next('message', { seq })).text, text);
    t.equal((await ann.history(group, { around: seq, limit: 1 })).items[0]?.text, text);
  }
  for (const text of ['x'.repeat(4_001), '\u{1f4a7}'.repeat(4_001)]) {
    t.match(await ann.refused({ t: 'message', conv: group, text }), { code: 'too_large', field: 'text' });
  }
  for (const text of ['', '\u0000', 'a\u0000b']) {
    t.match(await ann.refused({ t: 'message', conv: group, text }), { code: 'bad_frame', field: 'text' });
  }
  ann.ws.send(`{"t":"message","id":"lone-surrogate","conv":"${group}","text":"\\ud83d"}`);
  t.match(await ann.nextError(), { code: 'bad_frame', field: 'text', id: 'lone-surrogate' });
});

t.test('a frame of exactly the limit is read, one more byte closes with 1009', async (t) => {
  const ann = await s.client('ann');
  const frame = (bytes: number) => {
    const empty = JSON.stringify({ t: 'ping', id: 'exactly-so-long', pad: '' });
    return empty.replace('""', `"${'x'.repeat(bytes - empty.length)}"`);
  };
  ann.ws.send(frame(65_536));
  t.match(await ann.nextError(), { code: 'bad_frame', id: 'exactly-so-long', field: 'pad' });
  ann.ws.send(frame(65_537));
  t.match(await ann.ended(), { code: 1009 });
});

t.test('a user has so many connections, and an address', async (t) => {
  const s = await server(t, { env: { CHAT_MAX_CONNECTIONS_PER_USER: '3', CHAT_MAX_CONNECTIONS_PER_ADDRESS: '6' } });
  const ann = await s.client('ann');
  const [second] = [await ann.device(), await ann.device()];
  const fourth = await s.connection(ann.account).opened();
  await t.rejects(fourth.request({ t: 'hello', token: ann.account.access }));
  t.same(await fourth.ended(), { code: 4504, reason: 'too_many_connections' });
  await second.close();
  await ann.device();
  const bob = await s.account('bob');
  const rest = [await s.connection(bob).opened(), await s.connection(bob).opened(), await s.connection(bob).opened()];
  const seventh = s.connection(bob);
  t.same(await seventh.ended(), { code: 4504, reason: 'too_many_connections' });
  t.ok(rest.every(({ isOpen }) => isOpen));
});

t.test('HTTP refuses with 429 and says when to come back', async (t) => {
  const s = await server(t, { env: { CHAT_HTTP_RATE: '20', CHAT_AUTH_RATE: '3' } });
  const ann = await s.account('ann');
  const asked = await Promise.all(
    Array.from({ length: 30 }, () => s.http('GET', 'users/me', undefined, { token: ann.access })),
  );
  const refused = asked.filter(({ status }) => status === 429);
  t.ok(refused.length >= 5 && refused.length <= 15, `${refused.length} of 30`);
  for (const { headers, body } of refused) {
    t.match(body, { code: 'rate_limited', status: 429 });
    t.ok(Number(headers.get('retry-after')) > 0);
  }
  const logins = await Promise.all(
    Array.from({ length: 5 }, () => s.http('POST', 'auth/login', { login: 'ann', password: 'x' })),
  );
  t.ok(logins.filter(({ status }) => status === 429).length >= 3);
});

t.test('one message over HTTP costs a token of the same bucket', async (t) => {
  const ann = await limited.client('ann');
  const group = await ann.group([]);
  const posts = await Promise.all(
    Array.from({ length: 20 }, () => ann.http('POST', `conversations/${group}/messages`, { text: 'x' })),
  );
  const refused = posts.filter(({ status }) => status === 429);
  t.ok(refused.length >= 5);
  for (const { body, headers } of refused) {
    t.match(body, { code: 'rate_limited' });
    t.ok(Number(headers.get('retry-after')) >= 1);
    t.same([headers.get('ratelimit-limit'), headers.get('ratelimit-remaining')], [RATE.CHAT_MESSAGE_BURST, '0']);
    t.equal(headers.get('ratelimit-reset'), headers.get('retry-after'), 'of the bucket, not of requests a minute');
  }
});
