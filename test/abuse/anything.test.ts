// Anything near a request, over both doors: never a crash, never a defect, never a word of what is inside; and the promises
// to a connection hold: one answer for each request, by its id.
import * as fc from 'fast-check';
import type { RouteOptions } from 'fastify';
import t from 'tap';
import { ERRORS, type ErrorCode } from '../../src/errors.ts';
import { CLIENT_FRAMES, REQUESTS } from '../../src/protocol/requests.ts';
import { type Account, random } from '../kit/index.ts';
import type { Json, RawSocket } from '../kit/raw.ts';
import type { Shape } from '../protocol/schemas.ts';
import { arena, type HttpAnswer, leavesLittle, newId } from './kit.ts';
import { jsonNear, type Near, queryNear } from './near.ts';
import { routesOf } from './rights/routes.ts';

const FRAMES_RUNS = 400;
const MOST_FRAMES = 6;
const RUNS_OF_A_ROUTE = 60;
/** What the tail of the log keeps of the changes made here, and code compiled for the odd paths. */
const KEPT_BYTES = 24 * 1_048_576;

const place = await arena(t);
const { server, ann } = place;
const member = await server.client('mallory');
const carl = await server.account('carl');
const group = await ann.group([member], { title: 'anything' });
const room = await ann.room({ title: 'anything' });
await ann.send(group, 'something');
const { seed } = random();

/** Of the inside: files, calls, databases, parts. */
const INSIDE =
  /node_modules|node:|\.ts\b|\bat .+:\d+|\/(?:src|tmp|home|work)\/|sqlite|mongo|redis|bson|E11000|argon2|fastify|typebox|pino|Cannot |is not a function|undefined|\[object|errno|ECONN/i;

const NEAR: Near = {
  conv: fc.constantFrom(group, group, group, room, place.conv, 'no-such-conversation', '__proto__'),
  user: fc.constantFrom(ann.id, member.id, carl.id, 'nobody'),
  users: fc.subarray([ann.id, member.id, carl.id, 'nobody']),
  members: fc.subarray([ann.id, carl.id, 'nobody']),
  seq: fc.nat(30),
  reply: fc.nat(30),
  around: fc.nat(30),
  before: fc.nat(30),
  after: fc.nat(30),
  id: fc.uuid(),
  username: fc.stringMatching(/^[a-z0-9]{12}$/),
  email: fc.stringMatching(/^[a-z0-9]{12}@example\.org$/),
  login: fc.constantFrom('ann', 'mallory', 'nobody'),
  password: fc.constantFrom('correct horse battery', 'another password'),
};

const options = (numRuns: number) => ({ seed: seed | 0, numRuns, endOnFailure: false });

// ---- frames --------------------------------------------------------------------------------------------------------

const SHAPES = CLIENT_FRAMES as unknown as Readonly<Record<string, Shape>>;
/** These end the connection, mostly: now and then is often enough. */
const weightOf = (name: string) => (name === 'hello' || name === 'renew' ? 1 : 6);
const frame = fc.oneof(
  ...Object.entries(SHAPES).map(([name, shape]) => ({ arbitrary: jsonNear(shape, NEAR), weight: weightOf(name) })),
);

interface Said {
  readonly id: string;
  /** Has to be answered; others with an id may be told of a fault by it. */
  readonly isRequest: boolean;
}

function idsOf(texts: readonly string[]): readonly Said[] {
  return texts.flatMap((text) => {
    try {
      const { t: type, id } = JSON.parse(text) ?? {};
      const isRequest = typeof type === 'string' && Object.hasOwn(REQUESTS, type);
      return typeof id === 'string' && id.length <= 64 ? [{ id, isRequest }] : [];
    } catch {
      return [];
    }
  });
}

/** All that is said to these frames, until each has its answer or the connection is ended. */
async function talk(raw: RawSocket, texts: readonly string[]): Promise<{ answers: readonly Json[]; isOpen: boolean }> {
  const fence = newId();
  const requests = idsOf(texts).filter(({ isRequest }) => isRequest);
  const wanted = [...requests.map(({ id }) => id), fence];
  for (const text of texts) raw.send(text);
  raw.send({ t: 'ping', id: fence });
  const answers: Json[] = [];
  try {
    for (const id of wanted) answers.push(await raw.next((each) => each.id === id));
  } catch (error) {
    if (!String(error).includes('ended before')) throw error;
  }
  return { answers: [...answers, ...raw.unread], isOpen: answers.length === wanted.length };
}

function checkError(error: Json): void {
  const { t: _type, id: _id, code, message, retry, after, field, ...rest } = error;
  if (!(code in ERRORS) || code === 'internal') throw new Error(`a defect: ${JSON.stringify(error)}`);
  if (Object.keys(rest).length > 0) throw new Error(`more than an error has: ${JSON.stringify(error)}`);
  if (INSIDE.test(message) || typeof retry !== 'boolean') throw new Error(`not an error: ${JSON.stringify(error)}`);
  if (after !== undefined && !Number.isFinite(after)) throw new Error(`no time to wait: ${JSON.stringify(error)}`);
  if (field !== undefined && field.length > 64) throw new Error('the name of a field is echoed, however long it is');
}

async function frames(texts: readonly string[]): Promise<void> {
  const raw = await place.enter(member.account);
  const { answers, isOpen } = await talk(raw, texts);
  for (const answer of answers) if (answer.t === 'error') checkError(answer);
  const said = Map.groupBy(idsOf(texts), ({ id }) => id);
  const answered = Map.groupBy(answers, ({ id }) => id);
  for (const [id, times] of answered) {
    if (id !== undefined && times.length > (said.get(id)?.length ?? 1))
      throw new Error(`${id}: ${times.length} answers`);
  }
  if (isOpen) return void (await raw.close());
  const { code } = await raw.closed();
  raw.destroy();
  if (code === null || ![4500, 4501, 1007, 1009].includes(code)) throw new Error(`closed by ${code}`);
}

t.test('frames near the right shape are answered once each, and by no defect', async (t) => {
  t.comment(`seed ${seed}; CHAT_TEST_SEED=${seed} says the same again`);
  await leavesLittle(t, place, KEPT_BYTES, async () => {
    const some = fc.array(frame, { minLength: 1, maxLength: MOST_FRAMES });
    await fc.assert(fc.asyncProperty(some, frames), options(FRAMES_RUNS));
    t.pass(`${FRAMES_RUNS} connections`);
  });
});

// ---- routes --------------------------------------------------------------------------------------------------------

type Schemas = Readonly<Partial<Record<'body' | 'querystring' | 'params', Shape>>>;

interface Asked {
  readonly path: string;
  readonly query: string;
  readonly body: string;
  readonly token: string;
  readonly headers: Readonly<Record<string, string>>;
}

const HEADERS: readonly Readonly<Record<string, string>>[] = [
  ...Array(20).fill({}),
  { 'idempotency-key': 'x'.repeat(64) },
  { 'idempotency-key': 'too short'.slice(0, 7) },
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/json; charset=nonsense' },
  { accept: 'text/html', 'accept-encoding': 'br;q=nonsense' },
  { 'x-request-id': '../../x', 'x-http-method-override': 'DELETE' },
  { range: 'bytes=0-99999999999', 'if-none-match': '*', 'if-modified-since': 'never' },
];

const SEGMENTS = [
  '..',
  '.',
  '%',
  'a b',
  '\0',
  'é',
  '__proto__',
  'x'.repeat(41),
  'x'.repeat(3_000),
  '0',
  '-1',
  '1.5',
  '',
];

function pathNear(url: string): fc.Arbitrary<string> {
  const parts = url.split('/').map((part) => {
    const real = NEAR[part.slice(1)]?.map((value) => encodeURIComponent(String(value)));
    if (!part.startsWith(':') || real === undefined) return fc.constant(part);
    const odd = fc.oneof(fc.constantFrom(...SEGMENTS), fc.string()).map(encodeURIComponent);
    return fc.oneof({ arbitrary: real, weight: 12 }, { arbitrary: odd, weight: 1 });
  });
  return fc.tuple(...parts).map((each) => each.join('/'));
}

function askedOf({ url, schema }: RouteOptions, account: Account): fc.Arbitrary<Asked> {
  const { body, querystring } = (schema ?? {}) as Schemas;
  const tokens = [...Array<string>(10).fill(account.access), 'x.y.z', account.refresh];
  return fc.record({
    path: pathNear(url),
    query: querystring === undefined ? fc.constant('') : queryNear(querystring, NEAR),
    body: body === undefined ? fc.constantFrom('', '{}', 'null', '{"a":1}') : jsonNear(body, NEAR),
    token: fc.constantFrom(...tokens),
    headers: fc.constantFrom(...HEADERS),
  });
}

async function answerTo(method: string, { path, query, body, token, headers }: Asked): Promise<HttpAnswer> {
  const isRead = method === 'GET';
  const all = {
    connection: 'close',
    authorization: `Bearer ${token}`,
    ...(isRead ? {} : { 'content-type': 'application/json' }),
    ...headers,
  };
  const target = `${server.url}${path}${query === '' ? '' : `?${query}`}`;
  const response = await fetch(target, { method, headers: all, ...(isRead ? {} : { body }) });
  const text = await response.text();
  const isJson = text.startsWith('{');
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : {} };
}

/** Names that no answer has: of secrets, and of how things are kept. */
const NEVER_TOLD = /"(?:_id|__v|hash|secret|stack|cause|salt|phc|password|current)":/;

function check({ status, headers, text, body }: HttpAnswer): void {
  if (status < 400) {
    if (NEVER_TOLD.test(text)) throw new Error(`tells too much: ${text.slice(0, 500)}`);
    return;
  }
  const { type, title, status: told, code, detail, requestId, field, ...rest } = body;
  const known = ERRORS[code as ErrorCode] as { http?: number } | undefined;
  if (code === 'internal' || status >= 500) throw new Error(`a defect: ${status} ${text}`);
  if (known?.http !== status || told !== status) throw new Error(`not as the table says: ${status} ${text}`);
  if (Object.keys(rest).length > 0 || type !== `urn:chatterbox:error:${code}`) throw new Error(`no problem: ${text}`);
  if (requestId !== headers.get('x-request-id')) throw new Error(`under which id? ${text}`);
  if (INSIDE.test(`${title} ${detail}`)) throw new Error(`tells of the inside: ${text}`);
  if (field !== undefined && field.length > 64) throw new Error('the name of a field is echoed, however long it is');
}

t.test('requests near the right shape get an answer of the documentation, and by no defect', async (t) => {
  t.comment(`seed ${seed}; CHAT_TEST_SEED=${seed} asks the same again`);
  const all = await routesOf(t);
  const routes = all.filter(({ url, method }) => url.startsWith('/api/') && method !== 'HEAD');
  t.ok(routes.length > 20, `${routes.length} routes`);
  await leavesLittle(t, place, KEPT_BYTES, async () => {
    for (const route of routes) {
      const method = String(route.method);
      const statuses = new Map<number, number>();
      // Whatever it does to its own account or session, others go on with theirs.
      const account = await server.account('somebody');
      await ann.http('POST', `conversations/${group}/members`, { users: [account.id] });
      const property = fc.asyncProperty(askedOf(route, account), async (asked) => {
        const answer = await answerTo(method, asked);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        check(answer);
      });
      await fc.assert(property, options(RUNS_OF_A_ROUTE));
      const told = [...statuses].sort(([one], [other]) => one - other).map(([status, count]) => `${count} × ${status}`);
      t.pass(`${method} ${route.url}: ${told.join(', ')}`);
    }
  });
});

t.test('nothing of all that was a failure of the server', async (t) => {
  await place.staysWell(t);
  t.notMatch(server.process.stderr, /"level":[56]0/, 'nothing is logged as one');
});
