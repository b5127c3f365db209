import Fastify from 'fastify';
import t from 'tap';
import { enforcePolicies } from '../../src/http/policy.ts';
import { server } from './kit.ts';

t.test('only listed origins are told that they may read', async (t) => {
  const s = await server(t, { config: { origins: ['https://chat.example.org'] } });
  const from = (origin: string) => s.call('GET', 'users/me', { headers: { origin } });
  t.equal(
    (await from('https://chat.example.org')).headers.get('access-control-allow-origin'),
    'https://chat.example.org',
  );
  for (const origin of [
    'https://evil.example',
    'null',
    'https://chat.example.org.evil.example',
    'http://chat.example.org',
  ]) {
    t.equal((await from(origin)).headers.get('access-control-allow-origin'), null, origin);
  }
  const preflight = await s.call('OPTIONS', 'users/me', {
    headers: {
      origin: 'https://chat.example.org',
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    },
  });
  t.equal(preflight.status, 204);
  t.match(preflight.headers.get('access-control-allow-methods'), /PATCH/);
  t.match(preflight.headers.get('access-control-allow-headers'), /idempotency-key/);
  t.equal(preflight.headers.get('access-control-allow-credentials'), null);
});

t.test('without origins there is no CORS at all', async (t) => {
  const s = await server(t);
  const reply = await s.call('GET', 'users/me', { headers: { origin: 'https://chat.example.org' } });
  t.equal(reply.headers.get('access-control-allow-origin'), null);
});

t.test('answers carry the headers that keep browsers careful', async (t) => {
  const s = await server(t);
  for (const path of ['/health', '/nothing', '/docs']) {
    const { headers } = await s.call('GET', path);
    t.equal(headers.get('x-content-type-options'), 'nosniff', path);
    t.match(headers.get('content-security-policy'), /default-src 'self'/, path);
    t.notMatch(headers.get('content-security-policy'), /upgrade-insecure-requests/, path);
    t.equal(headers.get('strict-transport-security'), null, path);
  }
});

t.test('health, readiness and metrics', async (t) => {
  const missing: string[] = [];
  const s = await server(t, { missing });
  t.match(await s.call('GET', '/health'), { status: 200, body: { status: 'ok' } });
  t.match(await s.call('GET', '/ready'), { status: 200, body: { missing: [] } });
  missing.push('log');
  t.match(await s.call('GET', '/ready'), { status: 503, body: { missing: ['log'] } });
  t.match(await s.call('GET', '/health'), { status: 200 });
  const metrics = await s.call('GET', '/metrics');
  t.equal(metrics.status, 200);
  t.match(metrics.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  t.equal(metrics.body, 'chat_up 1\n');
});

t.test('metrics are for loopback only, or for the token', async (t) => {
  const open = await server(t);
  const forwarded = { headers: { 'x-forwarded-for': '203.0.113.9' } };
  t.match(
    await open.call('GET', '/metrics', forwarded),
    { status: 404 },
    'a proxy on this machine is not this machine',
  );
  const proxied = await server(t, { config: { trustProxy: ['127.0.0.1'] } });
  t.match(await proxied.call('GET', '/metrics', forwarded), { status: 404 });
  t.match(await proxied.call('GET', '/metrics', { headers: { 'x-forwarded-for': '127.0.0.1' } }), { status: 404 });
  const guarded = await server(t, { config: { metricsToken: 'the-operators-token' } });
  t.match(await guarded.call('GET', '/metrics'), { status: 404 });
  t.match(await guarded.call('GET', '/metrics', { token: 'another-token' }), { status: 404 });
  t.match(await guarded.call('GET', '/metrics', { token: 'the-operators-token', ...forwarded }), { status: 200 });
});

t.test('a route that names no policy is refused at start', async (t) => {
  const s = await server(t);
  const app = Fastify();
  enforcePolicies(app, s.accounts, null);
  t.throws(() => app.get('/open', async () => 'x'), /GET \/open names no policy/);
});

t.test('every route of the API asks for a token, except the ways to get one', async (t) => {
  const s = await server(t);
  const { body: api } = await s.call('GET', '/docs/json');
  const open = ['/api/v1/auth/register', '/api/v1/auth/login', '/api/v1/auth/refresh'];
  for (const [path, methods] of Object.entries<object>(api.paths)) {
    if (!path.startsWith('/api/') || open.includes(path)) continue;
    for (const method of Object.keys(methods)) {
      const url = path.replaceAll(/\{\w+\}/g, '1');
      const name = `${method} ${url}`;
      const none = await s.call(method.toUpperCase(), url);
      t.equal(none.status, 401, name);
      if (method !== 'head') t.equal(none.body.code, 'unauthenticated', name);
      const bad = await s.call(method.toUpperCase(), url, { token: 'x.y.z' });
      t.equal(bad.status, 401, name);
      if (method !== 'head') t.equal(bad.body.code, 'invalid_token', name);
    }
  }
});
