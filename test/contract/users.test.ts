import t from 'tap';
import { memoryUsers } from '../../src/adapters/memory/users.ts';
import { sqliteUsers, USERS_SCHEMA, userOperations } from '../../src/adapters/sqlite/users.ts';
import { sqliteCall } from './sqlite-call.ts';
import { usersContract } from './users.ts';

t.test('memory', async (t) => {
  usersContract(t, async () => ({ users: memoryUsers() }));
});

t.test('sqlite', async (t) => {
  usersContract(t, async (t) => {
    const { call, reopen } = await sqliteCall(t, USERS_SCHEMA, userOperations);
    return { users: sqliteUsers(call), reopen: async () => sqliteUsers(await reopen()) };
  });
});
