// What must be known of the log by others than itself, in MongoDB. The epoch of a part stands beside its watermark, in the
// document that every batch of the part writes to: so none is applied beside the beginning of an epoch (law 4). Leases are
// made and judged by the database's clock.
import { randomBytes } from 'node:crypto';
import { StartError } from '../../errors.ts';
import type { LogRecord, NodeReport, PartRecord } from '../../ports/log-record.ts';
import type { Database } from './database.ts';
import type { LogDoc, NodeDoc, PartDoc } from './documents.ts';
import { failureOf } from './failures.ts';
import type { PartWriters } from './part-writer.ts';

const ID_BYTES = 6;

function partRecord(doc: PartDoc | null | undefined): PartRecord {
  const { epoch = 0, opened = 0, offset = 0, latestKeyMs = 0 } = doc ?? {};
  return { epoch, opened, stored: offset, latestKeyMs };
}

export function mongoLogRecord(database: Database, writers: PartWriters): LogRecord {
  const { log, parts, nodes } = database.collections;

  return {
    async open(wanted) {
      const first = { id: randomBytes(ID_BYTES).toString('base64url'), parts: wanted };
      const options = { upsert: true, returnDocument: 'after' } as const;
      const doc = await database.run((session) =>
        log.findOneAndUpdate({ _id: 'log' }, { $setOnInsert: first }, { ...options, session }),
      );
      if (doc === null) throw new Error('an upsert gave no document');
      if (doc.parts === wanted) return { id: doc.id, parts: doc.parts };
      throw new StartError(`log_parts: the log is cut into ${doc.parts} parts, and cannot be cut into ${wanted}`);
    },

    async epochs() {
      const [[record], docs] = await Promise.all([
        database.read<LogDoc>('log', []),
        database.read<PartDoc>('parts', []),
      ]);
      const byPart = new Map(docs.map((doc) => [doc._id, doc]));
      return Array.from({ length: record?.parts ?? 0 }, (_, part) => partRecord(byPart.get(part)));
    },

    async beginEpoch(part, from, above = 0) {
      const begin = writers.of(part).transact(async (session): Promise<PartRecord> => {
        const now = partRecord(await parts.findOne({ _id: part }, { session }));
        if (now.epoch !== from) return now;
        const epoch = Math.max(from, above) + 1;
        const update = { $set: { epoch }, $max: { offset: 0 }, $inc: { batches: 1 } };
        await parts.updateOne({ _id: part }, update, { session, upsert: true });
        return { ...now, epoch };
      });
      return begin.catch((error: unknown) => {
        throw failureOf(error);
      });
    },

    async openEpoch(part, epoch) {
      await database.run((session) => parts.updateOne({ _id: part, epoch }, { $set: { opened: epoch } }, { session }));
    },

    async keepAlive(report, leaseMs) {
      const fields = { report: { $literal: JSON.stringify(report) }, until: { $add: ['$$NOW', leaseMs] } };
      await database.run((session) =>
        nodes.updateOne({ _id: report.node }, [{ $set: fields }], { session, upsert: true }),
      );
    },

    async liveNodes() {
      const isLive = { $expr: { $gt: ['$until', '$$NOW'] } };
      const live = await database.read<NodeDoc>('nodes', [{ $match: isLive }]);
      return live.map(({ report }) => JSON.parse(report) as NodeReport);
    },

    async leave(node) {
      await database.run((session) => nodes.deleteOne({ _id: node }, { session }));
    },
  };
}
