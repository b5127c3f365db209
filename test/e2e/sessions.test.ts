// How long a connection may live: its token's time, renewed or not; and that the end of a session ends its sockets.
import t from 'tap';
import { type Account, eventually, server } from '../kit/index.ts';

const s = await server(t, { env: { CHAT_ACCESS_TTL: '2s' } });

async function refreshed(account: Account): Promise<Account> {
  const { status, body } = await s.http('POST', 'auth/refresh', { refresh: account.refresh });
  if (status !== 200) throw new Error(`refresh: ${status}`);
  return { ...account, access: body.access as string, refresh: body.refresh as string };
}

async function login(account: Account): Promise<Account> {
  const { body } = await s.http('POST', 'auth/login', { login: account.name, password: 'correct horse battery' });
  return { ...account, access: body.access as string, refresh: body.refresh as string };
}

t.test('a connection ends with its token, one that is renewed in time does not', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  let { account } = bob;
  await eventually(async () => {
    account = await refreshed(account);
    t.same(await bob.request({ t: 'renew', id: 'renew-id', token: account.access }), { t: 'ok', id: 'renew-id' });
    return !ann.isOpen;
  }, 300);
  t.same(await ann.ended(), { code: 4003, reason: 'token_expired' });
  const other = await login(account);
  t.match(await bob.request({ t: 'renew', token: other.access }), { t: 'ok' }, 'of another session of the same user');
  await bob.fence();
  t.same(await bob.ended(), { code: 4003, reason: 'token_expired' });
});

t.test('an expired token opens nothing and renews nothing', async (t) => {
  const bob = await s.client('bob');
  const { access } = bob.account;
  await bob.ended();
  const late = await s.connection(bob.account).opened();
  t.match(await late.refused({ t: 'hello', token: access }), { code: 'invalid_token' });
  t.match(await late.ended(), { code: 4500 });
  t.match(await bob.http('GET', 'users/me'), { status: 401, body: { code: 'invalid_token' } });
});

t.test('renewing with a bad token, or somebody else’s, ends the connection', async (t) => {
  for (const tokenOf of [async () => 'nonsense', async () => (await s.account('carl')).access]) {
    const ann = await s.client('ann');
    const token = await tokenOf();
    t.match(await ann.refused({ t: 'renew', token }), { code: 'invalid_token' });
    t.match(await ann.ended(), { code: 4500 });
  }
});

t.test('logging out ends the sockets of that session, and of that session only', async (t) => {
  const [ann] = await s.clients('ann');
  const sameSession = await ann.device();
  const other = await s.connection(await login(ann.account)).opened();
  await other.ask('ready', { t: 'hello', token: other.account.access });
  t.equal((await ann.http('POST', 'auth/logout')).status, 204);
  for (const device of [ann, sameSession]) t.same(await device.ended(), { code: 4503, reason: 'session_revoked' });
  await other.fence();
  const again = await s.connection(ann.account).opened();
  t.match(await again.refused({ t: 'hello', token: ann.account.access }), { code: 'invalid_token' });
  t.match(await s.http('POST', 'auth/refresh', { refresh: ann.account.refresh }), { status: 401 });
});

t.test('a new password ends all other sessions', async (t) => {
  const [ann] = await s.clients('ann');
  const other = await s.connection(await login(ann.account)).opened();
  await other.ask('ready', { t: 'hello', token: other.account.access });
  const change = { current: 'correct horse battery', password: 'another good password' };
  t.equal((await ann.http('POST', 'users/me/password', change)).status, 204);
  t.match(await other.ended(), { code: 4503 });
  await ann.fence();
});

t.test('a refresh token used twice, its successor used, ends the session and its sockets', async (t) => {
  const [ann] = await s.clients('ann');
  const second = await refreshed(ann.account);
  const third = await refreshed(second);
  const thief = await s.http('POST', 'auth/refresh', { refresh: ann.account.refresh });
  t.match(thief, { status: 401, body: { code: 'invalid_token' } });
  t.same(await ann.ended(), { code: 4503, reason: 'session_revoked' });
  await eventually(async () => (await s.http('POST', 'auth/refresh', { refresh: third.refresh })).status === 401);
});
