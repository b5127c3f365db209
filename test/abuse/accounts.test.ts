// Attacks on accounts: guessing passwords from many addresses, finding out who is registered, using tokens that were stolen
// or given back, and hiding behind headers that only a proxy may set.
import t, { type Test } from 'tap';
import { eventually, type Reply, type Server, server } from '../kit/index.ts';
import { RawSocket } from '../kit/raw.ts';
import { closingOf, newId } from './kit.ts';

const PASSWORD = 'correct horse battery';
const RATE = 5;
const COUNTING = ['--import', new URL('./count-hashing.ts', import.meta.url).href];

const login = (s: Server, name: string, password: string) => s.http('POST', 'auth/login', { login: name, password });
const refresh = (s: Server, token: unknown) => s.http('POST', 'auth/refresh', { refresh: token });

/** Headers by which one would like to be somebody else each time. */
const DISGUISES: readonly ((count: number) => Readonly<Record<string, string>>)[] = [
  (count) => ({ 'x-forwarded-for': `203.0.113.${count}` }),
  (count) => ({ 'x-forwarded-for': `10.0.0.${count}, 127.0.0.1` }),
  (count) => ({ 'x-real-ip': `203.0.113.${count}` }),
  (count) => ({ forwarded: `for=203.0.113.${count}` }),
  (count) => ({ 'x-client-ip': `203.0.113.${count}`, 'cf-connecting-ip': `203.0.113.${count}` }),
  (count) => ({ 'x-forwarded-for': '', 'x-forwarded-host': `h${count}`, 'x-forwarded-proto': 'https' }),
  () => ({}),
];

async function disguised(s: Server, count: number): Promise<{ status: number; code: unknown; after: string | null }> {
  const disguise = DISGUISES[count % DISGUISES.length]?.(count) ?? {};
  const response = await fetch(`${s.url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...disguise },
    body: JSON.stringify({ login: `person-${count}`, password: 'Password1!' }),
  });
  const { code } = (await response.json()) as { code: unknown };
  return { status: response.status, code, after: response.headers.get('retry-after') };
}

t.test('one password for many names is tried a few times a minute, whatever address one claims', async (t) => {
  const s = await server(t, { cheapPasswords: true, env: { CHAT_AUTH_RATE: String(RATE) } });
  const [ann, bob] = await s.clients('ann', 'bob');
  const conv = await ann.direct(bob);
  const answers = [];
  for (let count = 0; count < 60; count++) answers.push(await disguised(s, count));
  const tried = answers.filter(({ status }) => status === 401);
  t.equal(tried.length, RATE - 2, 'both registrations count too');
  const refused = answers.filter(({ status }) => status === 429);
  t.equal(refused.length, 60 - tried.length);
  for (const { code, after } of refused) t.ok(code === 'rate_limited' && Number(after) > 0);
  t.match(await ann.send(conv, 'who is in is not held up'), { seq: 2 });
  t.equal((await refresh(s, ann.account.refresh)).status, 200, 'nor who comes back');
});

t.test('an address claimed by a header has no connections of its own', async (t) => {
  const s = await server(t, { cheapPasswords: true, env: { CHAT_MAX_CONNECTIONS_PER_ADDRESS: '2' } });
  const headers = DISGUISES.map((disguise, count) => disguise(count));
  const first = await Promise.all(headers.slice(0, 2).map((each) => RawSocket.open(s.url, { headers: each })));
  for (const raw of first) await raw.next('welcome');
  for (const each of headers.slice(2)) {
    t.match(await closingOf(await RawSocket.open(s.url, { headers: each })), { code: 4504 }, JSON.stringify(each));
  }
  for (const raw of first) await raw.close();
});

/** What the server has hashed so far. */
const hashings = (s: Server) => s.process.stderr.match(/^hashing .*$/gm) ?? [];

t.test('whether somebody is registered is told by no word, and by no work that is done or left out', async (t) => {
  const s = await server(t, { nodeArgs: COUNTING });
  await s.account('ann');
  const attempt = async (name: string, password: string) => {
    const before = hashings(s).length;
    const reply = await login(s, name, password);
    await eventually(() => hashings(s).length > before);
    return { reply, work: hashings(s).slice(before) };
  };
  const [known, unknown, address, nobodys, short, long] = [
    await attempt('ann', 'not this password'),
    await attempt('nobody', 'not this password'),
    await attempt('ann@example.org', 'not this password'),
    await attempt('nobody@example.org', 'not this password'),
    await attempt('ann', 'x'),
    await attempt('nobody', 'x'.repeat(1_024)),
  ];
  const words = ({ status, headers, body: { requestId, ...body } }: Reply) => {
    const names = [...headers].filter(([name]) => name !== 'date' && name !== 'x-request-id');
    return { status, headers: names, requestId: typeof requestId, body };
  };
  for (const [name, { reply, work }] of Object.entries({ unknown, address, nobodys, short, long })) {
    t.same(words(reply), words(known.reply), `${name}: the same words`);
    t.same(work, known.work, `${name}: the same work`);
  }
  t.match(known, { reply: { status: 401, body: { code: 'unauthenticated' } }, work: { length: 1 } });
  t.match(JSON.parse(known.work[0]?.slice(8) ?? ''), { algorithm: 'argon2id', memory: 19_456, passes: 2 });
  const before = hashings(s).length;
  const both = await Promise.all(['ann', 'new-one'].map((username) => register(s, username)));
  t.same(both.map(({ status }) => status).sort(), [201, 409]);
  await eventually(() => hashings(s).length >= before + 2);
  t.equal(hashings(s).length, before + 2, 'a name that is taken costs as much as one that is free');
});

function register(s: Server, username: string): Promise<Reply> {
  return s.http('POST', 'auth/register', { username, email: `${newId()}@example.org`, password: PASSWORD });
}

t.test('dozens of logins at once hold nobody up who is signed in, and none is lost', async (t) => {
  const s = await server(t);
  const [ann, bob] = await s.clients('ann', 'bob');
  const conv = await ann.direct(bob);
  const spray = Promise.all(Array.from({ length: 60 }, (_, count) => login(s, `person-${count}`, 'Password1!')));
  let sent = 0;
  const talk = (async () => {
    for (; sent < 20; sent++) {
      const { seq } = await ann.send(conv, 'meanwhile');
      await bob.next('message', { seq });
    }
  })();
  await talk;
  const codes = new Set((await spray).map(({ status, body }) => `${status} ${body.code}`));
  t.ok(
    [...codes].every((code) => code === '401 unauthenticated' || code === '503 overloaded'),
    [...codes].join(),
  );
  t.equal(sent, 20);
});

/** Somebody new with a socket. */
async function somebody(s: Server, name: string) {
  const account = await s.account(name);
  const raw = await RawSocket.open(s.url);
  await raw.ask({ t: 'hello', id: newId(), token: account.access });
  return { account, raw };
}

async function isDead(t: Test, s: Server, { access, refresh: token }: { access: unknown; refresh: unknown }) {
  t.match(await refresh(s, token), { status: 401, body: { code: 'invalid_token' } }, 'its refresh token is dead');
  const me = await s.http('GET', 'users/me', undefined, { token: String(access) });
  t.match(me, { status: 401, body: { code: 'invalid_token' } }, 'its access token too');
}

t.test('refresh tokens, stolen and given back', async (t) => {
  const s = await server(t, { cheapPasswords: true });

  await t.test('one used again after its successor was used ends the family, sockets included', async (t) => {
    const { account, raw } = await somebody(s, 'ann');
    const { body: second } = await refresh(s, account.refresh);
    const { body: third } = await refresh(s, second.refresh);
    t.match(await refresh(s, account.refresh), { status: 401, body: { code: 'invalid_token' } });
    await isDead(t, s, third as never);
    t.match(await closingOf(raw), { code: 4503, reason: 'session_revoked' });
  });

  await t.test('twenty at once are tabs of one browser: all go on, none in place of another', async (t) => {
    const { account, raw } = await somebody(s, 'bob');
    const tabs = await Promise.all(Array.from({ length: 20 }, () => refresh(s, account.refresh)));
    t.same(
      tabs.map(({ status }) => status),
      Array(20).fill(200),
    );
    t.equal(new Set(tabs.map(({ body }) => body.refresh)).size, 20);
    const pong = await raw.ask({ t: 'ping', id: newId() });
    t.equal(pong.t, 'pong');
    await raw.close();
  });

  await t.test('after logout neither is worth anything, in whatever order they come', async (t) => {
    const { account, raw } = await somebody(s, 'carl');
    const ends = await Promise.all([
      s.http('POST', 'auth/logout', undefined, { token: account.access }),
      refresh(s, account.refresh),
    ]);
    t.equal(ends[0]?.status, 204);
    const last = ends[1]?.status === 200 ? ends[1].body : account;
    await isDead(t, s, last as never);
    t.match(await closingOf(raw), { code: 4503 });
  });

  await t.test('nonsense, an access token and a piece of a good one end nobody’s session', async (t) => {
    const { account, raw } = await somebody(s, 'dora');
    const wrong = ['x', account.access.slice(0, 256), account.refresh.slice(1), `${account.refresh}x`, account.id, ' '];
    for (const token of wrong) t.match(await refresh(s, token), { status: 401, body: { code: 'invalid_token' } });
    t.equal((await refresh(s, account.refresh)).status, 200);
    await raw.close();
  });
});
