// Data that would be commands to a database, and fields that are not the caller's to set: refused where they have the wrong
// shape, and data like any other where they have the right one.
import t from 'tap';
import { type Attack, arena, type HttpAnswer, newId, withstand } from './kit.ts';

const place = await arena(t);
const { ann, bob, conv, server } = place;
const { seq } = await bob.send(conv, 'there before');

interface Asked {
  readonly status: number;
  readonly code: unknown;
  readonly field: unknown;
}

const briefly = ({ status, body }: HttpAnswer): Asked => ({ status, code: body.code, field: body.field });

function asked(name: string, [method, path, fields]: readonly [string, string, unknown?], expect: object): Attack {
  return { name, act: async (arena) => briefly(await arena.http(method, path, fields, ann.account.access)), expect };
}

const badFrame = (field: string) => ({ status: 400, code: 'bad_frame', field });

const OPERATORS: Readonly<Record<string, unknown>> = {
  'an operator': { $ne: null },
  'a comparison': { $gt: '' },
  'an expression': { $regex: '.*' },
  code: { $where: 'sleep(10000)' },
  'a list with an operator': [{ $ne: null }],
  'an object that says what it prints': { toString: 'x' },
};

/** Every text field of every route that takes one, with the other fields right. */
const TEXT_FIELDS: readonly (readonly [method: string, path: string, field: string, others: object])[] = [
  ['POST', 'auth/register', 'username', { email: 'o@example.org', password: 'correct horse' }],
  ['POST', 'auth/register', 'email', { username: 'op', password: 'correct horse' }],
  ['POST', 'auth/register', 'password', { username: 'op', email: 'o@example.org' }],
  ['POST', 'auth/login', 'login', { password: 'x' }],
  ['POST', 'auth/login', 'password', { login: 'ann' }],
  ['POST', 'auth/refresh', 'refresh', {}],
  ['PATCH', 'users/me', 'displayName', {}],
  ['PATCH', 'users/me', 'email', {}],
  ['POST', 'users/me/password', 'current', { password: 'another password' }],
  ['POST', 'users/me/password', 'password', { current: 'correct horse battery' }],
  ['POST', 'conversations', 'kind', {}],
  ['POST', 'conversations', 'title', { kind: 'group' }],
  ['POST', 'conversations', 'members', { kind: 'group' }],
  ['PATCH', `conversations/${conv}`, 'title', {}],
  ['POST', `conversations/${conv}/members`, 'users', {}],
  ['PATCH', `conversations/${conv}/members/${bob.id}`, 'role', {}],
  ['POST', `conversations/${conv}/messages`, 'text', {}],
  ['POST', `conversations/${conv}/messages`, 'reply', { text: 'x' }],
  ['PATCH', `conversations/${conv}/messages/${seq}`, 'text', {}],
];

const IN_FIELDS = TEXT_FIELDS.flatMap(([method, path, field, others]) =>
  Object.entries(OPERATORS).map(([name, value]) =>
    asked(
      `${name} as ${field} of ${method} ${path.replace(conv, ':conv')}`,
      [method, path, { ...others, [field]: value }],
      badFrame(field),
    ),
  ),
);

const KEYS = ['$where', '$set', '$ne', 'email.$', 'password', 'profile.admin', '__proto__', 'constructor', 'prototype'];

const AS_KEYS = KEYS.map((key) =>
  asked(
    `a field named ${key} is unknown`,
    ['PATCH', 'users/me', JSON.parse(`{"displayName":"ann","${key}":{"$gt":""}}`)],
    badFrame(key),
  ),
);

const IN_PATHS: readonly Attack[] = [
  asked('an operator is no id', ['GET', `users/${encodeURIComponent('{"$ne":null}')}`], badFrame('user')),
  asked('a name of an operator is no id', ['GET', 'users/$ne'], badFrame('user')),
  asked(
    'an operator is no conversation',
    ['GET', `conversations/${encodeURIComponent('{"$gt":""}')}`],
    badFrame('conv'),
  ),
  asked('an operator is no number', ['PATCH', `conversations/${conv}/messages/$max`, { text: 'x' }], badFrame('seq')),
  asked('an operator in a query is an unknown key', ['GET', 'users?q[$regex]=.*'], badFrame('q[$regex]')),
  asked('an operator in a list of ids is no id', ['GET', 'users?ids[$in]=a'], badFrame('ids[$in]')),
  asked('an operator in a cursor is none', ['GET', 'conversations?cursor={"$gt":""}'], badFrame('cursor')),
  asked('quotes and a comment are no id', ['GET', `users/${encodeURIComponent("' OR 1=1 --")}`], badFrame('user')),
];

const SENTENCES = [
  `' OR '1'='1`,
  `" OR ""="`,
  `ann' --`,
  '{"$ne":null}',
  '$where: 1',
  'ann\\',
  '%',
  '_',
  '*',
  '[object Object]',
];

const AS_TEXT: readonly Attack[] = SENTENCES.map((login) =>
  asked(`${login} is nobody's name`, ['POST', 'auth/login', { login, password: login }], {
    status: 401,
    code: 'unauthenticated',
  }),
);

/** Fields that the server alone sets. */
const SET_BY_THE_SERVER: readonly (readonly [
  method: string,
  path: string,
  fields: object,
  names: readonly string[],
])[] = [
  [
    'POST',
    'auth/register',
    { username: 'mass', email: 'mass@example.org', password: 'correct horse' },
    ['id', 'role', 'admin', 'isAdmin', 'createdAt', 'verified', 'hash', 'user', 'access', 'expiresIn'],
  ],
  ['PATCH', 'users/me', { displayName: 'ann' }, ['id', 'name', 'username', 'password', 'role', 'createdAt', 'admin']],
  [
    'POST',
    'conversations',
    { kind: 'group', title: 'mass' },
    ['conv', 'id', 'seq', 'n', 'from', 'at', 'role', 'owner', 'roles', 'read', 'peer', 'deleted', 'settings'],
  ],
  ['PATCH', `conversations/${conv}`, { title: 'mass' }, ['kind', 'conv', 'seq', 'members', 'role', 'deleted', 'owner']],
  ['POST', `conversations/${conv}/members`, { users: [bob.id] }, ['role', 'roles', 'what', 'from', 'user']],
  ['PATCH', `conversations/${conv}/members/${bob.id}`, { role: 'owner' }, ['user', 'conv', 'what', 'from']],
  [
    'POST',
    `conversations/${conv}/messages`,
    { text: 'mass' },
    [
      'conv',
      'seq',
      'n',
      'from',
      'at',
      'key',
      'id',
      'rev',
      'mentions',
      'edited',
      'deleted',
      'reactions',
      'pinned',
      'is',
      't',
    ],
  ],
  ['PATCH', `conversations/${conv}/messages/${seq}`, { text: 'mass' }, ['of', 'from', 'at', 'seq', 'rev', 'deleted']],
];

const MASS: readonly Attack[] = SET_BY_THE_SERVER.flatMap(([method, path, fields, names]) =>
  names.map((name) =>
    asked(
      `${name} is not the caller's to set: ${method} ${path.replace(conv, ':conv')}`,
      [method, path, { ...fields, [name]: 1 }],
      badFrame(name),
    ),
  ),
);

t.test('operators as fields', (t) => withstand(t, place, IN_FIELDS, 300));
t.test('operators as names of fields', (t) => withstand(t, place, AS_KEYS, 100));
t.test('operators in paths and queries', (t) => withstand(t, place, IN_PATHS, 100));
t.test('operators as text', (t) => withstand(t, place, AS_TEXT, 100));
t.test('fields that only the server sets', (t) => withstand(t, place, MASS, 200));

t.test('nothing of all that had an effect', async (t) => {
  const { body: me } = await ann.http('GET', 'users/me');
  t.match(me, { id: ann.id, name: 'ann', email: 'ann@example.org' });
  const { items } = await ann.history(conv, { limit: 200 });
  t.notOk(
    items.some(({ text }) => text === 'mass'),
    'no message',
  );
  t.match(await ann.members(conv), { [ann.id]: 'member', [bob.id]: 'member' });
  t.equal((await server.http('POST', 'auth/login', { login: 'mass', password: 'correct horse' })).status, 401);
});

const DATA = [
  '$name',
  '$$ROOT',
  '{$set:{admin:true}}',
  "'); DROP TABLE users; --",
  '%s%n',
  '#{1+1}',
  '{{7*7}}',
  '__proto__',
];

/** What a display name is for oneself and for others. */
async function named(displayName: string): Promise<unknown> {
  const patched = await ann.http('PATCH', 'users/me', { displayName });
  const { body } = await bob.http('GET', `users/${ann.id}`);
  return [patched.body.displayName, body.displayName];
}

t.test('commands are data where text is data', async (t) => {
  for (const text of DATA) {
    t.same(await named(text), [text, text], `${text} as a name`);
    const group = await ann.group([bob], { title: text, topic: text });
    t.match((await bob.http('GET', `conversations/${group}`)).body, { title: text, topic: text }, `${text} as a title`);
    const sent = await ann.send(group, text);
    t.equal((await bob.next('message', { conv: group, seq: sent.seq })).text, text, `${text} as a message`);
    const edited = `${text} ${newId()}`;
    await ann.edit(group, sent.seq, edited);
    t.equal((await bob.history(group)).items[0]?.text, edited, `${text} as an edit`);
  }
  await ann.http('PATCH', 'users/me', { displayName: 'ann' });
});

t.test('a search is for what it says: no pattern, no expression', async (t) => {
  const names = { dotted: 'wild.card', under: 'wild_card', plain: 'wildxcard' };
  for (const name of Object.values(names)) await server.account(name);
  const found = async (q: string) =>
    (await ann.http('GET', `users?limit=100&q=${encodeURIComponent(q)}`)).body.items.map(({ name }) => name);
  t.same(await found('wild.'), [names.dotted]);
  t.same(await found('wild_'), [names.under]);
  t.same(await found('WILDX'), [names.plain]);
  for (const q of ['.*', '^wild', 'wild.*', '%', '_', '[w]ild', '(', '\\', 'wild|ann', '$', '*', "'", '"', '(?i)ann'])
    t.same(await found(q), [], q);
  await ann.room({ title: 'wild room' });
  const rooms = async (q: string) => (await ann.http('GET', `rooms?q=${encodeURIComponent(q)}`)).body.items.length;
  await ann.http('GET', 'rooms');
  for (const q of ['.*', '^wild', '%', '_', '(', '\\', "' OR 1=1 --"]) t.equal(await rooms(q), 0, `rooms: ${q}`);
  await place.staysWell(t);
});
