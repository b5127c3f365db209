// Passwords, tokens and texts, each with a word in it that occurs nowhere else, go through every route and every frame, at
// their places and at all wrong ones, with everything logged and failures provoked. Afterwards the words are looked for.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { CLIENT_FRAMES } from '../../src/protocol/requests.ts';
import { type Account, eventually, MODE, server } from '../kit/index.ts';
import { type Cluster, cluster } from '../kit/nodes.ts';
import type { ServerProcess } from '../kit/process.ts';
import { clientFrame, clientText, closeFrame, handshake, OPCODE, RawSocket } from '../kit/raw.ts';
import { newId } from './kit.ts';
import { namesOf, routesOf } from './rights/routes.ts';

const word = (kind: string) => `${kind}${randomBytes(9).toString('hex')}`;
const SECRET = word('key').padEnd(40, 'k');
const OPERATOR = word('operator');
const ENV = { CHAT_LOG_LEVEL: 'trace', CHAT_METRICS_TOKEN: OPERATOR, CHAT_SECRET: SECRET };

/** A server, and how to look at all it keeps and to break that. */
interface Place {
  readonly process: ServerProcess;
  /** Everything that is stored, and was on the way there, as text. */
  kept(): Promise<string>;
  /** Each makes something refuse from then on; whether the process outlives that is not asked here. */
  readonly spoils: readonly (() => Promise<void>)[];
}

async function embeddedPlace(t: Test): Promise<Place> {
  const { process } = await server(t, { env: ENV });
  const files = async () => {
    const names = await readdir(process.dataDir);
    const all = await Promise.all(names.map((name) => readFile(join(process.dataDir, name), 'latin1')));
    return all.join('\n');
  };
  const spoil = async () => {
    const db = new DatabaseSync(join(process.dataDir, 'store.db'));
    db.exec('PRAGMA busy_timeout = 5000');
    for (const table of ['users', 'sessions', 'changes', 'convs', 'marks']) db.exec(`DROP TABLE IF EXISTS ${table}`);
    db.close();
  };
  return { process, kept: files, spoils: [spoil] };
}

async function clusterPlace(t: Test): Promise<Place> {
  const nodes = await cluster(t, { size: 1, env: ENV });
  const [node] = nodes.nodes;
  if (node === undefined) throw new Error('there is no node');
  const commands = await monitored(t, nodes);
  const documents = () =>
    nodes.withMongo(async (db) => {
      const names = (await db.listCollections().toArray()).map(({ name }) => name);
      const all = await Promise.all(names.map((name) => db.collection(name).find().toArray()));
      return JSON.stringify(all);
    });
  return {
    process: node.process,
    kept: async () => `${commands()}\n${await documents()}`,
    spoils: [() => spoilMongo(nodes), () => spoilRedis(nodes)],
  };
}

/**
 * Every command that Redis is sent from now on, those of scripts included, as MONITOR tells it
 * (redis.io/docs/latest/commands/monitor). Not by ioredis: what comes in one piece with the `OK` is an error to it.
 */
async function monitored(t: Test, nodes: Cluster): Promise<() => string> {
  const { hostname, port } = new URL(nodes.redis.url);
  const socket = connect(Number(port), hostname);
  t.teardown(() => socket.destroy());
  let said = '';
  socket.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  socket.write('MONITOR\r\n');
  await once(socket, 'data');
  return () => said;
}

/** It takes no document any more. */
function spoilMongo(nodes: Cluster): Promise<void> {
  return nodes.withMongo(async (db) => {
    for (const { name } of await db.listCollections().toArray()) {
      await db.command({ collMod: name, validator: { nobody: { $exists: true } }, validationAction: 'error' });
    }
  });
}

/** It has no room any more. */
async function spoilRedis(nodes: Cluster): Promise<void> {
  await nodes.withRedis((redis) => redis.config('SET', 'maxmemory', '1'));
}

const place = await (MODE === 'cluster' ? clusterPlace(t) : embeddedPlace(t));
const { url } = place.process;

// ---- saying secrets everywhere -------------------------------------------------------------------------------------

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Null: the connection ended without an answer. */
async function http(method: string, path: string, init: { body?: string; headers?: Record<string, string> } = {}) {
  const headers = { connection: 'close', 'content-type': 'application/json', ...init.headers };
  try {
    const response = await fetch(url + path, { redirect: 'manual', ...init, method, headers });
    return { status: response.status, text: await response.text() };
  } catch {
    return null;
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function api(method: string, path: string, token: string | null, fields?: object) {
  const body = fields === undefined ? {} : { body: JSON.stringify(fields) };
  const answer = await http(method, `/api/v1/${path}`, { ...body, headers: token === null ? {} : bearer(token) });
  if (answer === null || answer.status >= 300) throw new Error(`${method} ${path}: ${answer?.status} ${answer?.text}`);
  return answer.text === '' ? {} : JSON.parse(answer.text);
}

async function account(name: string, password: string): Promise<Account> {
  const fields = { username: name, email: `${name}@example.org`, password };
  const { user, access, refresh } = await api('POST', 'auth/register', null, fields);
  return { id: user.id, name, access, refresh };
}

async function enter({ access }: Account): Promise<RawSocket> {
  const raw = await RawSocket.open(url);
  await raw.ask({ t: 'hello', id: newId(), token: access });
  return raw;
}

/** One route asked with a secret at all places where somebody might put it. */
async function misplace(route: string, secret: string, own: string): Promise<readonly (Answer | null)[]> {
  const [method = '', pattern = ''] = route.split(' ');
  const encoded = encodeURIComponent(secret);
  const path = pattern.replaceAll(/:\w+|\*/g, encoded);
  const hasBody = method !== 'GET' && method !== 'OPTIONS';
  const body = (text: string) => (hasBody ? { body: text } : {});
  const fields = JSON.stringify({
    text: secret,
    login: secret,
    password: secret,
    token: secret,
    refresh: secret,
    title: secret,
  });
  return Promise.all([
    http(method, `${path}?token=${encoded}&q=${encoded}&${encoded}=1`, { headers: bearer(own), ...body('{}') }),
    http(method, path, { headers: bearer(secret), ...body(fields) }),
    http(method, path, { headers: { ...bearer(own), 'idempotency-key': secret.slice(0, 64) }, ...body(fields) }),
    http(method, path, {
      headers: { authorization: `Basic ${secret}`, cookie: `access=${secret}` },
      ...body(`{"password":"${secret}"`),
    }),
    http(method, path, { headers: { ...bearer(own), 'content-type': `text/${secret}`.slice(0, 80) }, ...body(secret) }),
    http(method, path, {
      headers: { 'user-agent': secret, referer: `${url}/?token=${encoded}`, 'x-api-key': secret },
      ...body(`"${secret}"`),
    }),
    http(method, path, { headers: bearer(own), ...body(JSON.stringify({ [secret]: { [secret]: secret } })) }),
  ]);
}

/** Handshakes and bytes that are none, with a secret in them. */
async function misplaceInBytes(secret: string): Promise<void> {
  const { host } = new URL(url);
  const some = [
    handshake(host, { target: `/ws?token=${secret}` }),
    handshake(host, { target: `/${secret}` }),
    handshake(host, { headers: { Origin: `https://${secret}` } }),
    handshake(host, { headers: { 'Sec-WebSocket-Protocol': secret.replaceAll('=', '') } }),
    `${secret}\r\n\r\n`,
    `GET /${secret} HTTP/1.1\r\nHost: ${host}\r\n${secret}\r\n\r\n`,
    `POST /api/v1/auth/login HTTP/1.1\r\nHost: ${host}\r\nContent-Length: x${secret}\r\n\r\n`,
  ];
  for (const bytes of some) {
    const raw = await RawSocket.connect(url);
    raw.write(bytes);
    await raw.response();
    raw.destroy();
  }
}

/** Every frame with a secret in every field, and what is no frame. Each that ends its connection begins another. */
async function misplaceInFrames(secret: string, account: Account): Promise<readonly string[]> {
  const heard: string[] = [];
  const say = async (...parts: readonly Buffer[]) => {
    const raw = await enter(account);
    raw.write(...parts, clientText({ t: 'ping', id: 'at-the-end' }), closeFrame(1000, secret.slice(0, 100)));
    await raw.closed();
    raw.destroy();
    heard.push(...raw.unread.map(({ field: _field, id: _id, ...frame }) => JSON.stringify(frame)));
  };
  for (const [name, { properties }] of Object.entries(CLIENT_FRAMES)) {
    const all = Object.keys(properties).filter((field) => field !== 't');
    const fields = Object.fromEntries(all.map((field) => [field, field === 'id' ? newId() : secret]));
    await say(clientText({ t: name, ...fields }), clientText({ t: name, id: newId(), [secret]: secret }));
  }
  await say(clientText({ t: secret, id: secret }), clientText(secret), clientText(`{"token":"${secret}"`));
  await say(
    clientFrame({ opcode: OPCODE.binary, payload: secret }),
    clientFrame({ opcode: OPCODE.ping, payload: secret.slice(0, 100) }),
  );
  await say(clientFrame({ payload: secret, masked: false }));
  await say(clientFrame({ payload: Buffer.concat([Buffer.from(secret), Buffer.from([0xff])]) }));
  return heard;
}

// ---- and looking for them ------------------------------------------------------------------------------------------

const [PASSWORD, NEXT_PASSWORD, TEXT] = [word('password'), word('password'), word('text')];
const ann = await account('ann', PASSWORD);
const bob = await account('bob', word('password'));
const eve = await account('eve', word('password'));
const eavesdropper = await enter(eve);
const group = (await api('POST', 'conversations', ann.access, { kind: 'group', members: [bob.id], title: TEXT })).conv;

/** What nobody may find anywhere, by what it is. */
const secrets: Record<string, string> = {
  password: PASSWORD,
  'new password': NEXT_PASSWORD,
  'access token': ann.access,
  'refresh token': ann.refresh,
  "operator's token": OPERATOR,
  key: SECRET,
  text: TEXT,
};

function findsNone(t: Test, where: string, text: string, among = Object.keys(secrets)): void {
  for (const name of among) {
    const at = text.indexOf(secrets[name] ?? '');
    t.equal(
      at,
      -1,
      at === -1 ? `no ${name} in ${where}` : `${name} in ${where}: ${text.slice(Math.max(0, at - 300), at + 100)}`,
    );
  }
}

const STORED_NOWHERE = ['password', 'new password', 'access token', 'refresh token', "operator's token"];

async function useAll(): Promise<void> {
  const { access, refresh } = await api('POST', 'auth/login', null, { login: 'ann', password: PASSWORD });
  Object.assign(secrets, { 'second access token': access, 'second refresh token': refresh });
  const { refresh: third } = await api('POST', 'auth/refresh', null, { refresh });
  Object.assign(secrets, { 'third refresh token': third });
  STORED_NOWHERE.push('second access token', 'second refresh token', 'third refresh token');
  const { seq } = await api('POST', `conversations/${group}/messages`, access, { text: TEXT });
  await api('PATCH', `conversations/${group}/messages/${seq}`, access, { text: `${TEXT} edited` });
  await api('PATCH', 'users/me', access, { displayName: TEXT });
  await api('POST', 'users/me/password', access, { current: PASSWORD, password: NEXT_PASSWORD });
}

t.test('secrets at their places and at all others come back in no refusal', { timeout: 300_000 }, async (t) => {
  await useAll();
  // The password change has ended the first session.
  const { access } = await api('POST', 'auth/login', null, { login: 'ann', password: NEXT_PASSWORD });
  secrets['last access token'] = access;
  STORED_NOWHERE.push('last access token');
  const now = { ...ann, access };
  const routes = namesOf(await routesOf(t));
  // These would end the sessions that the rest goes on with.
  const ends = new Set(['POST /api/v1/auth/logout']);
  for (const [name, secret] of Object.entries(secrets)) {
    const refusals: string[] = [];
    for (const route of routes.filter((each) => !ends.has(each))) {
      for (const answer of await misplace(route, secret, access)) {
        if (answer !== null && answer.status >= 400) refusals.push(answer.text.replace(/"field":"[^"]*"/, ''));
      }
    }
    await misplaceInBytes(secret);
    const heard = (await misplaceInFrames(secret, now)).filter((frame) => frame.includes('"error"'));
    findsNone(t, `what is refused to ${name}`, `${refusals.join('\n')}\n${heard.join('\n')}`, [name]);
  }
});

t.test('nobody else is told any of them', async (t) => {
  const heard = JSON.stringify(eavesdropper.unread);
  findsNone(t, 'what somebody outside is pushed', heard);
  const paths = ['conversations', 'rooms', `conversations/${group}`, `conversations/${group}/messages`];
  const answers = await Promise.all(
    paths.map((path) => http('GET', `/api/v1/${path}`, { headers: bearer(eve.access) })),
  );
  findsNone(t, 'what somebody outside asks for', JSON.stringify(answers));
  const metrics = await http('GET', '/metrics', { headers: bearer(OPERATOR) });
  t.match(metrics, { status: 200, text: /chat_connections/ });
  findsNone(t, 'the metrics', metrics?.text ?? '');
  const folder = `/proc/${place.process.pid}`;
  const [title, words] = await Promise.all(['comm', 'cmdline'].map((name) => readFile(`${folder}/${name}`, 'utf8')));
  findsNone(t, "the process's title", `${title} ${words}`);
});

t.test('no password and no token is kept as it is', async (t) => {
  // Until the last of what was written has been carried on, it may not be where it will stay.
  await eventually(async () => (await place.kept()).includes(`${TEXT} edited`));
  const kept = await place.kept();
  t.ok(kept.includes('$argon2id$v=19$m=19456,t=2,p=1$'), 'passwords are kept as argon2id');
  findsNone(t, 'what is kept', kept, STORED_NOWHERE);
});

t.test('failures say nothing of them either, to whom they meet or in the log', { timeout: 120_000 }, async (t) => {
  const { access } = await api('POST', 'auth/login', null, { login: 'ann', password: NEXT_PASSWORD });
  const raw = await enter({ ...ann, access });
  const post = (path: string, fields: object, headers = {}) =>
    http('POST', `/api/v1/${path}`, { body: JSON.stringify(fields), headers });
  for (const spoil of place.spoils) {
    await spoil();
    const failing = await Promise.all([
      post('auth/login', { login: 'ann', password: NEXT_PASSWORD }),
      post('auth/refresh', { refresh: secrets['third refresh token'] }),
      post('auth/register', { username: word('u').slice(0, 20), email: `${TEXT}@x.org`, password: PASSWORD }),
      post(`conversations/${group}/messages`, { text: TEXT }, bearer(access)),
      post('users/me/password', { current: NEXT_PASSWORD, password: PASSWORD }, bearer(access)),
    ]);
    raw.send({ t: 'message', id: newId(), conv: group, text: TEXT });
    raw.send({ t: 'read', id: newId(), conv: group, n: 1 });
    const told = failing.map((answer) => answer?.status).join(' ');
    t.ok(
      failing.some((answer) => answer !== null && answer.status >= 500),
      `${told}: it did fail`,
    );
    for (const answer of failing)
      t.notMatch(answer?.text, /stack|\.ts\b|node:|table|mongo|redis|sqlite/i, 'no word of the inside');
    findsNone(t, 'failures', JSON.stringify([failing, raw.unread.filter(({ t: type }) => type === 'error')]));
  }
  await eventually(() => /"level":[56]0/.test(place.process.stderr));
  raw.destroy();
});

t.test('none of them is in the log, which is not silent', (t) => {
  const { stdout, stderr } = place.process;
  t.match(stderr, /"msg":"connection ended"/);
  findsNone(t, 'the log', stdout + stderr);
  t.end();
});
