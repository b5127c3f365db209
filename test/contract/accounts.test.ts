import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { sqliteSessions } from '../../src/adapters/sqlite/sessions.ts';
import { sqliteUsers } from '../../src/adapters/sqlite/users.ts';
import type { SessionId, UserId } from '../../src/protocol/ids.ts';
import { mongoServer } from '../kit/services.ts';
import { openStore as openMongoStore } from './store-mongo.ts';
import { openStore, temporaryFolder } from './store-sqlite.ts';
import { person } from './users.ts';

t.test('law 3: users, sessions, rotations and ends that resolved survive kill -9', async (t) => {
  const file = join(await temporaryFolder(t), 'store.db');
  const { NODE_OPTIONS: _ours, ...env } = process.env;
  const writer = fileURLToPath(new URL('./accounts-writer.ts', import.meta.url));
  const child = spawn(process.execPath, [writer, file], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const [, signal] = await once(child, 'exit');
  t.equal(signal, 'SIGKILL');
  const { thread } = await openStore(t, file);
  const sessions = sqliteSessions(thread.call);
  t.same(await sqliteUsers(thread.call).byLogin('ann'), person('ann'));
  t.not(await sessions.get('s1' as SessionId), null);
  t.equal(await sessions.get('s2' as SessionId), null);
  t.equal((await sessions.rotate('h2', 'h3', 2, 0)).is, 'rotated');
});

t.test('law 3: they survive kill -9 of MongoDB too', async (t) => {
  const server = await mongoServer(t);
  const before = await openMongoStore(t, server.url);
  await before.users.create(person('ann'));
  await before.sessions.open({ id: 's1' as SessionId, user: 'id-ann' as UserId, createdAt: 1 }, 'h1');
  await before.sessions.open({ id: 's2' as SessionId, user: 'id-ann' as UserId, createdAt: 1 }, 'g1');
  await before.sessions.rotate('h1', 'h2', 1, 0);
  await before.sessions.end('s2' as SessionId);
  await server.kill();
  await server.start();
  const { users, sessions } = await openMongoStore(t, server.url);
  t.same(await users.byLogin('ann'), person('ann'));
  t.not(await sessions.get('s1' as SessionId), null);
  t.equal(await sessions.get('s2' as SessionId), null);
  t.equal((await sessions.rotate('h2', 'h3', 2, 0)).is, 'rotated');
});
