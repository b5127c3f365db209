// Section 6 of the protocol, line by line: every error code and every close code is reached from the front door, or stands
// in a list with the reason why it cannot be yet.
import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import { CLOSES, ERRORS, type ErrorCode } from '../../src/errors.ts';
import { type Client, eventually, type Server, server } from '../kit/index.ts';
import { clientFrame } from '../kit/raw.ts';

/** Reached elsewhere: what has to go wrong for them is a fault of the machine. */
const NOT_HERE: Partial<Record<ErrorCode, string>> = {
  read_only: 'settings of a conversation come with administration',
  muted: 'muting comes with administration',
  blocked: 'blocking comes with administration',
  limit_reached: 'the first limits of this kind are those of reactions and pins',
  overloaded: 'the log has to outgrow its budget: test/faults',
  unavailable: 'the log has to be out of reach: test/faults',
  internal: 'a defect: test/http/problems.test.ts throws one',
};

interface World {
  readonly s: Server;
  readonly ann: Client;
  readonly bob: Client;
  readonly group: string;
}

type Reach = (world: World) => Promise<{ readonly code?: unknown }>;

const ask =
  (frame: { t: string } & Record<string, unknown>): Reach =>
  async ({ ann, group }) =>
    (await ann.device()).refused({ conv: group, ...frame });

const BEFORE_READY: Reach = async ({ s, ann }) => {
  const connection = await s.connection(ann.account).opened();
  return connection.refused({ t: 'ping' });
};

const sendRaw =
  (data: string | Buffer): Reach =>
  async ({ ann }) => {
    const device = await ann.device();
    device.ws.send(data);
    return device.nextError();
  };

/** How each code is reached over a socket. */
const OVER_SOCKET: Partial<Record<ErrorCode, Reach>> = {
  bad_json: sendRaw('{'),
  bad_frame: ask({ t: 'message', text: 5 }),
  unknown_type: ask({ t: 'nonsense' }),
  too_large: ask({ t: 'message', text: 'x'.repeat(4_001) }),
  unauthenticated: BEFORE_READY,
  invalid_token: async ({ s, ann }) => (await s.connection(ann.account).opened()).refused({ t: 'hello', token: 'x' }),
  already_authenticated: async ({ ann }) => (await ann.device()).refused({ t: 'hello', token: 'x' }),
  not_found: ask({ t: 'history', conv: 'no-such' }),
  forbidden: async ({ ann, bob }) => bob.refused({ t: 'history', conv: await ann.room() }),
  conflict: ask({ t: 'leave' }),
  gone: async ({ ann, group }) => {
    const { seq } = await ann.send(group, 'x');
    await ann.remove(group, seq);
    return ann.refused({ t: 'edit', conv: group, seq, text: 'y' });
  },
  unsupported_media_type: sendRaw(Buffer.from('{}')),
  rate_limited: async ({ ann, group }) => {
    const device = await ann.device();
    const asked = Array.from({ length: 200 }, () => device.request({ t: 'history', conv: group }));
    const answers = await Promise.all(asked);
    return answers.find((answer) => answer.t === 'error') ?? {};
  },
};

const http =
  (method: string, path: string, body?: unknown): Reach =>
  async ({ ann, group }) =>
    (await ann.http(method, path.replace(':conv', group), body)).body;

/** How each code is reached over HTTP. */
const OVER_HTTP: Partial<Record<ErrorCode, Reach>> = {
  bad_json: async ({ s, ann }) => {
    const headers = { authorization: `Bearer ${ann.account.access}`, 'content-type': 'application/json' };
    const response = await fetch(`${s.url}/api/v1/conversations`, { method: 'POST', headers, body: '{' });
    return (await response.json()) as { code: string };
  },
  bad_frame: http('POST', 'conversations', { kind: 'nonsense' }),
  too_large: http('POST', 'conversations/:conv/messages', { text: 'x'.repeat(4_001) }),
  unauthenticated: async ({ s }) => (await s.http('GET', 'users/me')).body,
  invalid_token: async ({ s }) => (await s.http('GET', 'users/me', undefined, { token: 'x' })).body,
  token_in_url: async ({ s, ann }) => refusalOf(`${s.socketUrl}?token=${ann.account.access}`),
  origin_not_allowed: async ({ s }) => refusalOf(s.socketUrl, 'https://evil.example'),
  not_found: http('GET', 'conversations/no-such'),
  forbidden: async ({ ann, bob }) => (await bob.http('GET', `conversations/${await ann.room()}`)).body,
  conflict: async ({ s }) => {
    await s.account('taken');
    const fields = { email: 'other@example.org', username: 'taken', password: 'correct horse battery' };
    return (await s.http('POST', 'auth/register', fields)).body;
  },
  gone: async ({ ann, group }) => {
    const { seq } = await ann.send(group, 'x');
    await ann.remove(group, seq);
    return (await ann.http('PATCH', `conversations/${group}/messages/${seq}`, { text: 'y' })).body;
  },
  unsupported_media_type: async ({ s, ann }) => {
    const headers = { authorization: `Bearer ${ann.account.access}`, 'content-type': 'text/plain' };
    const response = await fetch(`${s.url}/api/v1/conversations`, { method: 'POST', headers, body: 'x' });
    return (await response.json()) as { code: string };
  },
  rate_limited: async (world) => {
    const limited = await server(t, { env: { CHAT_HTTP_RATE: '1' } });
    await limited.http('GET', 'users/me');
    return (await limited.http('GET', 'users/me', undefined, { token: world.ann.account.access })).body;
  },
};

async function refusalOf(url: string, origin?: string): Promise<{ code?: unknown }> {
  const ws = new WebSocket(url, origin === undefined ? {} : { origin });
  ws.on('error', () => {});
  const [, response] = (await once(ws, 'unexpected-response')) as [unknown, AsyncIterable<Buffer>];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()) as { code: string };
}

type Ends = (world: World) => Promise<Client>;

const deviceThat =
  (misbehave: (device: Client) => void): Ends =>
  async ({ ann }) => {
    const device = await ann.device();
    misbehave(device);
    return device;
  };

/** How each close code is reached. */
const CLOSING: Record<number, Ends> = {
  [CLOSES.going_away]: async () => {
    const own = await server(t);
    const client = await own.client('ann');
    void own.stop('SIGTERM');
    return client;
  },
  [CLOSES.too_slow]: askWithoutReading,
  [CLOSES.token_expired]: async () => {
    const own = await server(t, { env: { CHAT_ACCESS_TTL: '1s' } });
    return own.client('ann');
  },
  [CLOSES.flooding]: async () => {
    const own = await server(t, { env: { CHAT_MESSAGE_RATE: '1', CHAT_MESSAGE_BURST: '1' } });
    const client = await own.client('ann');
    for (let count = 0; count < 50; count++) client.signal({ t: 'history', id: `one-of-many-${count}`, conv: 'c' });
    return client;
  },
  [CLOSES.no_pong]: async () => {
    const own = await server(t, { fastClock: true });
    return own.client('ann', { ws: { autoPong: false } as object });
  },
  [CLOSES.invalid_token]: deviceThat((device) => device.signal({ t: 'renew', id: 'a-renewal', token: 'x' })),
  [CLOSES.protocol_violation]: deviceThat((device) => device.signal({ t: 'hello', id: 'another-hello', token: 'x' })),
  [CLOSES.auth_timeout]: async () => {
    const own = await server(t, { fastClock: true });
    return own.connection(await own.account('ann')).opened();
  },
  [CLOSES.session_revoked]: async ({ s }) => {
    const client = await s.client('leaver');
    await client.http('POST', 'auth/logout');
    return client;
  },
  [CLOSES.too_many_connections]: async () => {
    const own = await server(t, { env: { CHAT_MAX_CONNECTIONS_PER_ADDRESS: '1' } });
    const first = await own.client('ann');
    return own.connection(first.account);
  },
  1002: deviceThat((device) => device.socket.write(clientFrame({ payload: '{}', masked: false }))),
  1003: deviceThat((device) => {
    device.ws.send(Buffer.from('one'));
    device.ws.send(Buffer.from('two'));
  }),
  1007: deviceThat((device) => device.ws.send(Buffer.from([0xff, 0xfe]), { binary: false })),
  1008: deviceThat((device) => {
    for (let count = 0; count < 5_000; count++) device.ws.send('x', { fin: false });
  }),
  1009: deviceThat((device) => device.ws.send('x'.repeat(65_537))),
};

/** What four answers put into an outbox at the least. */
const ANSWERS_BYTES = 4 * 130_000;
/** In each of them something is said in the end: the first that finds no room for its `behind` ends the connection. */
const QUIET = 80;

/** More than one answer may hold, in small pieces: each answer is as full as it can be. */
const PIECES = 480;

/**
 * Lets its buffers fill up to the last bytes, asks for as much as may be asked at once, and then something must be told
 * that finds no room. Reads on once the server has closed, to see the close frame.
 */
async function askWithoutReading(): Promise<Client> {
  const own = await server(t, { env: { CHAT_OUTBOX_BYTES: '65536' } });
  const [ann, deaf] = await own.clients('ann', 'deaf');
  const [loud, lower, pieces] = [await ann.group([deaf]), await ann.group([deaf]), await ann.group([deaf])];
  const quiet = await Promise.all(Array.from({ length: QUIET }, () => ann.group([deaf])));
  // One after the other: more in one turn than its outbox holds would put it behind already.
  for (let count = 0; count < PIECES; count++) await ann.send(pieces, 'x'.repeat(160));
  for (const conv of quiet) await deaf.hears(conv);
  const count = async (metric: string) =>
    Number(
      new RegExp(`^${metric} (\\d+)`, 'm').exec((await own.http('GET', '/metrics')).body.text as string)?.[1] ?? 0,
    );
  deaf.socket.pause();
  while ((await count('chat_behind_total')) === 0) await ann.send(loud, '\u{1f4a7}'.repeat(4_000));
  while ((await count('chat_behind_total')) === 1) await ann.send(lower, 'x'.repeat(1_000));
  deaf.socket.cork();
  for (let index = 0; index < 4; index++)
    deaf.request({ t: 'sync', conv: pieces, after: 1, limit: 500 }).catch(() => {});
  deaf.socket.uncork();
  await eventually(async () => (await count('chat_outbox_bytes')) > ANSWERS_BYTES);
  for (const conv of quiet) await ann.send(conv, 'x');
  await eventually(async () => (await count('chat_closes_total{code="4002"}')) === 1);
  deaf.socket.resume();
  return deaf;
}

const s = await server(t);
const [ann, bob] = await s.clients('ann', 'bob');
const world: World = { s, ann, bob, group: await ann.group([bob]) };

t.test('every error code that a socket can get is reached', async (t) => {
  for (const [code, reach] of Object.entries(OVER_SOCKET)) t.equal((await reach(world)).code, code);
});

t.test('every error code that HTTP can answer is reached', async (t) => {
  for (const [code, reach] of Object.entries(OVER_HTTP)) {
    const answer = await reach(world);
    t.match(answer, { code, status: (ERRORS[code as ErrorCode] as { http?: number }).http }, code);
  }
});

t.test('every close code is reached', async (t) => {
  const reached = await Promise.all(Object.values(CLOSING).map(async (end) => (await (await end(world)).ended()).code));
  t.same(reached, Object.keys(CLOSING).map(Number));
});

t.test('no code of the table is forgotten', async (t) => {
  for (const code of Object.keys(ERRORS)) {
    t.ok((code in OVER_SOCKET || code in OVER_HTTP) !== code in NOT_HERE, code);
  }
  for (const [name, code] of Object.entries(CLOSES)) t.ok(code in CLOSING, name);
});
