import t from 'tap';
import { memorySessions } from '../../src/adapters/memory/sessions.ts';
import { SESSIONS_SCHEMA, sessionOperations, sqliteSessions } from '../../src/adapters/sqlite/sessions.ts';
import { sessionsContract } from './sessions.ts';
import { sqliteCall } from './sqlite-call.ts';

t.test('memory', async (t) => {
  sessionsContract(t, async () => ({ sessions: memorySessions() }));
});

t.test('sqlite', async (t) => {
  sessionsContract(t, async (t) => {
    const { call, reopen } = await sqliteCall(t, SESSIONS_SCHEMA, sessionOperations);
    return { sessions: sqliteSessions(call), reopen: async () => sqliteSessions(await reopen()) };
  });
});
