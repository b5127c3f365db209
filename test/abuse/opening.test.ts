// The opening abused: frames before hello, hellos of somebody else, and tokens that are forged, expired or of another kind.
import { createHmac, createSign, generateKeyPairSync, randomBytes } from 'node:crypto';
import t from 'tap';
import { clientFrame, clientText, OPCODE } from '../kit/raw.ts';
import { type Arena, type Attack, arena, closingOf, newId, withstand } from './kit.ts';

const secret = randomBytes(32).toString('hex');
const place = await arena(t, { env: { CHAT_SECRET: secret } });
place.secrets.push(secret);

const SECOND = Math.floor(Date.now() / 1_000);
const RSA = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const RSA_PUBLIC = RSA.publicKey.export({ type: 'spki', format: 'pem' }).toString();

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
const payloadOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

/** What a good token of the attacker says, but for what the test changes. */
function claims(changes: object = {}): object {
  const { sub, sid } = payloadOf(place.attacker.access);
  return { sub, sid, kind: 'access', aud: 'chatterbox', iat: SECOND, exp: SECOND + 600, ...changes };
}

function signed(payload: object, header: object = {}, key: string = secret, hash = 'sha256'): string {
  const text = `${encoded({ alg: 'HS256', typ: 'JWT', ...header })}.${encoded(payload)}`;
  return `${text}.${createHmac(hash, key).update(text).digest('base64url')}`;
}

function signedByRsa(payload: object): string {
  const text = `${encoded({ alg: 'RS256', typ: 'JWT' })}.${encoded(payload)}`;
  return `${text}.${createSign('sha256').update(text).sign(RSA.privateKey, 'base64url')}`;
}

function unsigned(payload: object, alg: string): string {
  return `${encoded({ alg, typ: 'JWT' })}.${encoded(payload)}.`;
}

const [goodHeader, goodPayload, goodSignature] = signed(claims()).split('.') as [string, string, string];
const someoneElse = payloadOf(place.ann.account.access);

const BAD_TOKENS: Readonly<Record<string, string>> = {
  'that expired a second ago': signed(claims({ exp: SECOND - 1 })),
  'that expired long ago': signed(claims({ exp: 1 })),
  'that expires in a text': signed(claims({ exp: `${SECOND + 600}` })),
  'that never expires': signed(claims({ exp: undefined })),
  'for another audience': signed(claims({ aud: 'another-service' })),
  'for no audience': signed(claims({ aud: undefined })),
  'for an audience that begins alike': signed(claims({ aud: 'chatterbox-admin' })),
  'of another kind': signed(claims({ kind: 'refresh' })),
  'of no kind': signed(claims({ kind: undefined })),
  'of nobody': signed(claims({ sub: undefined })),
  'of a user that is an object': signed(claims({ sub: { $ne: null } })),
  'of a user who does not exist': signed(claims({ sub: 'nobody' })),
  'of no session': signed(claims({ sid: undefined })),
  'of a session that does not exist': signed(claims({ sid: 'no-such-session' })),
  "of somebody else's session": signed(claims({ sid: someoneElse.sid })),
  'of somebody else in my session': signed(claims({ sub: someoneElse.sub })),
  'with alg none': unsigned(claims(), 'none'),
  'with alg None': unsigned(claims(), 'None'),
  'with alg NONE and a signature': `${unsigned(claims(), 'NONE')}${goodSignature}`,
  'with no alg': signed(claims(), { alg: undefined }),
  'with an empty alg': signed(claims(), { alg: '' }),
  'with RS256 in its header, signed by our secret': signed(claims(), { alg: 'RS256' }),
  'signed by a key pair of its own': signedByRsa(claims()),
  'signed by a public key as if it were the secret': signed(claims(), {}, RSA_PUBLIC),
  'with a key of its own in its header': signed(claims(), { jwk: RSA.publicKey.export({ format: 'jwk' }) }, RSA_PUBLIC),
  'with a key from a file': signed(claims(), { kid: '../../../../dev/null' }, ''),
  'with a key from elsewhere': signed(claims(), { jku: 'http://127.0.0.1:1/keys', alg: 'RS256' }),
  'signed by HS512': signed(claims(), { alg: 'HS512' }, secret, 'sha512'),
  'signed by HS384': signed(claims(), { alg: 'HS384' }, secret, 'sha384'),
  'signed by an empty secret': signed(claims(), {}, ''),
  'signed by a guessed secret': signed(claims(), {}, 'secret'),
  'signed by the name of our algorithm': signed(claims(), {}, 'HS256'),
  'without a signature': `${goodHeader}.${goodPayload}.`,
  'without a signature and its dot': `${goodHeader}.${goodPayload}`,
  'with half a signature': `${goodHeader}.${goodPayload}.${goodSignature.slice(0, 20)}`,
  'with another payload under a good signature': `${goodHeader}.${encoded(claims({ sub: someoneElse.sub }))}.${goodSignature}`,
  'with a critical extension nobody knows': signed(claims(), { crit: ['exp'], b64: false }),
  'with a payload that is no object': signed([] as object),
  'of four parts': `${goodHeader}.${goodPayload}.${goodSignature}.${goodSignature}`,
  'of dots': '...',
  'of one character': 'x',
  'of blanks': '   ',
  'of a NUL': '\0',
  'of 60 kB': 'x'.repeat(60_000),
  'that is a refresh token': place.attacker.refresh,
  'that is a bearer header': `Bearer ${signed(claims())}`,
};

/** Said by a raw connection that is welcomed, and what it is closed with. */
async function say(arena: Arena, ...frames: readonly (object | string)[]): Promise<object> {
  const raw = await arena.open();
  // In one piece: what comes behind must not find its forerunner done with.
  raw.write(...frames.map((frame) => clientText(frame)));
  return closingOf(raw);
}

const hello = (token: string, fields: object = {}) => ({ t: 'hello', id: 'hello-one', token, ...fields });
const refusedToken = {
  code: 4500,
  errors: [{ t: 'error', id: 'hello-one', code: 'invalid_token', message: 'The token is not valid.', retry: false }],
};

const TOKENS: readonly Attack[] = Object.entries(BAD_TOKENS).map(([name, token]) => ({
  name: `a token ${name} is refused like any other`,
  act: (arena) => say(arena, hello(token)),
  expect: refusedToken,
}));

t.test('the craft of these tests makes a good token, so what is refused is refused for what it is', async (t) => {
  const raw = await place.open();
  t.match(await raw.ask(hello(signed(claims()))), { t: 'ready', user: { name: 'mallory' } });
  await raw.close();
});

t.test('tokens', (t) => withstand(t, place, TOKENS));

const unauthenticated = { code: 4501, errors: [{ t: 'error', code: 'unauthenticated', retry: false }] };

const EARLY: Readonly<Record<string, object | string>> = {
  'a ping': { t: 'ping', id: 'too-early' },
  'a message': { t: 'message', id: 'too-early', conv: place.conv, text: 'hi' },
  'a sync': { t: 'sync', id: 'too-early', conv: place.conv, after: 0 },
  'a history': { t: 'history', id: 'too-early', conv: place.conv },
  'a join': { t: 'join', id: 'too-early', conv: place.conv },
  'a renew with a good token': { t: 'renew', id: 'too-early', token: place.attacker.access },
  typing: { t: 'typing', conv: place.conv, on: true },
  presence: { t: 'presence', status: 'busy' },
  'an unknown type': { t: 'login', id: 'too-early' },
  'no JSON': 'hello',
  'an empty message': '',
  'deep JSON': `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
  'a message with files nested ten thousand deep': `{"t":"message","id":"too-early","conv":"c","text":"","files":[${'['.repeat(10_000)}${']'.repeat(10_000)},${'['.repeat(10_000)}${']'.repeat(10_000)}]}`,
};

const OPENINGS: readonly Attack[] = [
  ...Object.entries(EARLY).map(([name, frame]) => ({
    name: `${name} before hello ends the connection`,
    act: (arena: Arena) => say(arena, frame),
    expect: unauthenticated,
  })),
  {
    name: 'a binary message before hello ends the connection',
    act: async (arena) => {
      const raw = await arena.open();
      raw.write(clientFrame({ opcode: OPCODE.binary, payload: JSON.stringify(hello(place.attacker.access)) }));
      return closingOf(raw);
    },
    expect: unauthenticated,
  },
  {
    name: 'a frame right behind hello, before ready, ends the connection',
    act: (arena) => say(arena, hello(arena.attacker.access), { t: 'ping', id: 'too-early' }),
    expect: unauthenticated,
  },
  {
    name: 'a second hello right behind the first ends the connection',
    act: (arena) => say(arena, hello(arena.attacker.access), hello(arena.ann.account.access, { id: 'hello-two' })),
    expect: { code: 4501, errors: [{ code: 'already_authenticated', id: 'hello-two' }] },
  },
  {
    name: 'a second hello as somebody else ends the connection, which was never theirs',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.send(hello(arena.ann.account.access));
      const closing = await closingOf(raw);
      return { ...closing, readies: raw.unread.filter(({ t: type }) => type === 'ready').length };
    },
    expect: { code: 4501, errors: [{ code: 'already_authenticated', id: 'hello-one' }], readies: 0 },
  },
  {
    name: 'a second hello with a bad token ends the connection',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.send(hello('x'));
      return closingOf(raw);
    },
    expect: { code: 4501, errors: [{ code: 'already_authenticated' }] },
  },
  {
    name: 'a renewal with a forged token ends the connection',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.send({ t: 'renew', id: 'renew-one', token: unsigned(claims(), 'none') });
      return closingOf(raw);
    },
    expect: { code: 4500, errors: [{ code: 'invalid_token', id: 'renew-one' }] },
  },
  {
    name: "a renewal with somebody else's token ends the connection",
    act: async (arena) => {
      const raw = await arena.enter();
      raw.send({ t: 'renew', id: 'renew-one', token: arena.ann.account.access });
      return closingOf(raw);
    },
    expect: { code: 4500, errors: [{ code: 'invalid_token', id: 'renew-one' }] },
  },
  {
    name: 'renewals without end are held back, then end the connection',
    act: async (arena) => {
      const raw = await arena.enter();
      for (let count = 0; count < 400; count++) raw.send({ t: 'renew', id: newId(), token: arena.attacker.access });
      const { code, errors } = await closingOf(raw);
      return { code, errors: [...new Set(errors.map((error) => error.code))] };
    },
    expect: { code: 4004, errors: ['rate_limited'] },
    once: true,
  },
  {
    name: 'cursors for 501 conversations are too many, and a hello with fewer still does',
    act: async (arena) => {
      const raw = await arena.open();
      const convs = (count: number) =>
        Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index}`, 1]));
      const tooMany = await raw.ask({ ...hello(arena.attacker.access), since: { epoch: 'e', convs: convs(501) } });
      const ready = await raw.ask({
        ...hello(arena.attacker.access),
        id: 'hello-two',
        since: { epoch: 'e', convs: convs(500) },
      });
      for (let count = 0; count < 500; count++) await raw.next('gone');
      await raw.close();
      return { tooMany, ready };
    },
    expect: { tooMany: { code: 'too_large', field: 'since', id: 'hello-one' }, ready: { t: 'ready' } },
    once: true,
  },
  {
    name: 'cursors for as many conversations as fit a frame are too many',
    act: async (arena) => {
      const raw = await arena.open();
      const convs = Object.fromEntries(Array.from({ length: 6_000 }, (_, index) => [`c${index}`, 1]));
      const error = await raw.ask({ ...hello(arena.attacker.access), since: { epoch: 'e', convs } });
      await raw.close();
      return error;
    },
    expect: { code: 'too_large', field: 'since' },
  },
  {
    name: 'who hangs up within its hello leaves nothing',
    act: async (arena) => {
      const raw = await arena.open();
      raw.send(hello(arena.attacker.access));
      await raw.flushed();
      raw.destroy();
      return {};
    },
    expect: {},
  },
  {
    name: 'who comes and goes leaves nothing',
    act: async (arena) => (await arena.enter()).close(),
    expect: { code: 1000 },
  },
];

t.test('before and beside hello', (t) => withstand(t, place, OPENINGS));

t.test('a token that expires while its connection is open ends it, unless it is renewed', async (t) => {
  const shortly = () => signed(claims({ exp: Math.floor(Date.now() / 1_000) + 3 }));
  const [left, renewed] = [await place.open(), await place.open()];
  t.match(await left.ask(hello(shortly())), { t: 'ready' });
  t.match(await renewed.ask(hello(shortly())), { t: 'ready' });
  t.match(await renewed.ask({ t: 'renew', id: 'renew-one', token: signed(claims()) }), { t: 'ok' });
  t.match(await closingOf(left), { code: 4003, reason: 'token_expired', errors: [] });
  t.match(await renewed.ask({ t: 'ping', id: 'still-here' }), { t: 'pong' });
  await renewed.close();
  await place.staysWell(t);
});

t.test('a hello that meets the end of its session does not outlive it', async (t) => {
  const password = 'correct horse battery';
  const fields = { username: 'oscar', email: 'oscar@example.org', password };
  await place.server.http('POST', 'auth/register', fields);
  const ends = new Set<unknown>();
  for (let round = 0; round < 50; round++) {
    const { body } = await place.server.http('POST', 'auth/login', { login: 'oscar', password });
    const access = String(body.access);
    const raw = await place.open();
    const ending = place.server.http('POST', 'auth/logout', undefined, { token: access });
    for (let turns = round % 10; turns > 0; turns--) await new Promise((next) => setImmediate(next));
    raw.send(hello(access));
    await ending;
    ends.add((await closingOf(raw)).code);
  }
  t.ok(
    [...ends].every((code) => code === 4500 || code === 4503),
    `closed by ${[...ends].join(' or ')}`,
  );
});

t.test('a connection ends when its session does', async (t) => {
  const account = await place.server.account('trudy');
  const raw = await place.enter(account);
  await place.server.http('POST', 'auth/logout', undefined, { token: account.access });
  t.match(await closingOf(raw), { code: 4503, errors: [] });
  t.match(await say(place, hello(account.access)), refusedToken, 'and its token opens none any more');
});
