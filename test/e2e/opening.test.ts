// Section 2 of the protocol, up to `ready`: who speaks first, what each side says, and who is not let in.
import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import { server } from '../kit/index.ts';

const s = await server(t);

t.test('a connection opens as the protocol page says, field by field', async (t) => {
  const limited = await server(t, { env: { CHAT_MESSAGE_RATE: '10', CHAT_MESSAGE_BURST: '20' } });
  const account = await limited.account('ann');
  const ann = limited.connection(account);
  const welcome = await ann.next('welcome');
  const limits = { frame: 65_536, text: 4_000, rate: 10, burst: 20, auth: 10_000 };
  t.same(welcome, { t: 'welcome', v: 1, now: welcome.now, heartbeat: 25_000, limits });
  t.ok(Math.abs(welcome.now - Date.now()) < 60_000);
  t.equal(ann.ws.protocol, 'chatterbox.v1');
  const ready = await ann.ask('ready', { t: 'hello', id: 'hello-one', token: account.access, device: 'a phone' });
  const user = { id: account.id, name: 'ann' };
  const { session, epoch } = ready;
  t.same(ready, { t: 'ready', id: 'hello-one', user, session, epoch, convs: [], more: false });
  t.match(session, /^[A-Za-z0-9_-]{1,40}$/);
  t.ok(epoch.length > 0);
});

t.test('hello may be sent before welcome has been read', async (t) => {
  const account = await s.account('ann');
  const eager = s.connection(account);
  await once(eager.ws, 'open');
  t.match(await eager.ask('ready', { t: 'hello', token: account.access }), { user: { name: account.name } });
});

t.test('the subprotocol may be left out, and nothing else is selected or negotiated', async (t) => {
  for (const [offered, selected] of [
    [[], ''],
    [['other', 'chatterbox.v1'], 'chatterbox.v1'],
  ] as const) {
    const ws = new WebSocket(s.socketUrl, [...offered], { perMessageDeflate: true });
    const [data] = (await once(ws, 'message')) as [Buffer];
    t.match(JSON.parse(data.toString()), { t: 'welcome', v: 1 });
    t.equal(ws.protocol, selected);
    t.equal(ws.extensions, '', 'no compression');
    ws.terminate();
  }
});

t.test('ready names the conversations, latest active first, with the numbers a list needs', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob], { title: 'Plans' });
  const direct = await ann.direct(bob);
  await ann.send(group, 'one');
  const two = await ann.send(group, 'two');
  await bob.next('message', { seq: two.seq });
  await bob.read(group, 1);
  t.same((await bob.device()).ready.convs, [
    { conv: group, kind: 'group', title: 'Plans', seq: 3, n: 2, read: 1, role: 'member' },
    { conv: direct, kind: 'direct', seq: 1, n: 0, read: 0, role: 'member', peer: ann.id },
  ]);
  t.match((await ann.device()).ready.convs[0], { conv: group, n: 2, read: 2, role: 'owner' }, 'sending is reading');
});

t.test('ready names a hundred conversations at most, and says that there are more', async (t) => {
  const [ann] = await s.clients('ann');
  const rooms: string[] = [];
  for (let count = 0; count < 101; count++) rooms.push(await ann.room({ title: `room ${count}` }));
  const { ready } = await ann.device();
  t.equal(ready.more, true);
  t.same(
    ready.convs.map(({ conv }) => conv),
    rooms.slice(1).reverse(),
  );
  const [oldest = ''] = rooms;
  const resumed = await ann.device({ since: { epoch: ready.epoch, convs: { [oldest]: 0 } } });
  t.match(await resumed.next('caught_up'), { conv: oldest, seq: 1 }, 'those not named can be resumed all the same');
});

t.test('of two hellos at once one is refused, and the connection with it', async (t) => {
  const account = await s.account('ann');
  const ann = await s.connection(account).opened();
  ann.request({ t: 'hello', id: 'hello-one', token: account.access }).catch(() => {});
  ann.signal({ t: 'hello', id: 'hello-two', token: account.access });
  t.match(await ann.nextError(), { code: 'already_authenticated', id: 'hello-two' });
  t.match(await ann.ended(), { code: 4501 });
  const [bob] = await s.clients('bob');
  const late = bob.refused({ t: 'hello', token: account.access });
  t.match(await late, { code: 'already_authenticated' }, 'as somebody else, later');
  t.match(await bob.ended(), { code: 4501 });
});

t.test('before ready anything but hello ends the connection', async (t) => {
  const account = await s.account('ann');
  for (const text of [
    '{"t":"ping","id":"too-early"}',
    '{"t":"message","id":"too-early","conv":"c","text":"hi"}',
    '{"t":"nonsense"}',
    'not JSON',
  ]) {
    const connection = await s.connection(account).opened();
    connection.ws.send(text);
    t.match(await connection.nextError(), { code: 'unauthenticated', retry: false }, text);
    t.match(await connection.ended(), { code: 4501 }, text);
  }
});

t.test('a token that is not an access token of this server is refused, with one text for all', async (t) => {
  const account = await s.account('ann');
  const [header, payload, signature] = account.access.split('.') as [string, string, string];
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
  const tokens = {
    'no token': undefined,
    nonsense: 'x',
    'a refresh token': account.refresh,
    'another signature': `${header}.${payload}.${[...signature].reverse().join('')}`,
    'no signature': `${none}.${payload}.`,
  };
  const answers = await Promise.all(
    Object.entries(tokens).map(async ([name, token]) => {
      const connection = await s.connection(account).opened();
      const { code, message } = await connection.refused({ t: 'hello', token });
      t.match(await connection.ended(), { code: 4500 }, name);
      return { code, message };
    }),
  );
  t.same(new Set(answers.map(({ code }) => code)), new Set(['invalid_token']));
  t.equal(new Set(answers.map(({ message }) => message)).size, 1);
});

t.test('a token in the URL and a foreign origin get no connection', async (t) => {
  const account = await s.account('ann');
  const statusOf = async (url: string, origin?: string) => {
    const ws = new WebSocket(url, { ...(origin === undefined ? {} : { origin }) });
    const [, response] = (await once(ws, 'unexpected-response')) as [unknown, { statusCode: number }];
    ws.on('error', () => {}).terminate();
    return response.statusCode;
  };
  t.equal(await statusOf(`${s.socketUrl}?token=${account.access}`), 400);
  t.equal(await statusOf(s.socketUrl, 'https://evil.example'), 403);
  t.equal(await statusOf(s.socketUrl, 'null'), 403);
  t.equal(await statusOf(s.socketUrl, `${s.url}.evil.example`), 403);
  const own = s.connection(account, { origin: s.url });
  await own.next('welcome');
});

t.test('who says nothing is let go after a while', async (t) => {
  const fast = await server(t, { fastClock: true });
  const silent = await fast.connection(await fast.account('ann')).opened();
  t.same(await silent.ended(), { code: 4502, reason: 'auth_timeout' });
});

t.test('a connection gets the ephemeral kinds it wants, and changes in any case', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.next('conv', { conv: group });
  const typist = await bob.device({ want: ['typing'] });
  const quiet = await bob.device({ want: [] });
  ann.signal({ t: 'typing', conv: group, on: true });
  ann.signal({ t: 'received', conv: group, n: 0 });
  ann.signal({ t: 'presence', status: 'busy' });
  const { seq } = await ann.send(group, 'hi');
  await ann.read(group, 1);
  await Promise.all([bob.next('typing'), bob.next('presence', { status: 'busy' }), typist.next('typing')]);
  for (const device of [typist, quiet]) {
    await device.next('message', { seq });
    await device.fence();
  }
  await bob.read(group, 1);
  await Promise.all([typist, quiet].map((device) => device.next('unread', { conv: group })));
  t.same(new Set(typist.pushes.map((push) => push.t)), new Set(['welcome', 'typing', 'message', 'unread']));
  t.same(new Set(quiet.pushes.map((push) => push.t)), new Set(['welcome', 'message', 'unread']));
});
