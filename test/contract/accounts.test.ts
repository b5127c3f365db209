import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { sqliteSessions } from '../../src/adapters/sqlite/sessions.ts';
import { sqliteUsers } from '../../src/adapters/sqlite/users.ts';
import type { SessionId } from '../../src/protocol/ids.ts';
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
