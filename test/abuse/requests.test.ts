// HTTP requests that are malformed, ambiguous, too large or odd: the documented refusal, and the bytes behind one are never
// taken for another.
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { RawSocket } from '../kit/raw.ts';
import { type Arena, type Attack, arena, withstand } from './kit.ts';

const OWN = 'https://chat.example.org';
const MAX_BODY = 131_072;
const LOGIN = '/api/v1/auth/login';

const place = await arena(t, { env: { CHAT_ORIGINS: OWN } });
const { host } = new URL(place.url);

interface Parts {
  readonly method?: string;
  readonly target?: string;
  readonly http?: string;
  /** Instead of the usual ones; Host always comes first. */
  readonly lines?: readonly string[];
  readonly body?: string | Buffer;
}

const JSON_TYPE = 'Content-Type: application/json';
const length = (body: string | Buffer) => `Content-Length: ${Buffer.byteLength(body)}`;

function bytesOf({ method = 'POST', target = LOGIN, http = 'HTTP/1.1', lines, body = '' }: Parts): Buffer {
  const head = [`${method} ${target} ${http}`, `Host: ${host}`, ...(lines ?? [JSON_TYPE, length(body)]), '', ''];
  return Buffer.concat([Buffer.from(head.join('\r\n'), 'latin1'), Buffer.from(body)]);
}

/** The first answer on a connection of its own, and how many came in all. */
async function answerTo(...bytes: readonly Buffer[]): Promise<object> {
  const raw = await RawSocket.connect(place.url);
  raw.write(...bytes);
  const { status, headers, body } = await raw.response();
  raw.destroy();
  const { code, field } = body.startsWith('{') ? JSON.parse(body) : {};
  return { status, code, field, headers };
}

function sent(name: string, parts: Parts, expect: object): Attack {
  return { name, act: () => answerTo(bytesOf(parts)), expect };
}

const refused = { status: 400 };
const tooLarge = { status: 413, code: 'too_large' };
const badFrame = (field?: string) => ({ status: 400, code: 'bad_frame', ...(field === undefined ? {} : { field }) });
const GOOD = JSON.stringify({ login: 'nobody', password: 'not this one' });
/** What a login that is well formed gets. */
const taken = { status: 401, code: 'unauthenticated' };

const chunk = (body: string) => `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;
const chunked = (...parts: readonly string[]) => `${parts.map(chunk).join('')}0\r\n\r\n`;
const CHUNKED = [JSON_TYPE, 'Transfer-Encoding: chunked'];

const LENGTHS: readonly Attack[] = [
  sent('a body of its length is taken', { body: GOOD }, taken),
  sent('a body in chunks is taken', { lines: CHUNKED, body: chunked(GOOD.slice(0, 9), GOOD.slice(9)) }, taken),
  sent('a body in chunks of a byte is taken', { lines: CHUNKED, body: chunked(...GOOD) }, taken),
  sent(
    'two lengths are refused',
    { lines: [JSON_TYPE, 'Content-Length: 2', 'Content-Length: 3'], body: '{}x' },
    refused,
  ),
  sent(
    'two equal lengths are refused',
    { lines: [JSON_TYPE, 'Content-Length: 2', 'Content-Length: 2'], body: '{}' },
    refused,
  ),
  sent('a list of lengths is refused', { lines: [JSON_TYPE, 'Content-Length: 2, 2'], body: '{}' }, refused),
  sent('a length and chunks are refused', { lines: [...CHUNKED, 'Content-Length: 4'], body: chunked('{}') }, refused),
  sent(
    'chunks and a length before them are refused',
    { lines: ['Content-Length: 4', ...CHUNKED], body: chunked('{}') },
    refused,
  ),
  ...['-1', '+2', '2x', '0x2', '2.0', '1e1', ' ', '99999999999999999999', '2 2'].map((given) =>
    sent(`a length of "${given}" is refused`, { lines: [JSON_TYPE, `Content-Length: ${given}`], body: '{}' }, refused),
  ),
  ...['identity', 'xchunked', 'chunked, identity', 'chunked, chunked', 'gzip', '"chunked"', 'chunked;x'].map((given) =>
    sent(
      `a transfer encoding "${given}" is refused`,
      { lines: [JSON_TYPE, `Transfer-Encoding: ${given}`], body: chunked('{}') },
      refused,
    ),
  ),
  sent(
    'two transfer encodings are refused',
    { lines: [...CHUNKED, 'Transfer-Encoding: identity'], body: chunked('{}') },
    refused,
  ),
  sent(
    'a transfer encoding with a blank before its colon is refused',
    { lines: [JSON_TYPE, 'Transfer-Encoding : chunked', 'Content-Length: 2'], body: '{}' },
    refused,
  ),
  sent(
    'a header folded over two lines is refused',
    { lines: [JSON_TYPE, 'X-Fold: a', ' Content-Length: 2', length('{}')], body: '{}' },
    refused,
  ),
  sent(
    'a header line with a bare line feed is refused',
    { lines: [`${JSON_TYPE}\nContent-Length: 2`], body: '{}' },
    refused,
  ),
  sent(
    'a header line with a bare carriage return is refused',
    { lines: [`X-A: a\rContent-Length: 2`, JSON_TYPE], body: '{}' },
    refused,
  ),
  ...['zz', '-2', '0x2', '2 ', '', 'fffffffffffffffff'].map((size) =>
    sent(`a chunk of size "${size}" is refused`, { lines: CHUNKED, body: `${size}\r\n{}\r\n0\r\n\r\n` }, refused),
  ),
  sent('a chunk longer than its size is refused', { lines: CHUNKED, body: '1\r\n{}\r\n0\r\n\r\n' }, refused),
  sent(
    '20 kB of chunk extensions are refused',
    { lines: CHUNKED, body: `2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n` },
    { status: 413 },
  ),
  sent(
    'a trailer is no header',
    { lines: [...CHUNKED, 'Trailer: Authorization'], body: `${chunk(GOOD)}0\r\nAuthorization: Bearer x\r\n\r\n` },
    taken,
  ),
  sent('HTTP of another version is refused', { http: 'HTTP/3.7' }, refused),
  sent('a request of HTTP/0.9 is refused', { method: 'GET', target: '/health', http: '', lines: [] }, refused),
  sent('a method there is not is refused', { method: 'BREW', lines: [] }, refused),
  sent('a method in small letters is refused', { method: 'post', lines: [] }, refused),
  sent('a trace is not echoed', { method: 'TRACE', lines: ['X-Secret: x'] }, { status: 404 }),
];

/** Requests on one connection, in one piece, and a last one: the statuses of all answers, in their order. */
async function pipelined(...requests: readonly Buffer[]): Promise<readonly number[]> {
  const { hostname, port } = new URL(place.url);
  const socket = connect(Number(port), hostname);
  const end = bytesOf({ method: 'GET', target: '/ready', lines: ['Connection: close'] });
  socket.write(Buffer.concat([...requests, end]));
  const statuses = (await text(socket)).matchAll(/HTTP\/1\.1 (\d{3})/g);
  return [...statuses].map(([, status]) => Number(status));
}

const hidden = bytesOf({ method: 'GET', target: '/api/v1/users/me', lines: [] }).toString();

const BODIES: readonly Attack[] = [
  sent('a body one byte over the limit is too large', { body: `"${'x'.repeat(MAX_BODY - 1)}"` }, tooLarge),
  sent('a body of exactly the limit is read', { body: `"${'x'.repeat(MAX_BODY - 2)}"` }, badFrame()),
  sent(
    'a body in chunks over the limit is too large',
    { lines: CHUNKED, body: chunked(...Array.from({ length: 20 }, () => 'x'.repeat(8_000))) },
    tooLarge,
  ),
  sent(
    'a declared length over the limit is refused before it comes',
    { lines: [JSON_TYPE, 'Content-Length: 9007199254740991'] },
    tooLarge,
  ),
  sent(
    'a declared length of 2^64 is refused before it comes',
    { lines: [JSON_TYPE, 'Content-Length: 18446744073709551616'] },
    refused,
  ),
  sent(
    'a packed body is not unpacked',
    { lines: [JSON_TYPE, 'Content-Encoding: gzip', length(gzipSync(GOOD))], body: gzipSync(GOOD) },
    { status: 400, code: 'bad_json' },
  ),
  sent(
    'a bomb is not unpacked',
    {
      lines: [JSON_TYPE, 'Content-Encoding: gzip', length(gzipSync(Buffer.alloc(10_000_000)))],
      body: gzipSync(Buffer.alloc(10_000_000)),
    },
    { status: 400, code: 'bad_json' },
  ),
  sent(
    'an expectation there is not is refused',
    { lines: [JSON_TYPE, 'Expect: a miracle', length(GOOD)], body: GOOD },
    { status: 417 },
  ),
  sent(
    '100,000 keys are too many bytes',
    { body: `{${Array.from({ length: 100_000 }, (_, key) => `"k${key}":0`)}}` },
    tooLarge,
  ),
  sent(
    '10,000 keys are unknown fields',
    { body: `{${Array.from({ length: 10_000 }, (_, key) => `"k${key}":0`)}}` },
    badFrame(),
  ),
  sent(
    'lists 10,000 deep are no password',
    { body: `{"login":"a","password":${'['.repeat(10_000)}${']'.repeat(10_000)}}` },
    badFrame('password'),
  ),
  sent(
    'objects 10,000 deep that never close are no JSON',
    { body: '{"login":'.repeat(10_000) },
    { status: 400, code: 'bad_json' },
  ),
  sent('1e999 is no text', { body: '{"login":1e999,"password":"x"}' }, badFrame('login')),
  sent('__proto__ is an unknown field', { body: `{"__proto__":{"login":"a","password":"b"}}` }, badFrame()),
  sent(
    'a body that is no UTF-8 is no login that is',
    { body: Buffer.from('7b226c6f67696e223a22c3282222', 'hex') },
    { status: 400, code: 'bad_json' },
  ),
  sent('a body in UTF-16 is no JSON', { body: Buffer.from(GOOD, 'utf16le') }, { status: 400, code: 'bad_json' }),
  sent(
    'a GET with a body is answered, its body is nothing',
    { method: 'GET', target: '/health', body: GOOD },
    { status: 200 },
  ),
  {
    name: 'what a GET carries as its body is no request',
    act: () => pipelined(bytesOf({ method: 'GET', target: '/health', lines: [length(hidden)], body: hidden })),
    expect: [200, 200],
  },
  {
    name: 'requests in one piece are answered one by one, in order, up to one whose body cannot be read',
    act: () =>
      pipelined(
        bytesOf({ body: GOOD }),
        bytesOf({ method: 'GET', target: '/health', lines: [] }),
        bytesOf({ body: '{' }),
      ),
    expect: [401, 200, 400],
  },
  {
    name: 'who hangs up within a body leaves nothing',
    act: async () => {
      const raw = await RawSocket.connect(place.url);
      raw.write(bytesOf({ lines: [JSON_TYPE, 'Content-Length: 1000'], body: '{"login":' }));
      await raw.flushed();
      raw.destroy();
      return {};
    },
    expect: {},
  },
];

const OTHER_TYPES = [
  'text/plain',
  'text/json',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/jsonp',
  'application/json/x',
  'application/problem+json',
  'application/json, text/plain',
  'application/xml',
  '*/*',
  'json',
  ';',
];
const JSON_TYPES = [
  'application/json',
  'APPLICATION/JSON',
  'application/json; charset=utf-8',
  'application/json;charset=utf-7',
];
const JSON_OF_NOTHING = '{"login":{"$ne":null},"password":"x"}';
const typed = (type: string, body: string): Parts => ({ lines: [`Content-Type: ${type}`, length(body)], body });

const TYPES: readonly Attack[] = [
  ...OTHER_TYPES.map((type) =>
    sent(`a body of type "${type}" is not read`, typed(type, GOOD), { status: 415, code: 'unsupported_media_type' }),
  ),
  ...JSON_TYPES.map((type) =>
    sent(`a body of type "${type}" is checked like any`, typed(type, JSON_OF_NOTHING), badFrame('login')),
  ),
  sent('a body without a type is not read', { lines: [length(GOOD)], body: GOOD }, { status: 415 }),
  sent(
    'two types are not read as the one that fits',
    { lines: ['Content-Type: text/plain', JSON_TYPE, length(GOOD)], body: GOOD },
    { status: 415 },
  ),
  sent('another charset changes nothing: JSON is UTF-8', typed('application/json; charset=utf-16', GOOD), taken),
];

const asked = (arena: Arena, target: string): Buffer =>
  bytesOf({ method: 'GET', target: `/api/v1/${target}`, lines: [`Authorization: Bearer ${arena.attacker.access}`] });

function query(target: string, expect: object): Attack {
  return { name: `${target.slice(0, 60)} is refused`, act: (arena) => answerTo(asked(arena, target)), expect };
}

const QUERIES: readonly Attack[] = [
  query('users?q=a&q=b', badFrame('q')),
  query('users?q=a&limit=1&limit=2', badFrame('limit')),
  query('users?q[]=a', badFrame('q[]')),
  query('users?q[a]=b', badFrame('q[a]')),
  query('users?q=a&__proto__=x', badFrame('__proto__')),
  query('users?q=a&__proto__[limit]=1', badFrame('__proto__[limit]')),
  query('users?q=a&constructor=x', badFrame('constructor')),
  query('users?q=a&limit=01', badFrame('limit')),
  query('users?q=a&limit=-1', badFrame('limit')),
  query('users?q=a&limit=1e2', badFrame('limit')),
  query('users?q=a&limit=%201', badFrame('limit')),
  query('users?q=a&limit=', badFrame('limit')),
  query('users?q=a&limit=true', badFrame('limit')),
  query('users?q=a&limit=9007199254740993', badFrame('limit')),
  query('users?q=a&=x', { status: 400, code: 'bad_frame' }),
  query('users?q=%00', { status: 200 }),
  query('users?q=%ff', { status: 200 }),
  query('users?q=%', { status: 200 }),
  query(`users?q=${'a'.repeat(101)}`, badFrame('q')),
  query(`users?${Array.from({ length: 1_000 }, (_, key) => `k${key}=1`).join('&')}`, { status: 400 }),
  query(`users?ids=${Array.from({ length: 101 }, () => 'a').join()}`, tooLarge),
  query('users?ids=a,,b', badFrame('ids')),
  query('conversations?cursor=1&cursor=2', badFrame('cursor')),
  query('conversations?cursor=nonsense', badFrame('cursor')),
  query(`conversations?cursor=${'1'.repeat(513)}`, badFrame('cursor')),
  query('conversations?cursor=9999999999999999.x', { status: 200 }),
  query('rooms?cursor=nonsense', {}),
  query('rooms?cursor=%00', {}),
  query('users?q=a&cursor=nonsense', {}),
  query('users?q=a&cursor=%00%ff', {}),
  query(`conversations/${place.conv}/messages?before=1&after=1`, { status: 400 }),
  query('users/..%2f..%2fetc%2fpasswd', { status: 400, code: 'bad_frame' }),
  query('users/%00', { status: 400, code: 'bad_frame' }),
  query('users/%E0%A4%A', { status: 400, code: 'bad_frame' }),
  query(`users/${'a'.repeat(41)}`, { status: 400, code: 'bad_frame' }),
  query(`users/${'a'.repeat(10_000)}`, { status: 404 }),
  query('../../etc/passwd', { status: 404 }),
  query('conversations/a/messages/1;drop', { status: 404 }),
].map((attack) => ({ ...attack, name: attack.name.replace(/ is refused$/, ' is answered as documented') }));

type Headers = Readonly<Record<string, string>>;

/** What a browser is told that a page of an origin may do. */
function cors(name: string, method: string, headers: Headers, expect: object): Attack {
  const act = async () => {
    const lines = Object.entries(headers).map(([header, value]) => `${header}: ${value}`);
    const { status, headers: told } = (await answerTo(bytesOf({ method, target: '/api/v1/users/me', lines }))) as {
      status: number;
      headers: Headers;
    };
    return {
      status,
      origin: told['access-control-allow-origin'],
      credentials: told['access-control-allow-credentials'],
    };
  };
  return { name, act, expect: { credentials: undefined, ...expect } };
}

const preflight = { 'Access-Control-Request-Method': 'PATCH', 'Access-Control-Request-Headers': 'authorization' };
const FOREIGN = [
  'https://evil.example',
  'null',
  `${OWN}.evil.example`,
  'http://chat.example.org',
  `${OWN}:8443`,
  '*',
  '',
];

const ORIGINS: readonly Attack[] = [
  cors('a page of ours may read', 'GET', { Origin: OWN }, { status: 401, origin: OWN }),
  cors('a page of ours may ask what it may', 'OPTIONS', { Origin: OWN, ...preflight }, { status: 204, origin: OWN }),
  ...FOREIGN.flatMap((origin) => [
    cors(`a page of "${origin}" may not read`, 'GET', { Origin: origin }, { status: 401, origin: undefined }),
    cors(`a page of "${origin}" may not ask`, 'OPTIONS', { Origin: origin, ...preflight }, { origin: undefined }),
  ]),
];

t.test('lengths, chunks and versions', (t) => withstand(t, place, LENGTHS, 500));
t.test('bodies', (t) => withstand(t, place, BODIES, 300));
t.test('types of bodies', (t) => withstand(t, place, TYPES, 300));
t.test('queries and paths', (t) => withstand(t, place, QUERIES, 300));
t.test('what a page of another site may do', (t) => withstand(t, place, ORIGINS, 300));

t.test('a refusal that comes before the route is found has its id, and tells of no limit there is not', async (t) => {
  for (const path of ['/api/v1/users/%E0%A4%A', `/api/v1/users/${'a'.repeat(500)}`, '/api/v1/nothing', '/nothing']) {
    const { headers, body } = await place.http('GET', path);
    t.match(headers.get('x-request-id'), /^[0-9a-f-]{36}$/, path.slice(0, 40));
    t.equal(headers.get('x-request-id'), body.requestId);
    t.equal(headers.get('ratelimit-limit'), null);
  }
});
