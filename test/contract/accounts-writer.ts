// A process for accounts.test.ts: makes a user and a session in the given store, and is killed by itself the moment
// the last write has resolved.
import { sqliteSessions } from '../../src/adapters/sqlite/sessions.ts';
import { openSqliteStore } from '../../src/adapters/sqlite/store.ts';
import { sqliteUsers } from '../../src/adapters/sqlite/users.ts';
import type { SessionId, UserId } from '../../src/protocol/ids.ts';
import { person } from './users.ts';

const { thread } = await openSqliteStore({ file: process.argv[2] ?? '' });
const sessions = sqliteSessions(thread.call);
await sqliteUsers(thread.call).create(person('ann'));
await sessions.open({ id: 's1' as SessionId, user: 'id-ann' as UserId, createdAt: 1 }, 'h1');
await sessions.open({ id: 's2' as SessionId, user: 'id-ann' as UserId, createdAt: 1 }, 'g1');
await sessions.rotate('h1', 'h2', 1, 0);
await sessions.end('s2' as SessionId);
process.kill(process.pid, 'SIGKILL');
