import { createConnection } from 'node:net';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { ERRORS, type ErrorCode, errorEntry } from '../../src/errors.ts';
import { PASSWORD, server } from './kit.ts';

const LOGIN = { login: 'ann', password: PASSWORD };

t.test('every failure is a problem of RFC 9457 under the id of its request', async (t) => {
  const s = await server(t);
  const reply = await s.call('GET', 'users/me');
  t.equal(reply.status, 401);
  t.match(reply.headers.get('content-type'), /^application\/problem\+json/);
  t.equal(reply.headers.get('www-authenticate'), 'Bearer');
  t.same(reply.body, {
    type: 'urn:chatterbox:error:unauthenticated',
    title: ERRORS.unauthenticated.message,
    status: 401,
    code: 'unauthenticated',
    detail: ERRORS.unauthenticated.message,
    requestId: reply.headers.get('x-request-id'),
  });
});

t.test('the client does not choose the id of its request', async (t) => {
  const s = await server(t);
  const reply = await s.call('GET', 'users/me', { headers: { 'x-request-id': 'mine', 'request-id': 'mine' } });
  t.not(reply.body.requestId, 'mine');
});

t.test('what is no route is not found', async (t) => {
  const s = await server(t);
  for (const [method, path] of [
    ['GET', '/nothing'],
    ['GET', 'nothing'],
    ['POST', 'users/me'],
    ['DELETE', 'auth/login'],
    ['GET', `users/${'x'.repeat(200)}`],
  ] as const) {
    t.match(await s.call(method, path), { status: 404, body: { code: 'not_found' } }, `${method} ${path}`);
  }
  t.match(await s.call('GET', '/api/v1/users/%E0%A4%A'), { status: 400, body: { code: 'bad_frame' } });
});

t.test('bad bodies get their code, whatever their type says', async (t) => {
  const s = await server(t);
  const login = (body: string, type = 'application/json') =>
    s.call('POST', 'auth/login', { body, headers: { 'content-type': type } });
  t.match(await login('{"login":'), { status: 400, body: { code: 'bad_json' } });
  t.match(await login('\ufeff{}'), { status: 400, body: { code: 'bad_json' } });
  t.match(await login('{} trailing'), { status: 400, body: { code: 'bad_json' } });
  for (const body of ['null', '[]', '"text"', '7', '']) {
    t.match(await login(body), { status: 400, body: { code: 'bad_frame' } }, body);
  }
  t.match(await login(JSON.stringify({ ...LOGIN, extra: 1 })), {
    status: 400,
    body: { code: 'bad_frame', field: 'extra' },
  });
  t.match(await login('{"login":"ann","password":"x","__proto__":{"a":1}}'), {
    status: 400,
    body: { field: '__proto__' },
  });
  t.match(await login('{"login":"ann","password":"x","constructor":{"prototype":{}}}'), { status: 400 });
  t.match(await login(JSON.stringify({ login: { $ne: null }, password: 'x' })), {
    status: 400,
    body: { field: 'login' },
  });
  t.match(await login(`{"login":${'['.repeat(10_000)}`), { status: 400, body: { code: 'bad_json' } });
  t.match(await login(`"${'x'.repeat(131_072)}"`), { status: 413, body: { code: 'too_large' } });
});

t.test('only JSON is taken', async (t) => {
  const s = await server(t);
  const body = JSON.stringify(LOGIN);
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'text/json',
    'application/json/x',
    'nonsense',
  ]) {
    const reply = await s.call('POST', 'auth/login', { body, headers: { 'content-type': type } });
    t.match(reply, { status: 415, body: { code: 'unsupported_media_type' } }, type);
  }
  for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/json;x=y']) {
    const reply = await s.call('POST', 'auth/login', { body, headers: { 'content-type': type } });
    t.equal(reply.status, 401, `${type} is JSON, and is checked`);
  }
});

t.test('a route without fields takes an empty body, and no fields', async (t) => {
  const s = await server(t);
  const { body: ann } = await s.register('ann');
  const logout = (body: string) => s.call('POST', 'auth/logout', { token: ann.access, body });
  t.match(await logout('{"all":true}'), { status: 400, body: { code: 'bad_frame', field: 'all' } });
  t.equal((await logout('')).status, 204);
  t.equal((await logout('{}')).status, 204);
});

t.test('unknown and repeated query keys are refused', async (t) => {
  const s = await server(t);
  const { body: ann } = await s.register('ann');
  const get = (path: string) => s.call('GET', path, { token: ann.access });
  t.match(await get('users?q=a&x=1'), { status: 400, body: { code: 'bad_frame', field: 'x' } });
  t.match(await get('users?q=a&q=b'), { status: 400, body: { code: 'bad_frame', field: 'q' } });
  t.match(await get('users?q=a&limit=1&limit=2'), { status: 400, body: { field: 'limit' } });
  t.match(await get('users?q[$ne]=a'), { status: 400, body: { code: 'bad_frame' } });
  t.match(await get('users/me?x=1'), { status: 400, body: { field: 'x' } });
  t.match(await get('users/me?access_token=x'), { status: 400 });
});

t.test('an idempotency key of the wrong alphabet is refused on every write', async (t) => {
  const s = await server(t);
  for (const key of ['short', 'x'.repeat(65), 'with space', 'dots.dots']) {
    const reply = await s.register('ann', {}, { 'idempotency-key': key });
    t.match(reply, { status: 400, body: { code: 'bad_frame', field: 'idempotency-key' } }, key);
  }
});

t.test('tokens that are not ours, or not for this, are refused with one text', async (t) => {
  const s = await server(t);
  const { body: ann } = await s.register('ann');
  const [header = '', payload = '', signature = ''] = ann.access.split('.');
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const { createHmac } = await import('node:crypto');
  const { SECRET } = await import('./kit.ts');
  const signed = (head: object, body: object, algorithm = 'sha256') => {
    const content = `${encode(head)}.${encode(body)}`;
    return `${content}.${createHmac(algorithm, SECRET).update(content).digest('base64url')}`;
  };
  const head = { alg: 'HS256', typ: 'JWT' };
  const { exp: _exp, ...endless } = claims;
  const bad = {
    nonsense: 'nonsense',
    'another signature': `${header}.${payload}.${signature.slice(0, -2)}AA`,
    'no signature': `${header}.${payload}.`,
    'alg none': `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`,
    'alg none, signed': signed({ alg: 'none' }, claims),
    'another algorithm': signed({ alg: 'HS512', typ: 'JWT' }, claims, 'sha512'),
    'another audience': signed(head, { ...claims, aud: 'elsewhere' }),
    'no audience': signed(head, { ...claims, aud: undefined }),
    'another kind': signed(head, { ...claims, kind: 'file' }),
    'no kind': signed(head, { ...claims, kind: undefined }),
    'no end': signed(head, endless),
    expired: signed(head, { ...claims, exp: 1 }),
    'another user': signed(head, { ...claims, sub: 'somebody' }),
    'no session': signed(head, { ...claims, sid: 'nothing' }),
    'a refresh token': ann.refresh,
  };
  t.equal((await s.call('GET', 'users/me', { token: signed(head, claims) })).status, 200, 'the forge itself works');
  const texts = new Set<string>();
  for (const [name, token] of Object.entries(bad)) {
    const { status, body } = await s.call('GET', 'users/me', { token });
    t.equal(status, 401, name);
    t.equal(body.code, 'invalid_token', name);
    texts.add(body.detail);
  }
  t.equal(texts.size, 1);
});

t.test('a defect is told to nobody and does not end the process', async (t) => {
  const s = await server(t);
  const { body: ann } = await s.register('ann');
  s.users.byIds = async () => {
    throw new Error('the secret cause');
  };
  const reply = await s.call('GET', 'users/me', { token: ann.access });
  t.match(reply, { status: 500, body: { code: 'internal', detail: ERRORS.internal.message } });
  t.notMatch(JSON.stringify(reply.body), /secret cause|at /);
  t.equal((await s.call('GET', '/health')).status, 200);
});

t.test('bytes that are no HTTP get a plain refusal', async (t) => {
  const s = await server(t);
  const send = async (bytes: string) => {
    const socket = createConnection(s.port, '127.0.0.1');
    socket.write(bytes);
    return text(socket);
  };
  t.match(await send('nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
  t.match(
    await send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx'),
    /^HTTP\/1\.1 400 /,
  );
  const both = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
  t.match(await send(both), /^HTTP\/1\.1 400 /);
  t.match(await send(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(50_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
});

t.test('headers and bodies that come too slowly end with 408', async (t) => {
  const s = await server(t, { config: { headersTimeoutMs: 50, requestTimeoutMs: 100 } });
  const send = async (bytes: string) => {
    const socket = createConnection(s.port, '127.0.0.1');
    socket.write(bytes);
    return text(socket);
  };
  t.match(await send('GET / HTTP/1.1\r\nHost: x\r\nX-Slow'), /^HTTP\/1\.1 408 /);
  t.match(
    await send(
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"lo',
    ),
    /^HTTP\/1\.1 408 /,
  );
});

t.test('the documentation names every route, its security and every error', async (t) => {
  const s = await server(t);
  const { body: api } = await s.call('GET', '/docs/json');
  const inTable = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => errorEntry(code).http !== undefined);
  t.same([...api.components.schemas.Problem.properties.code.enum].sort(), inTable.sort());
  t.same(api.components.securitySchemes.bearer, { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' });
  const open = ['/health', '/ready', '/metrics', '/api/v1/auth/register', '/api/v1/auth/login', '/api/v1/auth/refresh'];
  for (const [path, methods] of Object.entries<Record<string, { security: unknown; responses: object }>>(api.paths)) {
    for (const [method, { security, responses }] of Object.entries(methods)) {
      t.same(security, open.includes(path) ? [] : [{ bearer: [] }], `${method} ${path}`);
      t.ok('429' in responses && '500' in responses && '400' in responses, `${method} ${path} tells its failures`);
    }
  }
  const page = await s.call('GET', '/docs');
  t.match(page.headers.get('content-type'), /^text\/html/);
});

t.test('what documentation says of a failure is what happens', async (t) => {
  const s = await server(t);
  const { body: api } = await s.call('GET', '/docs/json');
  const register = api.paths['/api/v1/auth/register'].post.responses;
  t.match(register['409'].description, /`conflict`/);
  t.match(register['415'].description, /`unsupported_media_type`/);
  t.same(register['409'].content['application/problem+json'].schema, { $ref: '#/components/schemas/Problem' });
});
