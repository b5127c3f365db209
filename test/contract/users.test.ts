import t from 'tap';
import { memoryUsers } from '../../src/adapters/memory/users.ts';
import { sqliteUsers } from '../../src/adapters/sqlite/users.ts';
import { freshStore as freshMongoStore } from './store-mongo.ts';
import { freshStore } from './store-sqlite.ts';
import { usersContract } from './users.ts';

t.test('memory', async (t) => {
  usersContract(t, async () => ({ users: memoryUsers() }));
});

t.test('sqlite', async (t) => {
  usersContract(t, async (t) => {
    const { thread, reopen } = await freshStore(t);
    return { users: sqliteUsers(thread.call), reopen: async () => sqliteUsers((await reopen()).thread.call) };
  });
});

t.test('mongo', async (t) => {
  usersContract(t, async (t) => {
    const { users, reopen } = await freshMongoStore(t);
    return { users, reopen: async () => (await reopen()).users };
  });
});
