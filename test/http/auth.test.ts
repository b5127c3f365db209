import t from 'tap';
import { PASSWORD, server } from './kit.ts';

t.test('who registers is signed in, and a login gives the same', async (t) => {
  const s = await server(t);
  const registered = await s.register('Ann', { displayName: 'Ann B.' });
  t.equal(registered.status, 201);
  t.match(registered.body, { user: { name: 'ann', displayName: 'Ann B.' }, expiresIn: 900 });
  t.match(registered.body.user.id, /^[A-Za-z0-9_-]{16}$/);
  t.same(Object.keys(registered.body).sort(), ['access', 'expiresIn', 'refresh', 'user']);
  t.same(Object.keys(registered.body.user).sort(), ['displayName', 'id', 'name']);
  for (const login of ['ann', 'ANN', 'ann@example.org', 'Ann@EXAMPLE.org']) {
    const { status, body } = await s.call('POST', 'auth/login', { body: { login, password: PASSWORD } });
    t.equal(status, 200, login);
    t.same(body.user, registered.body.user);
    t.equal((await s.call('GET', 'users/me', { token: body.access })).status, 200);
  }
});

t.test('names and addresses are taken once, without case', async (t) => {
  const s = await server(t);
  await s.register('ann');
  const name = await s.register('ANN', { email: 'other@example.org' });
  t.match(name, { status: 409, body: { code: 'conflict', field: 'username' } });
  const email = await s.register('ann2', { email: 'ANN@example.org' });
  t.match(email, { status: 409, body: { code: 'conflict', field: 'email' } });
  t.match(await s.register('ALL'), { status: 409, body: { field: 'username' } }, '@all means everyone');
});

t.test('of fifty registrations of one name at once, one wins', async (t) => {
  const s = await server(t);
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, index) => s.register('ann', { email: `${index}@example.org` })),
  );
  t.equal(replies.filter(({ status }) => status === 201).length, 1);
  t.equal(replies.filter(({ status }) => status === 409).length, 49);
});

t.test('a registration repeated with its key is the same user, for who knows the password', async (t) => {
  const s = await server(t);
  const key = { 'idempotency-key': 'register-ann' };
  const first = await s.register('ann', {}, key);
  const again = await s.register('ann', {}, key);
  t.equal(first.status, 201);
  t.equal(again.status, 200);
  t.same(again.body.user, first.body.user);
  t.equal((await s.register('ann', { password: 'not this password' }, key)).status, 409);
  t.equal((await s.register('ann', {}, { 'idempotency-key': 'another-key' })).status, 409);
  t.equal((await s.register('ann')).status, 409);
  const both = await Promise.all([s.register('bob', {}, key), s.register('bob', {}, key)]);
  t.same(both.map(({ status }) => status).sort(), [200, 201]);
  t.same(both[0]?.body.user, both[1]?.body.user);
});

t.test('a failed login says the same of a wrong password and of nobody', async (t) => {
  const s = await server(t);
  await s.register('ann');
  const wrong = await s.call('POST', 'auth/login', { body: { login: 'ann', password: 'not this password' } });
  const nobody = await s.call('POST', 'auth/login', { body: { login: 'nobody', password: 'not this password' } });
  const short = await s.call('POST', 'auth/login', { body: { login: 'ann', password: 'x' } });
  for (const reply of [wrong, nobody, short]) {
    t.match(reply, { status: 401, body: { code: 'unauthenticated' } });
    t.same({ ...reply.body, requestId: '' }, { ...wrong.body, requestId: '' });
    t.same([...reply.headers.keys()].sort(), [...wrong.headers.keys()].sort());
  }
});

t.test('more hashing than may wait is refused as overloaded, with a time to come back', async (t) => {
  const s = await server(t, { maxHashesWaiting: 1 });
  const replies = await Promise.all(Array.from({ length: 20 }, (_, index) => s.register(`user${index}`)));
  const refused = replies.filter(({ status }) => status === 503);
  t.ok(refused.length > 0);
  t.match(refused[0]?.body, { code: 'overloaded' });
  t.ok(Number(refused[0]?.headers.get('retry-after')) > 0);
  t.ok(replies.filter(({ status }) => status === 201).length >= 3);
});

t.test('a refresh token works once, and its successor goes on', async (t) => {
  const s = await server(t);
  const { body: first } = await s.register('ann');
  const second = await s.call('POST', 'auth/refresh', { body: { refresh: first.refresh } });
  t.equal(second.status, 200);
  t.same(second.body.user, first.user);
  t.not(second.body.refresh, first.refresh);
  t.equal((await s.call('GET', 'users/me', { token: second.body.access })).status, 200);
  s.clock.advance(60_000);
  t.equal((await s.call('POST', 'auth/refresh', { body: { refresh: second.body.refresh } })).status, 200);
});

t.test('two tabs that refresh at once both go on', async (t) => {
  const s = await server(t);
  const { body: first } = await s.register('ann');
  const refresh = (token: string) => s.call('POST', 'auth/refresh', { body: { refresh: token } });
  const tabs = await Promise.all([refresh(first.refresh), refresh(first.refresh)]);
  t.same(
    tabs.map(({ status }) => status),
    [200, 200],
  );
  t.not(tabs[0]?.body.refresh, tabs[1]?.body.refresh);
  for (const { body } of tabs) {
    t.equal((await refresh(body.refresh)).status, 200);
    t.equal((await s.call('GET', 'users/me', { token: body.access })).status, 200);
  }
  t.same(s.heard, []);
});

t.test('a refresh token used again kills the whole family and tells the nodes', async (t) => {
  const s = await server(t);
  const refresh = (token: string) => s.call('POST', 'auth/refresh', { body: { refresh: token } });
  const { body: first } = await s.register('ann');
  const { body: second } = await refresh(first.refresh);
  const { body: third } = await refresh(second.refresh);
  const reused = await refresh(first.refresh);
  t.match(reused, { status: 401, body: { code: 'invalid_token' } });
  t.match(await refresh(third.refresh), { status: 401, body: { code: 'invalid_token' } });
  t.match(await s.call('GET', 'users/me', { token: third.access }), { status: 401, body: { code: 'invalid_token' } });
  const { session } = s.accounts.verifyAccess(third.access);
  t.match(s.heard[0], { is: 'ended', sessions: [session] });
});

t.test('a refresh token repeated after its grace kills the family', async (t) => {
  const s = await server(t);
  const refresh = (token: string) => s.call('POST', 'auth/refresh', { body: { refresh: token } });
  const { body: first } = await s.register('ann');
  const { body: second } = await refresh(first.refresh);
  s.clock.advance(10_001);
  t.equal((await refresh(first.refresh)).status, 401);
  t.equal((await refresh(second.refresh)).status, 401);
});

t.test('the store knows no refresh token as it is', async (t) => {
  const s = await server(t);
  const hashes: string[] = [];
  const { open } = s.sessions;
  s.sessions.open = (session, hash) => {
    hashes.push(hash);
    return open(session, hash);
  };
  const { body } = await s.register('ann');
  t.equal(Buffer.from(body.refresh, 'base64url').length, 32);
  t.equal(hashes.length, 1);
  t.not(hashes[0], body.refresh);
});

t.test('after logout neither token works, and sockets are told', async (t) => {
  const s = await server(t);
  const { body } = await s.register('ann');
  const other = await s.call('POST', 'auth/login', { body: { login: 'ann', password: PASSWORD } });
  const out = await s.call('POST', 'auth/logout', { token: body.access });
  t.equal(out.status, 204);
  t.equal(out.body, '');
  t.match(await s.call('GET', 'users/me', { token: body.access }), { status: 401, body: { code: 'invalid_token' } });
  t.match(await s.call('POST', 'auth/refresh', { body: { refresh: body.refresh } }), { status: 401 });
  t.equal((await s.call('POST', 'auth/logout', { token: body.access })).status, 204, 'a repeat changes nothing');
  t.match(s.heard[0], { is: 'ended', sessions: [s.accounts.verifyAccess(body.access).session] });
  t.equal((await s.call('GET', 'users/me', { token: other.body.access })).status, 200, 'other sessions go on');
});

t.test('an access token ends by the clock', async (t) => {
  const s = await server(t);
  const { body } = await s.register('ann');
  s.clock.advance(899_000);
  t.equal((await s.call('GET', 'users/me', { token: body.access })).status, 200);
  s.clock.advance(2_000);
  t.match(await s.call('GET', 'users/me', { token: body.access }), { status: 401, body: { code: 'invalid_token' } });
});

t.test('a password change ends all other sessions, and the old password works no more', async (t) => {
  const s = await server(t);
  const { body: here } = await s.register('ann');
  const { body: there } = await s.call('POST', 'auth/login', { body: { login: 'ann', password: PASSWORD } });
  const change = (current: string, password: string, headers = {}) =>
    s.call('POST', 'users/me/password', { token: here.access, body: { current, password }, headers });
  t.match(await change('not this password', 'a new password'), { status: 403, body: { field: 'current' } });
  t.same(s.heard, []);
  const key = { 'idempotency-key': 'change-password' };
  t.equal((await change(PASSWORD, 'a new password', key)).status, 204);
  t.equal((await change(PASSWORD, 'a new password', key)).status, 204, 'a repeat is known by its key');
  t.equal((await s.call('GET', 'users/me', { token: there.access })).status, 401);
  t.equal((await s.call('POST', 'auth/refresh', { body: { refresh: there.refresh } })).status, 401);
  t.equal((await s.call('GET', 'users/me', { token: here.access })).status, 200);
  t.match(s.heard[0], { is: 'ended', sessions: [s.accounts.verifyAccess(there.access).session] });
  const login = (password: string) => s.call('POST', 'auth/login', { body: { login: 'ann', password } });
  t.equal((await login(PASSWORD)).status, 401);
  t.equal((await login('a new password')).status, 200);
});

t.test('a login that proved the old password opens no session after the password has changed', async (t) => {
  const s = await server(t);
  const { body: here } = await s.register('ann');
  const { open } = s.sessions;
  s.sessions.open = async (session, hash) => {
    s.sessions.open = open;
    await s.call('POST', 'users/me/password', {
      token: here.access,
      body: { current: PASSWORD, password: 'a new password' },
    });
    return open(session, hash);
  };
  const late = await s.call('POST', 'auth/login', { body: { login: 'ann', password: PASSWORD } });
  t.match(late, { status: 401, body: { code: 'unauthenticated' } });
});

t.test('registration can be closed, logging in stays open', async (t) => {
  const s = await server(t, { registration: 'closed' });
  t.match(await s.register('ann'), { status: 403, body: { code: 'forbidden' } });
  t.equal((await s.call('POST', 'auth/login', { body: { login: 'ann', password: PASSWORD } })).status, 401);
});

t.test('a registration of the wrong shape names its field', async (t) => {
  const s = await server(t);
  const wrong: [string, object][] = [
    ['username', { username: 'a' }],
    ['username', { username: 'a'.repeat(33) }],
    ['username', { username: 'an n' }],
    ['username', { username: 'änn' }],
    ['username', { username: 'ann\n' }],
    ['username', { username: { $gt: '' } }],
    ['password', { password: 'seven77' }],
    ['password', { password: 'x'.repeat(257) }],
    ['password', { password: '12345678\u0000' }],
    ['email', { email: 'nothing' }],
    ['email', { email: 'two@at@signs' }],
    ['email', { email: 'a b@example.org' }],
    ['email', { email: `${'x'.repeat(250)}@example.org` }],
    ['displayName', { displayName: '' }],
    ['displayName', { displayName: 'x'.repeat(81) }],
    ['displayName', { displayName: 'nul\u0000' }],
    ['id', { id: 'mine' }],
    ['role', { role: 'admin' }],
    ['createdAt', { createdAt: 0 }],
  ];
  for (const [field, fields] of wrong) {
    t.match(
      await s.register('ann', fields),
      { status: 400, body: { code: 'bad_frame', field } },
      JSON.stringify(fields).slice(0, 60),
    );
  }
  t.match(await s.call('POST', 'auth/register', { body: {} }), { status: 400, body: { code: 'bad_frame' } });
  t.equal((await s.register('ann', { password: '💬'.repeat(256) })).status, 201, 'characters count, not bytes');
});
