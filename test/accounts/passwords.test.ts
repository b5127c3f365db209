import t from 'tap';
import { createPasswords } from '../../src/accounts/index.ts';

const OVERLOADED = { code: 'overloaded' };

t.test('a password is verified by the parameters stored with it', async (t) => {
  const passwords = createPasswords();
  const phc = await passwords.hash('correct horse');
  t.match(phc, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  t.equal(await passwords.verify('correct horse', phc), true);
  t.equal(await passwords.verify('correct horsf', phc), false);
  // From the test suite of the reference implementation, github.com/P-H-C/phc-winner-argon2: "password", "somesalt".
  const reference = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
  t.equal(await passwords.verify('password', reference), true);
  t.equal(await passwords.verify('Password', reference), false);
});

t.test('the same password never makes the same hash', async (t) => {
  const passwords = createPasswords();
  t.not(await passwords.hash('correct horse'), await passwords.hash('correct horse'));
});

t.test("nobody's password is never right, and takes a hash's place in the queue as anybody's does", async (t) => {
  const passwords = createPasswords(1, 0);
  const nobody = passwords.verify('correct horse', null);
  await t.rejects(passwords.hash('another'), OVERLOADED);
  t.equal(await nobody, false);
});

t.test('what finds no place in the queue is refused at once, and places come free again', async (t) => {
  const passwords = createPasswords(2, 3);
  const taken = Array.from({ length: 5 }, (_, index) => passwords.hash(`password ${index}`));
  await t.rejects(passwords.hash('one too many'), OVERLOADED);
  await t.rejects(passwords.verify('one too many', null), OVERLOADED);
  t.equal(new Set(await Promise.all(taken)).size, 5);
  t.ok(await passwords.hash('now there is room'));
});

t.test('a stored password that is none is a defect, never a match', async (t) => {
  const passwords = createPasswords(1, 0);
  for (const stored of ['', 'correct horse', '$argon2i$v=19$m=19456,t=2,p=1$c29tc2FsdA$aaaa']) {
    await t.rejects(passwords.verify('correct horse', stored), /no argon2id/);
  }
  t.equal(await passwords.verify('x', null), false, 'and keeps no place in the queue');
});
