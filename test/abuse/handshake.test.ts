// Handshakes that are wrong, hostile or odd: refused with the right status, before anything is kept for them.
import t from 'tap';
import { acceptFor, HANDSHAKE_KEY, type HandshakeParts, type HttpResponse, handshake, RawSocket } from '../kit/raw.ts';
import { type Arena, type Attack, arena, backTo, newId, withstand } from './kit.ts';

const OWN = 'https://chat.example.org';
const TOKEN = 'eyJhbGciOiJIUzI1NiJ9.secret-of-somebody.signature';

const place = await arena(t, { env: { CHAT_ORIGINS: OWN } });
place.secrets.push(TOKEN);

type Answer = Omit<HttpResponse, 'body'> & { readonly problem?: object };

/** What the server answers to a handshake. A connection it takes is closed again. */
async function answerTo(parts: HandshakeParts): Promise<Answer> {
  const raw = await RawSocket.connect(place.url);
  raw.write(handshake(raw.host, parts));
  const { status, headers, body } = await raw.response();
  if (status === 101) await raw.next('welcome');
  if (status === 101) await raw.close();
  else if (headers.connection === 'close') await raw.closed();
  raw.destroy();
  return { status, headers, ...(body.startsWith('{') ? { problem: JSON.parse(body) } : {}) };
}

function attempt(name: string, parts: HandshakeParts | ((arena: Arena) => HandshakeParts), expect: object): Attack {
  return { name, act: (arena) => answerTo(typeof parts === 'function' ? parts(arena) : parts), expect };
}

const host = new URL(place.url).host;
const port = Number(new URL(place.url).port);

/** RFC 9457, as every other failure over HTTP. */
function problem(status: number, code: string): object {
  const type = `urn:chatterbox:error:${code}`;
  return { status, problem: { type, status, code, title: String, detail: String, requestId: /^[0-9a-f-]{36}$/ } };
}

const foreign = problem(403, 'origin_not_allowed');
const withOrigin = (Origin: string) => ({ headers: { Origin } });

const FOREIGN_ORIGINS = {
  'another site': 'https://evil.com',
  'null, as from a sandboxed frame or a file': 'null',
  'an empty one': '',
  "the server's name as the beginning of another": `http://${host}.evil.com`,
  "the server's name as the end of another": `http://evil${host}`,
  "the server's name as a user of another": `http://${host}@evil.com`,
  "the server's name as a path of another": `http://evil.com/${host}`,
  'another port of the same machine': `http://127.0.0.1:${port === 65_535 ? port - 1 : port + 1}`,
  'the same machine without a port': 'http://127.0.0.1',
  'the same machine by another name': `http://localhost:${port}`,
  'another scheme': `ws://${host}`,
  'the right one and a slash': `http://${host}/`,
  'two of them, one right': `http://${host}, https://evil.com`,
  'one of the list with more behind it': `${OWN}.evil.com`,
  'one of the list with a port': `${OWN}:8443`,
  'one of the list without TLS': OWN.replace('https', 'http'),
  'one of the list below another name': 'https://evil-chat.example.org',
} as const;

const ORIGINS: readonly Attack[] = [
  ...Object.entries(FOREIGN_ORIGINS).map(([name, origin]) =>
    attempt(`an Origin that is ${name} is refused`, withOrigin(origin), foreign),
  ),
  attempt('two Origin headers are refused', { lines: [`Origin: http://${host}`, 'Origin: https://evil.com'] }, foreign),
  attempt('no Origin is fine: no browser', {}, { status: 101 }),
  attempt("the server's own Origin is fine", withOrigin(`http://${host}`), { status: 101 }),
  attempt("the server's own Origin behind TLS is fine", withOrigin(`https://${host}`), { status: 101 }),
  attempt('an Origin of the list is fine', withOrigin(OWN), { status: 101 }),
];

const EVIL = 'evil.example';
const fromEvil = { Origin: `http://${EVIL}` };

/** What a proxy says of where a request came from is for CHAT_TRUST_PROXY to believe, and never makes an Origin ours. */
const FORWARDED: readonly Attack[] = [
  attempt('a second Host makes no Origin ours', { headers: fromEvil, lines: [`Host: ${EVIL}`] }, foreign),
  attempt('X-Forwarded-Host makes no Origin ours', { headers: { ...fromEvil, 'X-Forwarded-Host': EVIL } }, foreign),
  attempt('Forwarded makes no Origin ours', { headers: { ...fromEvil, Forwarded: `host=${EVIL}` } }, foreign),
  attempt('X-Original-URL is no other place', { headers: { 'X-Original-URL': '/metrics' } }, { status: 101 }),
];

const inUrl = problem(400, 'token_in_url');
const nowhere = problem(404, 'not_found');

const TARGETS: readonly Attack[] = [
  attempt('a token in the URL is refused', { target: `/ws?token=${TOKEN}` }, inUrl),
  attempt('an access_token in the URL is refused', { target: `/ws?a=1&access_token=${TOKEN}` }, inUrl),
  attempt('a token in the URL by an escaped name is refused', { target: `/ws?%74oken=${TOKEN}` }, inUrl),
  attempt('an empty token in the URL is refused', { target: '/ws?token' }, inUrl),
  attempt(
    'a good token in the URL is refused too',
    ({ attacker }) => ({ target: `/ws?token=${attacker.access}` }),
    inUrl,
  ),
  attempt('other things in the URL are nothing to us', { target: '/ws?room=1' }, { status: 101 }),
  ...['/', '//', '///', '//[', '/ws/', '/ws/x', '/WS', '/api/v1/users/me', '/%', '/ws%00', '/..//ws', '//ws'].map(
    (target) => attempt(`${target} is no place to upgrade`, { target }, nowhere),
  ),
  attempt('a target that is no path at all is refused', { target: 'http://[' }, nowhere),
  attempt('a target with a port that is none is refused', { target: '//x:99999999/ws' }, nowhere),
];

const bad = { status: 400 };

const HEADERS: readonly Attack[] = [
  ...['0', '7', '12', '14', '999', '-13', '13.5', 'x', ''].map((version) =>
    attempt(`WebSocket version "${version}" is refused`, { headers: { 'Sec-WebSocket-Version': version } }, bad),
  ),
  attempt('no WebSocket version is refused', { headers: { 'Sec-WebSocket-Version': null } }, bad),
  attempt('a short key is refused', { headers: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZQ==' } }, bad),
  attempt('a long key is refused', { headers: { 'Sec-WebSocket-Key': `${'A'.repeat(4_000)}==` } }, bad),
  attempt('a key that is no base64 is refused', { headers: { 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' } }, bad),
  attempt('no key is refused', { headers: { 'Sec-WebSocket-Key': null } }, bad),
  attempt('two keys are refused', { lines: [`Sec-WebSocket-Key: ${HANDSHAKE_KEY}`] }, bad),
  attempt('an upgrade to something else is not made', { headers: { Upgrade: 'h2c' } }, nowhere),
  attempt('an upgrade to several things is not made', { headers: { Upgrade: 'websocket, h2c' } }, nowhere),
  attempt('another method is refused', { method: 'POST' }, { status: 405 }),
  attempt('50 kB in one header are refused', { headers: { 'X-Big': 'x'.repeat(50_000) } }, { status: 431 }),
  attempt(
    '50 kB in many headers are refused',
    { lines: Array.from({ length: 1_000 }, (_, index) => `X-${index}: ${'x'.repeat(45)}`) },
    { status: 431 },
  ),
  attempt('a URL of 50 kB is refused', { target: `/ws?${'x'.repeat(50_000)}` }, { status: 431 }),
  attempt('a header with a NUL is refused', { lines: ['X-Nul: a\0b'] }, bad),
  attempt('a header without a name is refused', { lines: [': x'] }, bad),
  attempt('two lengths are refused', { lines: ['Content-Length: 0', 'Content-Length: 5'] }, bad),
  attempt(
    'an Origin without a Host to compare it with is refused',
    { headers: { Host: null, Origin: `http://${host}` } },
    foreign,
  ),
];

const SUBPROTOCOL = 'sec-websocket-protocol';
const EXTENSIONS = 'sec-websocket-extensions';

/** The headers that choose something; undefined where nothing was chosen. */
async function chosen(headers: Record<string, string>): Promise<object> {
  const answer = await answerTo({ headers });
  return {
    status: answer.status,
    protocol: answer.headers[SUBPROTOCOL] ?? 'none',
    extensions: answer.headers[EXTENSIONS] ?? 'none',
  };
}

function offer(name: string, headers: Record<string, string>, expect: object): Attack {
  return { name, act: () => chosen(headers), expect: { status: 101, protocol: 'none', extensions: 'none', ...expect } };
}

const OFFERS: readonly Attack[] = [
  offer('our subprotocol is selected', { 'Sec-WebSocket-Protocol': 'chatterbox.v1' }, { protocol: 'chatterbox.v1' }),
  offer(
    'our subprotocol is selected among others',
    { 'Sec-WebSocket-Protocol': 'mqtt, chatterbox.v1, chat' },
    { protocol: 'chatterbox.v1' },
  ),
  offer('of other subprotocols none is selected', { 'Sec-WebSocket-Protocol': 'mqtt, chatterbox.v2' }, {}),
  offer('without a subprotocol none is selected', {}, {}),
  offer(
    'compression is never negotiated',
    { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' },
    {},
  ),
  offer(
    'compression of every kind is never negotiated',
    {
      'Sec-WebSocket-Extensions':
        'x-webkit-deflate-frame, permessage-deflate; server_no_context_takeover, permessage-bzip2',
    },
    {},
  ),
  attempt(
    'a broken list of subprotocols is refused',
    { headers: { 'Sec-WebSocket-Protocol': 'chatterbox.v1,,' } },
    bad,
  ),
];

/** Bytes that are no request of HTTP. */
async function garble(bytes: string): Promise<object> {
  const raw = await RawSocket.connect(place.url);
  raw.write(bytes);
  const { status } = await raw.response();
  await raw.closed();
  raw.destroy();
  return { status };
}

const GARBAGE: readonly Attack[] = [
  {
    name: 'bytes that are no HTTP are refused',
    act: () => garble('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'),
    expect: bad,
  },
  { name: 'a request of HTTP/2 is refused', act: () => garble('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), expect: bad },
  {
    name: 'a handshake that never ends leaves when its sender does',
    act: async () => {
      const raw = await RawSocket.connect(place.url);
      raw.write(handshake(raw.host).slice(0, -4));
      await raw.flushed();
      raw.destroy();
      return {};
    },
    expect: {},
  },
  {
    name: 'who is refused and keeps its side open is let go',
    act: async (arena) => {
      const before = await arena.handles();
      const raw = await RawSocket.connect(place.url);
      raw.endsWithPeer = false;
      raw.write(handshake(raw.host, withOrigin('https://evil.com')));
      const { status } = await raw.response();
      await backTo(arena, before);
      raw.destroy();
      return { status };
    },
    expect: { status: 403 },
    once: true,
  },
];

const ODD: readonly Attack[] = [
  {
    name: 'an offer of HTTP/2 with a plain request is nothing to us',
    act: async () => {
      const raw = await RawSocket.connect(place.url);
      const lines = ['HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA'];
      const headers = { Upgrade: 'h2c', Connection: 'Upgrade, HTTP2-Settings' };
      raw.write(handshake(raw.host, { target: '/health', headers, lines }));
      const { status } = await raw.response();
      raw.destroy();
      return { status };
    },
    expect: { status: 200 },
  },
  {
    name: 'a body behind the handshake is heard as frames, which it is not',
    act: async () => {
      const raw = await RawSocket.connect(place.url);
      raw.write(handshake(raw.host, { lines: ['Content-Length: 5'] }), 'hello');
      const { status } = await raw.response();
      const { code } = await raw.closed();
      raw.destroy();
      return { status, code };
    },
    expect: { status: 101, code: 1002 },
  },
  {
    name: 'a connection that has asked for something before is upgraded like any',
    act: async () => {
      const raw = await RawSocket.connect(place.url);
      raw.write(handshake(raw.host, { target: '/health', headers: { Upgrade: null, Connection: 'keep-alive' } }));
      const { status: before } = await raw.response();
      raw.forgetResponse();
      raw.write(handshake(raw.host));
      const { status } = await raw.response();
      await raw.next('welcome');
      await raw.close();
      return { before, status };
    },
    expect: { before: 200, status: 101 },
  },
  {
    name: 'a tunnel through us is refused',
    act: async () => {
      const raw = await RawSocket.connect(place.url);
      raw.write(handshake(raw.host, { method: 'CONNECT', target: '127.0.0.1:1' }));
      const { code } = await raw.closed();
      raw.destroy();
      return { code };
    },
    expect: { code: null },
  },
  {
    name: 'a handshake that comes byte by byte is as good as any',
    act: async () => {
      const raw = await RawSocket.connect(place.url);
      for (const byte of handshake(raw.host)) {
        raw.write(byte);
        await raw.flushed();
      }
      const { status, headers } = await raw.response();
      const welcome = await raw.next('welcome');
      await raw.close();
      return { status, accept: headers['sec-websocket-accept'], welcome };
    },
    expect: { status: 101, accept: acceptFor(HANDSHAKE_KEY), welcome: { t: 'welcome', v: 1 } },
  },
  {
    name: 'a hello glued to the handshake is heard',
    act: async ({ attacker }) => {
      const raw = await RawSocket.connect(place.url);
      raw.write(handshake(raw.host));
      raw.send({ t: 'hello', id: newId(), token: attacker.access });
      const ready = await raw.next('ready');
      await raw.close();
      return ready;
    },
    expect: { t: 'ready', user: { name: 'mallory' } },
  },
  {
    name: 'an upgrade cut off in its middle leaves nothing',
    act: async () => {
      const raw = await RawSocket.connect(place.url);
      raw.write(handshake(raw.host));
      raw.destroy();
      return {};
    },
    expect: {},
  },
];

t.test('origins', (t) => withstand(t, place, ORIGINS));
t.test('what a proxy might have said', (t) => withstand(t, place, FORWARDED, 200));
t.test('targets', (t) => withstand(t, place, TARGETS));
t.test('headers', (t) => withstand(t, place, HEADERS));
t.test('subprotocols and extensions', (t) => withstand(t, place, OFFERS));
t.test('no handshakes at all, and odd ones', (t) => withstand(t, place, [...GARBAGE, ...ODD]));
