import t, { type Test } from 'tap';
import { PASSWORD, type Reply, server } from './kit.ts';

function checkRefusal(t: Test, reply: Reply | undefined, limit: number): void {
  t.match(reply, { status: 429, body: { code: 'rate_limited' } });
  t.equal(reply?.headers.get('ratelimit-limit'), String(limit));
  t.equal(reply?.headers.get('ratelimit-remaining'), '0');
  for (const name of ['ratelimit-reset', 'retry-after']) {
    const seconds = Number(reply?.headers.get(name));
    t.ok(seconds > 0 && seconds <= 60, `${name} is within the minute`);
  }
}

t.test('registrations and logins of an address count together', async (t) => {
  const s = await server(t, { config: { authRatePerMinute: 3 } });
  t.equal((await s.register('ann')).status, 201);
  t.equal((await s.call('POST', 'auth/login', { body: { login: 'x', password: 'y' } })).status, 401);
  const third = await s.call('POST', 'auth/login', { body: { login: 'ann', password: PASSWORD } });
  t.equal(third.status, 200);
  checkRefusal(t, await s.call('POST', 'auth/login', { body: { login: 'ann', password: PASSWORD } }), 3);
  checkRefusal(t, await s.register('bob'), 3);
  t.equal((await s.call('POST', 'auth/refresh', { body: { refresh: third.body.refresh } })).status, 200);
  t.equal((await s.call('GET', 'users/me', { token: third.body.access })).status, 200);
});

t.test('a body that is refused counts as an attempt', async (t) => {
  const s = await server(t, { config: { authRatePerMinute: 2 } });
  for (let attempt = 0; attempt < 2; attempt++) {
    t.equal((await s.call('POST', 'auth/login', { body: '{' })).status, 400);
  }
  t.equal((await s.call('POST', 'auth/login', { body: '{' })).status, 429);
});

t.test('requests count per user when signed in, else per address', async (t) => {
  const s = await server(t, { config: { httpRatePerMinute: 5 } });
  const { body: ann } = await s.register('ann');
  const { body: bob } = await s.register('bob');
  const me = (token: string) => s.call('GET', 'users/me', { token });
  for (let count = 0; count < 5; count++) t.equal((await me(ann.access)).status, 200);
  checkRefusal(t, await me(ann.access), 5);
  t.equal((await me(bob.access)).status, 200, 'another user of the same address goes on');
  for (let count = 0; count < 3; count++) t.equal((await me('nonsense')).status, 401);
  checkRefusal(t, await me('nonsense'), 5);
  checkRefusal(t, await s.call('GET', '/nothing'), 5);
  t.equal((await me(bob.access)).status, 200);
});

t.test('probes are not limited', async (t) => {
  const s = await server(t, { config: { httpRatePerMinute: 1 } });
  for (let count = 0; count < 5; count++) {
    t.equal((await s.call('GET', '/health')).status, 200);
    t.equal((await s.call('GET', '/ready')).status, 200);
    t.equal((await s.call('GET', '/metrics')).status, 200);
  }
});

t.test('a limit of 0 is none', async (t) => {
  const s = await server(t);
  const replies = await Promise.all(Array.from({ length: 300 }, () => s.call('GET', 'users/me')));
  t.ok(replies.every(({ status }) => status === 401));
});

t.test('only a trusted proxy is believed about addresses', async (t) => {
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
  const untrusting = await server(t, { config: { httpRatePerMinute: 2 } });
  t.equal((await untrusting.call('GET', 'users/me', from('10.0.0.1'))).status, 401);
  t.equal((await untrusting.call('GET', 'users/me', from('10.0.0.2'))).status, 401);
  t.equal((await untrusting.call('GET', 'users/me', from('10.0.0.3'))).status, 429);
  const trusting = await server(t, { config: { httpRatePerMinute: 2, trustProxy: ['127.0.0.0/8'] } });
  for (let address = 1; address < 5; address++) {
    t.equal((await trusting.call('GET', 'users/me', from(`10.0.0.${address}`))).status, 401);
  }
  t.equal((await trusting.call('GET', 'users/me', from('2001:db8::1'))).status, 401);
  t.equal((await trusting.call('GET', 'users/me', from('2001:db8::2'))).status, 401);
  t.equal((await trusting.call('GET', 'users/me', from('2001:db8::3'))).status, 429, 'a /64 is one address');
});
