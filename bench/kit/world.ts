// Stages a scene through the same ports the server writes by: people with open sessions, conversations, members, messages.
// No password works: tokens are signed with a known secret. Here also the data folder of the embedded mode: made once,
// kept in the temporary folder and copied for a run; a change of the adapters or of the scene makes a new one.
import { createHash } from 'node:crypto';
import { cp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { signAccess } from '../../src/accounts/tokens.ts';
import { openSqliteLog } from '../../src/adapters/sqlite/log.ts';
import { sqliteSessions } from '../../src/adapters/sqlite/sessions.ts';
import { openSqliteStore } from '../../src/adapters/sqlite/store.ts';
import { sqliteUsers } from '../../src/adapters/sqlite/users.ts';
import { accessTokens } from '../../src/http/tokens.ts';
import type { SessionStore, UserStore } from '../../src/ports/accounts.ts';
import type { Append, Log, Tail } from '../../src/ports/log.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import { bodyText } from '../../src/protocol/changes.ts';
import type { ConvId, Key, SessionId, UserId } from '../../src/protocol/ids.ts';
import type { Scene, SceneConv } from './scene.ts';
import { makeTemporary, removeTemporary } from './temporary.ts';

export const SECRET = 'bench-secret-bench-secret-bench-secret-bench-secret';

const SOURCES = ['adapters/sqlite', 'protocol'];
const KEPT_PREFIX = 'chatterbox-bench-world-';
const USERS_AT_ONCE = 500;
const MEMBERS_PER_ITEM = 100;
const CHANGES_AT_ONCE = 2_000;
const SAY_EVERY = 100_000;
const TOKEN_MS = 86_400_000;

export function userId(user: number): UserId {
  return hashed(`user ${user}`, 12) as UserId;
}

function sessionId(user: number): SessionId {
  return hashed(`session ${user}`, 12) as SessionId;
}

export function convId(conv: number): ConvId {
  return hashed(`conv ${conv}`, 16) as ConvId;
}

function hashed(name: string, bytes: number): string {
  return createHash('sha256').update(name).digest().subarray(0, bytes).toString('base64url');
}

const tokens = await accessTokens(SECRET);

export function accessToken(user: number): string {
  return signAccess(tokens, userId(user), sessionId(user), Date.now() + TOKEN_MS);
}

export interface WorldFolder {
  readonly path: string;
  /** Removes it, unless it is the kept one. */
  discard(): void;
}

/** @param inPlace hands out the kept folder itself, for a server that is only read from */
export async function prepareWorld(scene: Scene, inPlace: boolean, say: (text: string) => void): Promise<WorldFolder> {
  const kept = join(tmpdir(), `${KEPT_PREFIX}${scene.name}-${await fingerprint(scene)}`);
  if (!(await exists(kept))) {
    await forgetWorlds(`${scene.name}-`);
    await mint(scene, kept, say);
  }
  if (inPlace) return { path: kept, discard: () => undefined };
  const path = makeTemporary();
  await cp(kept, path, { recursive: true });
  return { path, discard: () => removeTemporary(path) };
}

/** Removes the kept folders, all or those of one scene. */
export async function forgetWorlds(scene = ''): Promise<void> {
  const names = await readdir(tmpdir());
  const kept = names.filter((name) => name.startsWith(KEPT_PREFIX + scene));
  await Promise.all(kept.map((name) => rm(join(tmpdir(), name), { recursive: true, force: true })));
}

async function exists(folder: string): Promise<boolean> {
  return readdir(folder).then(
    () => true,
    () => false,
  );
}

async function fingerprint(scene: Scene): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(scene));
  hash.update(await readFile(fileURLToPath(import.meta.url)));
  for (const source of SOURCES) {
    const folder = fileURLToPath(new URL(`../../src/${source}/`, import.meta.url));
    for (const name of (await readdir(folder)).sort()) hash.update(await readFile(join(folder, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** Only a finished folder gets the kept name. */
async function mint(scene: Scene, kept: string, say: (text: string) => void): Promise<void> {
  const making = makeTemporary();
  const storeFile = join(making, 'store.db');
  const store = await openSqliteStore({ file: storeFile });
  const log = await openSqliteLog({ file: join(making, 'log.db'), storeFile, budgetBytes: 2 ** 34 });
  const { call } = store.thread;
  await mintUsers(scene, { users: sqliteUsers(call), sessions: sqliteSessions(call) }, say);
  const tail = log.tail([0]);
  const storing = storeAll(tail, log, store.messages);
  await mintChanges(scene, log, say);
  await stored(log, store.messages);
  await tail.return();
  await storing;
  await log.close();
  await store.close();
  await rename(making, kept);
}

/** What the persister does in the server. */
async function storeAll(tail: Tail, log: Log, store: MessageStore): Promise<void> {
  for await (const changes of tail) {
    const upTo = [changes.at(-1)?.offset ?? 0];
    await store.apply(changes, upTo);
    await log.trim(upTo);
  }
}

/** Resolves when the store has all that the log has now. */
export async function stored(log: Log, store: MessageStore): Promise<void> {
  const { head } = log.state();
  const isBehind = async () => {
    const watermark = await store.watermark();
    return head.some((offset, part) => (watermark[part] ?? 0) < offset);
  };
  while (await isBehind()) await delay(50);
}

interface People {
  readonly users: UserStore;
  readonly sessions: SessionStore;
}

export async function mintUsers(scene: Scene, { users, sessions }: People, say: (text: string) => void): Promise<void> {
  say(`preparing ${scene.name}: ${scene.users} users, ${scene.convs.length} conversations`);
  for (let first = 0; first < scene.users; first += USERS_AT_ONCE) {
    const batch = Array.from({ length: Math.min(USERS_AT_ONCE, scene.users - first) }, (_, index) => first + index);
    await Promise.all(batch.flatMap((user) => [users.create(newUser(user)), sessions.open(...newSession(user))]));
  }
}

function newUser(user: number) {
  const name = `bench${user}`;
  return {
    id: userId(user),
    name,
    displayName: `Bench ${user}`,
    email: `${name}@bench.invalid`,
    password: 'no password',
    createdAt: Date.now(),
  };
}

function newSession(user: number) {
  const session = { id: sessionId(user), user: userId(user), createdAt: Date.now() };
  return [session, hashed(`refresh ${user}`, 32)] as const;
}

export async function mintChanges(scene: Scene, log: Log, say: (text: string) => void): Promise<void> {
  const total = scene.convs.reduce((sum, conv) => sum + 1 + conv.members.length + (conv.messages ?? 0), 0);
  let done = 0;
  let waiting = 0;
  let items: Append[] = [];
  const flush = async () => {
    const answers = await log.append(items);
    if (answers.some((answer) => answer.is !== 'ok')) throw new Error('the log refused the scene');
    const last = waiting;
    done += last;
    waiting = 0;
    items = [];
    if (Math.floor(done / SAY_EVERY) > Math.floor((done - last) / SAY_EVERY))
      say(`${scene.name}: ${done} of some ${total} changes`);
  };
  for (const [index, conv] of scene.convs.entries()) {
    for (const item of changesOf(convId(index), conv)) {
      items.push(item);
      waiting += item.drafts.length;
      if (waiting >= CHANGES_AT_ONCE) await flush();
    }
  }
  if (items.length > 0) await flush();
}

/** The creation, the members beyond the first hundred, the messages; numbers and guards follow from the order. */
function* changesOf(conv: ConvId, { kind, members, messages = 0 }: SceneConv): Generator<Append> {
  const from = userId(members[0] ?? 0);
  const first = members
    .slice(0, MEMBERS_PER_ITEM)
    .map((user, index) => ({ user: userId(user), role: roleOf(kind, index) }));
  const fields = kind === 'direct' ? { kind } : { kind, title: `Bench ${conv}` };
  yield { conv, from, key: null, guard: 0, drafts: [{ type: 'conv', body: bodyText({ ...fields, members: first }) }] };
  let guard = 1;
  for (let start = MEMBERS_PER_ITEM; start < members.length; start += MEMBERS_PER_ITEM) {
    const added = members.slice(start, start + MEMBERS_PER_ITEM);
    const drafts = added.map((user) => ({
      type: 'member' as const,
      body: bodyText({ user: userId(user), what: 'add', role: 'member' }),
    }));
    yield { conv, from, key: null, guard, drafts };
    guard += drafts.length;
  }
  for (let number = 0; number < messages; number++) {
    const body = bodyText({ text: `message ${number} of many, about as long as people write` });
    yield { conv, from, key: keyOf(number), guard, drafts: [{ type: 'message', body }] };
  }
}

/** As clients make them: a UUIDv7, ascending. */
function keyOf(number: number): Key {
  return `0199a3c2-7c1e-7abc-8def-${number.toString(16).padStart(12, '0')}` as Key;
}

function roleOf(kind: SceneConv['kind'], index: number): 'owner' | 'member' {
  return index === 0 && kind !== 'direct' ? 'owner' : 'member';
}
