// Puts rows of views in their place, in one transaction. Every part's document moves in it, so that no batch is stored beside
// it, and whoever carries a part asks for its heads again.
import type { ClientSession, Document } from 'mongodb';
import { StartError } from '../../errors.ts';
import type { ConvRow, Mend } from '../../ports/audit.ts';
import type { Database } from './database.ts';
import type { CollectionName } from './documents.ts';
import { runTransaction } from './transaction.ts';

/** One write of a bulk. */
interface Write {
  readonly to: CollectionName;
  readonly operation: Document;
}

export async function mendViews(database: Database, mends: readonly Mend[]): Promise<void> {
  const writes = Map.groupBy(mends.map(writeOf), ({ to }) => to);
  await database.run((session) =>
    runTransaction(
      session,
      async () => {
        await database.collections.parts.updateMany({}, { $inc: { batches: 1 } }, { session });
        await refuseLive(database, session);
        for (const [to, some] of writes) {
          const operations = some.map(({ operation }) => operation);
          await database.db.collection(to).bulkWrite(operations as never, { session });
        }
      },
      async () => {},
    ),
  );
}

/** What a node has in its memory came from the views. @throws StartError */
export async function refuseLive({ collections }: Database, session: ClientSession): Promise<void> {
  const isLive = { $expr: { $gt: ['$until', '$$NOW'] } };
  const live = await collections.nodes.find(isLive, { session }).toArray();
  if (live.length === 0) return;
  const nodes = live.length === 1 ? 'a node runs' : `${live.length} nodes run`;
  throw new StartError(`data_in_use: ${nodes}; stop all of them to repair (one that was killed counts for 10 s)`);
}

function writeOf(mend: Mend): Write {
  switch (mend.is) {
    case 'conv':
      return placed('convs', mend.conv, mend.row === null ? null : convFields(mend.row));
    case 'member': {
      const { conv, user, row } = mend;
      return placed(
        'members',
        { conv, user },
        row === null ? null : { role: row.role, rev: row.rev, active: row.active },
      );
    }
    case 'touched': {
      const { conv, seq, row } = mend;
      return placed('touched', { conv, seq }, row === null ? null : { rev: row.rev, state: row.state });
    }
    case 'change':
      return { to: 'changes', operation: { updateOne: changeUpdate(mend.row) } };
    case 'mark': {
      const { conv, user, read, received } = mend.row;
      return {
        to: 'marks',
        operation: { updateOne: { filter: { _id: { user, conv } }, update: { $set: { read, received } } } },
      };
    }
  }
}

function placed(to: CollectionName, _id: unknown, fields: Document | null): Write {
  const filter = { _id };
  const operation =
    fields === null
      ? { deleteOne: { filter } }
      : { replaceOne: { filter, replacement: { _id, ...fields }, upsert: true } };
  return { to, operation };
}

function convFields({ members, rev, state, name, listed, deleted }: ConvRow): Document {
  return { members, ...(state === null ? {} : { rev, state, name, listed, deleted }) };
}

function changeUpdate({ conv, seq, of, isOwnState, after }: Extract<Mend, { is: 'change' }>['row']): Document {
  const set = { ...(of === null ? {} : { of }), ...(isOwnState === true ? { fresh: seq } : {}), ...after };
  const unset = { ...(of === null ? { of: 1 } : {}), ...(isOwnState === true ? {} : { fresh: 1 }) };
  const update = {
    ...(Object.keys(set).length === 0 ? {} : { $set: set }),
    ...(Object.keys(unset).length === 0 ? {} : { $unset: unset }),
  };
  return { filter: { _id: { conv, seq } }, update };
}
