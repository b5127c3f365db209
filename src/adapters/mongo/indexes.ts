// Every index there is beside `_id`, and the collections, made at start. An index that a write has to pay for is here
// because a law of a port needs it; none is there for searching yet: the text index of the search to come belongs here.
import type { Db, IndexDescription } from 'mongodb';
import type { CollectionName } from './documents.ts';

/** The longest that browsers keep a cookie (RFC 6265bis section 5.5), and so a login that is not renewed. */
export const LOGIN_DAYS = 400;
const DAY_S = 86_400;
/** Longer than any transaction may be open. */
const WRITER_KEPT_S = 600;
/** A node this long gone is only a name. */
const NODE_KEPT_S = 3_600;

const INDEXES: { readonly [Name in CollectionName]: readonly IndexDescription[] } = {
  changes: [
    {
      name: 'key',
      key: { '_id.conv': 1, user: 1, key: 1 },
      unique: true,
      partialFilterExpression: { key: { $exists: true } },
    },
    { name: 'fresh', key: { '_id.conv': 1, fresh: 1 }, partialFilterExpression: { fresh: { $exists: true } } },
    { name: 'edits', key: { '_id.conv': 1, of: 1 }, partialFilterExpression: { of: { $exists: true } } },
  ],
  touched: [{ name: 'rev', key: { '_id.conv': 1, rev: 1 } }],
  convs: [{ name: 'rooms', key: { name: 1, _id: 1 }, partialFilterExpression: { listed: true } }],
  members: [
    { name: 'rev', key: { '_id.conv': 1, rev: 1 } },
    {
      name: 'active',
      key: { '_id.conv': 1, '_id.user': 1, role: 1 },
      partialFilterExpression: { active: true },
    },
    { name: 'user', key: { '_id.user': 1, '_id.conv': 1, role: 1 }, partialFilterExpression: { active: true } },
  ],
  parts: [],
  writers: [{ name: 'gone', key: { seenAt: 1 }, expireAfterSeconds: WRITER_KEPT_S }],
  marks: [{ name: 'conv', key: { '_id.conv': 1 } }],
  users: [
    { name: 'name', key: { name: 1 }, unique: true },
    { name: 'email', key: { emailKey: 1 }, unique: true },
    { name: 'display', key: { displayKey: 1, name: 1 } },
  ],
  sessions: [
    { name: 'ended', key: { endedAt: 1 }, sparse: true },
    { name: 'live', key: { user: 1 }, partialFilterExpression: { ended: false } },
    // A day longer than its tokens: a token that is known has a session.
    { name: 'unused', key: { usedAt: 1 }, expireAfterSeconds: (LOGIN_DAYS + 1) * DAY_S },
  ],
  tokens: [{ name: 'old', key: { issuedAt: 1 }, expireAfterSeconds: LOGIN_DAYS * DAY_S }],
  log: [],
  nodes: [{ name: 'gone', key: { until: 1 }, expireAfterSeconds: NODE_KEPT_S }],
  about: [],
};

/** Makes what is missing; what is there stays as it is. Several processes may do it at once. */
export async function createIndexes(db: Db): Promise<void> {
  const existing = new Set((await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name));
  for (const [name, indexes] of Object.entries(INDEXES)) {
    if (!existing.has(name)) await createCollection(db, name);
    if (indexes.length > 0) await db.collection(name).createIndexes([...indexes]);
  }
}

const NAMESPACE_EXISTS = 48;

async function createCollection(db: Db, name: string): Promise<void> {
  try {
    await db.createCollection(name);
  } catch (error) {
    if ((error as { code?: unknown }).code !== NAMESPACE_EXISTS) throw error;
  }
}
