import t from 'tap';
import { createNames } from '../../src/accounts/names.ts';
import { memoryUsers } from '../../src/adapters/memory/users.ts';
import { person } from '../contract/users.ts';

t.test('names become ids without case; unknown ones are left out', async (t) => {
  const users = memoryUsers();
  for (const name of ['ann', 'bob']) await users.create(person(name));
  const names = createNames(users);
  const ids = await names.idsOf(['Ann', 'ann', 'bob', 'nobody']);
  t.same(
    [...ids],
    [
      ['ann', 'id-ann'],
      ['bob', 'id-bob'],
    ],
  );
});

t.test('a known name is answered at once, a new one as soon as it is registered', async (t) => {
  const users = memoryUsers();
  await users.create(person('ann'));
  const names = createNames(users);
  t.equal((await names.idsOf(['bob'])).size, 0);
  await users.create(person('bob'));
  t.equal((await names.idsOf(['bob', 'ann'])).size, 2);
  t.ok(names.idsOf(['ann', 'bob']) instanceof Map);
  t.ok(names.idsOf([]) instanceof Map);
});

t.test('the cache is bounded, and forgets what was asked for longest ago', async (t) => {
  const users = memoryUsers();
  for (const name of ['ann', 'bob', 'eve']) await users.create(person(name));
  const names = createNames(users, 2);
  await names.idsOf(['ann']);
  await names.idsOf(['bob']);
  await names.idsOf(['ann']);
  await names.idsOf(['eve']);
  t.ok(names.idsOf(['ann', 'eve']) instanceof Map);
  t.ok(names.idsOf(['bob']) instanceof Promise);
});
