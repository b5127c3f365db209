// What a batch reads and writes in its transaction. One command after the other: a transaction takes no two at once.
import type { ClientSession } from 'mongodb';
import type { Found, Needs, Writes } from './batch.ts';
import type { ChangeId, Collections } from './documents.ts';

export async function findFor(collections: Collections, session: ClientSession, needs: Needs): Promise<Found> {
  const { changes, touched, convs, members } = collections;
  const change = { session, projection: { type: 1, wire: 1, of: 1, fresh: 1 } };
  const has = <Id>(ids: readonly Id[]) => ids.length > 0;
  const messages = { ...oneOf(needs.messages), type: 'message' } as const;
  return {
    changes: [
      ...(has(needs.messages) ? await changes.find(messages, change).toArray() : []),
      ...(has(needs.deleted) ? await changes.find({ $or: editsOf(needs.deleted) }, change).toArray() : []),
    ],
    touched: has(needs.messages) ? await touched.find(oneOf(needs.messages), { session }).toArray() : [],
    convs: has(needs.convs)
      ? await convs.find(oneOf(needs.convs), { session, projection: { members: 1, state: 1 } }).toArray()
      : [],
    members: has(needs.members) ? await members.find(oneOf(needs.members), { session }).toArray() : [],
  };
}

function oneOf<Id>(ids: readonly Id[]): { _id: { $in: Id[] } } {
  return { _id: { $in: [...ids] } };
}

function editsOf(messages: readonly ChangeId[]) {
  const byConv = Map.groupBy(messages, ({ conv }) => conv);
  return [...byConv].map(([conv, own]) => ({ '_id.conv': conv, of: { $in: own.map(({ seq }) => seq) } }));
}

export async function write(collections: Collections, session: ClientSession, writes: Writes): Promise<void> {
  const { changes, touched, members, convs } = collections;
  await changes.insertMany([...writes.changes], { session });
  const rewrites = writes.rewrites.map(({ _id, wire }) => ({
    updateOne: { filter: { _id }, update: { $set: { wire }, $unset: { fresh: 1 } } } as const,
  }));
  if (rewrites.length > 0) await changes.bulkWrite(rewrites, { session });
  if (writes.touched.length > 0) await touched.bulkWrite(writes.touched.map(replacement), { session });
  if (writes.members.length > 0) await members.bulkWrite(writes.members.map(replacement), { session });
  if (writes.newConvs.length > 0) await convs.insertMany([...writes.newConvs], { session });
  const moved = writes.movedConvs.map(({ _id, ...fields }) => ({
    updateOne: { filter: { _id }, update: { $set: fields } },
  }));
  if (moved.length > 0) await convs.bulkWrite(moved, { session });
}

function replacement<Doc extends { readonly _id: unknown }>(doc: Doc) {
  return { replaceOne: { filter: { _id: doc._id as Doc['_id'] }, replacement: doc, upsert: true } };
}
