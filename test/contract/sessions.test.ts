import t from 'tap';
import { memorySessions } from '../../src/adapters/memory/sessions.ts';
import { sqliteSessions } from '../../src/adapters/sqlite/sessions.ts';
import { sessionsContract } from './sessions.ts';
import { freshStore as freshMongoStore } from './store-mongo.ts';
import { freshStore } from './store-sqlite.ts';

t.test('memory', async (t) => {
  sessionsContract(t, async () => ({ sessions: memorySessions() }));
});

t.test('sqlite', async (t) => {
  sessionsContract(t, async (t) => {
    const { thread, reopen } = await freshStore(t);
    return { sessions: sqliteSessions(thread.call), reopen: async () => sqliteSessions((await reopen()).thread.call) };
  });
});

t.test('mongo', async (t) => {
  sessionsContract(t, async (t) => {
    const { sessions, reopen } = await freshMongoStore(t);
    return { sessions, reopen: async () => (await reopen()).sessions };
  });
});
