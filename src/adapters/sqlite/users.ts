// Users in SQLite: the operations of the worker thread that owns the file, and the port on the main thread.
// Case is folded here, in JavaScript: SQLite's own lower() knows ASCII only.
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { User, UserPatch, UserStore } from '../../ports/accounts.ts';
import type { UserId } from '../../protocol/ids.ts';
import type { Call, CallOf } from './thread.ts';

export const USERS_SCHEMA = `
CREATE TABLE IF NOT EXISTS users (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  display_key TEXT NOT NULL,
  email TEXT NOT NULL,
  email_key TEXT NOT NULL UNIQUE,
  password TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS users_by_display ON users (display_key, name);
`;

/** Above every character a name can begin with after the prefix. */
const HIGHEST = '\u{10FFFF}';

type Row = Record<string, SQLOutputValue>;
type Page = Awaited<ReturnType<UserStore['search']>>;

function userOf(row: Row): User {
  return {
    id: row.id as UserId,
    name: row.name as string,
    displayName: row.display_name as string,
    email: row.email as string,
    password: row.password as string,
    createdAt: row.created_at as number,
  };
}

/** Operations `users.*`; each runs alone, in its own savepoint. */
export function userOperations(db: DatabaseSync) {
  const insert = db.prepare('INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  const selectById = db.prepare('SELECT * FROM users WHERE id = ?');
  const selectByName = db.prepare('SELECT * FROM users WHERE name = ?');
  const selectByEmail = db.prepare('SELECT * FROM users WHERE email_key = ?');
  const selectPrefix = db.prepare(`
    SELECT * FROM (SELECT * FROM users WHERE name >= :start AND name < :end AND name > :after ORDER BY name LIMIT :count)
    UNION
    SELECT * FROM (SELECT * FROM users WHERE display_key >= :start AND display_key < :end AND name > :after ORDER BY name LIMIT :count)
    ORDER BY name LIMIT :count`);
  const change = db.prepare(
    'UPDATE users SET display_name = ?, display_key = ?, email = ?, email_key = ?, password = ? WHERE id = ?',
  );

  function create(user: User): { taken: 'username' | 'email' } | null {
    const { id, name, displayName, email, password, createdAt } = user;
    if (selectByName.get(name) !== undefined) return { taken: 'username' };
    if (selectByEmail.get(email.toLowerCase()) !== undefined) return { taken: 'email' };
    insert.run(id, name, displayName, displayName.toLowerCase(), email, email.toLowerCase(), password, createdAt);
    return null;
  }

  function byLogin(login: string): User | null {
    const key = login.toLowerCase();
    const row = selectByName.get(key) ?? selectByEmail.get(key);
    return row === undefined ? null : userOf(row);
  }

  function search(prefix: string, cursor: string | null, limit: number): Page {
    const start = prefix.toLowerCase();
    const rows = selectPrefix.all({ start, end: start + HIGHEST, after: cursor ?? '', count: limit + 1 });
    const items = rows.slice(0, limit).map(userOf);
    return { items, cursor: rows.length > limit ? (items.at(-1)?.name ?? null) : null };
  }

  function update(id: UserId, patch: UserPatch): { user: User } | { taken: 'email' } | null {
    const row = selectById.get(id);
    if (row === undefined) return null;
    const user = { ...userOf(row), ...patch };
    const { displayName, email, password } = user;
    const holder = selectByEmail.get(email.toLowerCase());
    if (holder !== undefined && holder.id !== id) return { taken: 'email' };
    change.run(displayName, displayName.toLowerCase(), email, email.toLowerCase(), password, id);
    return { user };
  }

  return {
    'users.create': create,
    'users.byLogin': byLogin,
    'users.byIds': (ids: readonly UserId[]) => rowsOf(selectById, ids).map(userOf),
    'users.byNames': (names: readonly string[]) => rowsOf(selectByName, names).map(userOf),
    'users.search': search,
    'users.update': update,
  };
}

function rowsOf(statement: ReturnType<DatabaseSync['prepare']>, keys: readonly string[]): Row[] {
  return [...new Set(keys)].map((key) => statement.get(key)).filter((row) => row !== undefined);
}

export function sqliteUsers(call: Call): UserStore {
  const run = call as CallOf<ReturnType<typeof userOperations>>;
  return {
    create: (user) => run('users.create', user),
    byLogin: (login) => run('users.byLogin', login),
    byIds: (ids) => run('users.byIds', ids),
    byNames: (names) => run('users.byNames', names),
    search: (prefix, cursor, limit) => run('users.search', prefix, cursor, limit),
    update: (id, patch) => run('users.update', id, patch),
  };
}
