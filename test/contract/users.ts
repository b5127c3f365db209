// The contract of UserStore (src/ports/accounts.ts): every adapter passes it.
import type { Test } from 'tap';
import type { User, UserStore } from '../../src/ports/accounts.ts';
import type { UserId } from '../../src/protocol/ids.ts';

export interface UsersUnderTest {
  readonly users: UserStore;
  /** Closes and opens again what is stored, without warning it; absent where nothing survives. */
  readonly reopen?: () => Promise<UserStore>;
}

export function person(name: string, fields: Partial<User> = {}): User {
  return {
    id: `id-${name}` as UserId,
    name,
    displayName: name,
    email: `${name}@example.org`,
    password: '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA',
    createdAt: 1_794_000_000_000,
    ...fields,
  };
}

export function usersContract(t: Test, open: (t: Test) => Promise<UsersUnderTest>): void {
  t.test('law 1: a name is taken without case, and so is an address', async (t) => {
    const { users } = await open(t);
    t.equal(await users.create(person('ann', { email: 'Ann@Example.org' })), null);
    t.same(await users.create(person('ann', { id: 'other' as UserId, email: 'x@example.org' })), { taken: 'username' });
    t.same(await users.create(person('bob', { email: 'aNN@exAMple.org' })), { taken: 'email' });
    t.equal((await users.byLogin('ANN'))?.id, 'id-ann');
    t.equal((await users.byLogin('ANN@EXAMPLE.ORG'))?.id, 'id-ann');
    t.equal(await users.byLogin('bob'), null, 'a refused create leaves nothing behind');
  });

  t.test('law 1: case beyond ASCII is folded too', async (t) => {
    const { users } = await open(t);
    await users.create(person('ann', { email: 'ÄNN@example.org' }));
    t.same(await users.create(person('bob', { email: 'änn@example.org' })), { taken: 'email' });
    t.equal((await users.byLogin('änn@EXAMPLE.org'))?.id, 'id-ann');
  });

  t.test('law 1: of fifty creates of one name at once, one wins', async (t) => {
    const { users } = await open(t);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        users.create(person('ann', { id: `id-${index}` as UserId, email: `${index}@example.org` })),
      ),
    );
    t.equal(answers.filter((answer) => answer === null).length, 1);
    t.equal(answers.filter((answer) => answer?.taken === 'username').length, 49);
    const winner = answers.indexOf(null);
    t.equal((await users.byLogin('ann'))?.id, `id-${winner}`);
  });

  t.test('law 1: of two updates to one address at once, one wins', async (t) => {
    const { users } = await open(t);
    await users.create(person('ann'));
    await users.create(person('bob'));
    const answers = await Promise.all([
      users.update('id-ann' as UserId, { email: 'both@example.org' }),
      users.update('id-bob' as UserId, { email: 'BOTH@example.org' }),
    ]);
    t.equal(answers.filter((answer) => answer !== null && 'user' in answer).length, 1);
    t.equal(answers.filter((answer) => answer !== null && 'taken' in answer).length, 1);
  });

  t.test('law 2: update changes the given fields only and answers the whole user', async (t) => {
    const { users } = await open(t);
    await users.create(person('ann'));
    const id = 'id-ann' as UserId;
    t.same(await users.update(id, { displayName: 'Ann B.' }), { user: person('ann', { displayName: 'Ann B.' }) });
    t.same(await users.update(id, {}), { user: person('ann', { displayName: 'Ann B.' }) });
    t.same(await users.update(id, { email: 'ANN@example.org' }), {
      user: person('ann', { displayName: 'Ann B.', email: 'ANN@example.org' }),
    });
    t.equal(await users.update('id-none' as UserId, { displayName: 'x' }), null);
  });

  t.test('law 2: an address that was given up is free, the old one no longer signs in', async (t) => {
    const { users } = await open(t);
    await users.create(person('ann'));
    await users.update('id-ann' as UserId, { email: 'new@example.org' });
    t.equal(await users.byLogin('ann@example.org'), null);
    t.equal(await users.create(person('ann2', { email: 'ann@example.org' })), null);
  });

  t.test('law 3: what resolved is seen by every later read', async (t) => {
    const { users } = await open(t);
    await users.create(person('ann'));
    const id = 'id-ann' as UserId;
    t.same(await users.byIds([id, 'id-none' as UserId, id]), [person('ann')]);
    t.same(await users.byNames(['ann', 'none', 'ann']), [person('ann')]);
    t.same(await users.byIds([]), []);
    await users.update(id, { password: 'other' });
    t.equal((await users.byLogin('ann'))?.password, 'other');
    t.equal((await users.byIds([id]))[0]?.password, 'other');
  });

  t.test('law 3: what resolved is there after everything is opened again', async (t) => {
    const { users, reopen } = await open(t);
    if (reopen === undefined) return t.pass('nothing survives this adapter, by design');
    await users.create(person('ann'));
    await users.update('id-ann' as UserId, { displayName: 'Änn' });
    const again = await reopen();
    t.same(await again.byLogin('ann'), person('ann', { displayName: 'Änn' }));
  });

  t.test('search finds prefixes of names and display names without case, by name, page by page', async (t) => {
    const { users } = await open(t);
    const names = ['anna', 'ann', 'bob', 'anton', 'zoe', 'an_'];
    for (const name of names) await users.create(person(name));
    await users.create(person('carl', { displayName: 'ANgela' }));
    const first = await users.search('An', null, 3);
    t.same(
      first.items.map((user) => user.name),
      ['an_', 'ann', 'anna'],
    );
    const second = await users.search('An', first.cursor, 3);
    t.same(
      second.items.map((user) => user.name),
      ['anton', 'carl'],
    );
    t.equal(second.cursor, null);
    t.equal((await users.search('an', null, 5)).cursor, null, 'a page that holds all has no cursor');
  });

  t.test('search takes every character literally', async (t) => {
    const { users } = await open(t);
    await users.create(person('ann', { displayName: '100%_*' }));
    await users.create(person('bob', { displayName: '100 things' }));
    await users.create(person('carl', { displayName: '💬 carl' }));
    const found = async (prefix: string) => (await users.search(prefix, null, 10)).items.map((user) => user.name);
    t.same(await found('100%'), ['ann']);
    t.same(await found('%'), []);
    t.same(await found('_'), []);
    t.same(await found('💬'), ['carl']);
    t.same(await found('Ann'), ['ann']);
  });
}
