// A store in MongoDB under audit. Makes nothing: a database that no server has ever written to is refused.
import type { ClientSession } from 'mongodb';
import { StartError } from '../../errors.ts';
import type { ChangeRow, Mend, StoreAudit, StoreFacts, StoreRows, Totals } from '../../ports/audit.ts';
import type { Head } from '../../ports/log.ts';
import type { ConvId, Seq, UserId } from '../../protocol/ids.ts';
import { mendViews, refuseLive } from './audit-mend.ts';
import { changeRow, pages, storeRows } from './audit-rows.ts';
import { Database, VERSION } from './database.ts';
import type { AboutDoc, ChangeDoc, LogDoc, PartDoc, UserDoc } from './documents.ts';
import { failureOf } from './failures.ts';
import { lastChange } from './heads.ts';

/** From the index of `_id` alone. */
const LAST_CHANGES = [
  { $sort: { _id: 1 } },
  { $project: { _id: 1 } },
  { $group: { _id: '$_id.conv', last: { $max: '$_id.seq' } } },
  { $sort: { _id: 1 } },
];

/** @throws StartError one line for the operator; ChatError `unavailable` where no server is there */
export async function openMongoAudit(url: string, canMend: boolean): Promise<StoreAudit> {
  const database = databaseAt(url);
  try {
    const [about] = await database.read<AboutDoc>('about', [{ $match: { _id: 'store' } }]);
    if (about === undefined) throw new StartError('store_missing: there is no ChatterBox store in this database');
    if (about.version > VERSION) throw new StartError('data_newer: the database was written by a newer version');
    if (canMend) await database.run((session) => refuseLive(database, session));
    return new MongoStoreAudit(database);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** The URL may hold a password: it is in no message. */
function databaseAt(url: string): Database {
  try {
    return new Database(url);
  } catch (cause) {
    throw new StartError('store_unusable: the URL of MongoDB is not one', { cause });
  }
}

class MongoStoreAudit implements StoreAudit {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async facts(): Promise<StoreFacts> {
    return this.#atOneMoment((session) => this.#factsIn(session));
  }

  totals<Result>(read: (totals: Totals) => Promise<Result>): Promise<Result> {
    return this.#atOneMoment(async (session) => {
      const facts = await this.#factsIn(session);
      const lasts = this.#database.collections.changes.aggregate<{ _id: ConvId; last: Seq }>(LAST_CHANGES, {
        session,
        allowDiskUse: true,
      });
      return read({ facts, heads: pages(lasts, ({ _id, last }) => [_id, last] as const) });
    });
  }

  async stored(names: readonly Pick<ChangeRow, 'conv' | 'seq'>[]): Promise<readonly ChangeRow[]> {
    const ids = names.map(({ conv, seq }) => ({ conv, seq }));
    const docs = await this.#database.read<ChangeDoc>('changes', [{ $match: { _id: { $in: ids } } }]);
    return docs.map(changeRow);
  }

  range<Result>(
    after: ConvId | null,
    upTo: ConvId | null,
    read: (rows: StoreRows) => Promise<Result>,
  ): Promise<Result> {
    return this.#atOneMoment((session) => read(storeRows(this.#database.collections, session, after, upTo)));
  }

  async heads(convs: readonly ConvId[]): Promise<ReadonlyMap<ConvId, Head>> {
    const heads = new Map<ConvId, Head>();
    for (const conv of convs) {
      const [last] = await this.#database.read<ChangeDoc>('changes', lastChange(conv));
      if (last !== undefined) heads.set(conv, { seq: last._id.seq, n: last.n, guard: last.guard, at: last.at });
    }
    return heads;
  }

  async unknownUsers(users: readonly UserId[]): Promise<readonly UserId[]> {
    const match = { $match: { _id: { $in: [...users] } } };
    const known = await this.#database.read<UserDoc>('users', [match, { $project: { _id: 1 } }]);
    const ids = new Set(known.map(({ _id }) => _id));
    return users.filter((user) => !ids.has(user));
  }

  /** The server checks its files itself, each page as it reads it. */
  async *damage(): AsyncGenerator<readonly string[]> {}

  mend(mends: readonly Mend[]): Promise<void> {
    return mendViews(this.#database, mends);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async #factsIn(session: ClientSession): Promise<StoreFacts> {
    const { log, parts } = this.#database.collections;
    const docs: readonly PartDoc[] = await parts.find({}, { session }).toArray();
    const record: LogDoc | null = await log.findOne({ _id: 'log' }, { session });
    const watermark: number[] = [];
    for (const { _id, offset } of docs) watermark[_id] = offset;
    const numbers = Array.from({ length: record?.parts ?? 0 }, (_, part) => docs.find(({ _id }) => _id === part));
    return {
      watermark: Array.from(watermark, (offset = 0) => offset),
      record: {
        id: record?.id ?? '',
        parts: numbers.map((doc) => ({ epoch: doc?.epoch ?? 0, opened: doc?.opened ?? 0 })),
      },
    };
  }

  /** A snapshot session reads as of its first command (mongodb.com/docs/manual/reference/read-concern-snapshot). */
  async #atOneMoment<Result>(read: (session: ClientSession) => Promise<Result>): Promise<Result> {
    const session = this.#database.client.startSession({ snapshot: true });
    try {
      return await read(session);
    } catch (error) {
      throw failureOf(error);
    } finally {
      await session.endSession();
    }
  }
}
