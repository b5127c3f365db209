// Users in MongoDB. Case is folded here, in JavaScript, as for the other stores.
import type { Filter } from 'mongodb';
import type { User, UserPatch, UserStore } from '../../ports/accounts.ts';
import type { UserId } from '../../protocol/ids.ts';
import { inWaves } from '../waves.ts';
import type { Database } from './database.ts';
import type { UserDoc } from './documents.ts';
import { isDuplicate } from './failures.ts';

/** Above every character a name can go on with after the prefix. */
const HIGHEST = '\u{10FFFF}';

type Taken<Field> = { readonly taken: Field };

function docOf({ id, name, displayName, email, password, createdAt }: User): UserDoc {
  const keys = { displayKey: displayName.toLowerCase(), emailKey: email.toLowerCase() };
  return { _id: id, name, displayName, email, password, createdAt, ...keys };
}

function userOf({ _id, name, displayName, email, password, createdAt }: UserDoc): User {
  return { id: _id, name, displayName, email, password, createdAt };
}

function fieldsOf({ displayName, email, password }: UserPatch): Partial<UserDoc> {
  return {
    ...(displayName === undefined ? {} : { displayName, displayKey: displayName.toLowerCase() }),
    ...(email === undefined ? {} : { email, emailKey: email.toLowerCase() }),
    ...(password === undefined ? {} : { password }),
  };
}

/** The field of the index that refused a write; undefined for other errors. */
function refusedBy(error: unknown): string | undefined {
  return isDuplicate(error) ? Object.keys(error.keyPattern)[0] : undefined;
}

export const USER_READS = {
  /** Each half by the order of an index; the names before the page are left out of both. */
  search(prefix: string, after: string, limit: number) {
    const start = prefix.toLowerCase();
    const range = { $gte: start, $lt: start + HIGHEST };
    const byDisplay = { $match: { displayKey: range, name: { $gt: after } } };
    const page = [{ $sort: { name: 1 } }, { $limit: limit }];
    const byName = { $match: { $and: [{ name: range }, { name: { $gt: after } }] } };
    return [byName, ...page, { $unionWith: { coll: 'users', pipeline: [byDisplay, ...page] } }];
  },
} as const;

export function mongoUsers(database: Database): UserStore {
  const { users } = database.collections;

  async function found(match: Filter<UserDoc>): Promise<readonly User[]> {
    return (await database.find<UserDoc>('users', match)).map(userOf);
  }

  async function insert(user: User): Promise<string | undefined> {
    return database.run(async (session) => {
      try {
        await users.insertOne(docOf(user), { session });
        return undefined;
      } catch (error) {
        const field = refusedBy(error);
        if (field === undefined) throw error;
        return field;
      }
    });
  }

  async function create(user: User): Promise<Taken<'username' | 'email'> | null> {
    const refused = await insert(user);
    if (refused === undefined) return null;
    // An index refuses in no certain order: the name is told first.
    if (refused === 'name' || (await found({ name: user.name })).length > 0) return { taken: 'username' };
    if (refused === 'emailKey') return { taken: 'email' };
    throw new Error('this user id exists already');
  }

  async function change(id: UserId, fields: Partial<UserDoc>): Promise<UserDoc | Taken<'email'> | null> {
    return database.run(async (session) => {
      try {
        return await users.findOneAndUpdate({ _id: id }, { $set: fields }, { session, returnDocument: 'after' });
      } catch (error) {
        if (refusedBy(error) === 'emailKey') return { taken: 'email' };
        throw error;
      }
    });
  }

  return {
    create,

    async byLogin(login) {
      const key = login.toLowerCase();
      const both = await found({ $or: [{ name: key }, { emailKey: key }] });
      return both.find(({ name }) => name === key) ?? both[0] ?? null;
    },

    byIds: inWaves(
      (ids) => found({ _id: { $in: [...ids] } }),
      ({ id }) => id,
    ),
    byNames: (names) => found({ name: { $in: [...names] } }),

    async search(prefix, cursor, limit) {
      const rows = await database.read<UserDoc>('users', USER_READS.search(prefix, cursor ?? '', limit + 1));
      const users = [...new Map(rows.map((row) => [row.name, userOf(row)])).values()];
      users.sort((one, other) => (one.name < other.name ? -1 : 1));
      const items = users.slice(0, limit);
      return { items, cursor: users.length > limit ? (items.at(-1)?.name ?? null) : null };
    },

    async update(id, patch) {
      const fields = fieldsOf(patch);
      if (Object.keys(fields).length === 0) {
        const [user] = await found({ _id: id });
        return user === undefined ? null : { user };
      }
      const changed = await change(id, fields);
      return changed === null || 'taken' in changed ? changed : { user: userOf(changed) };
    },
  };
}
