// What the services of a cluster hold: the log in Redis, the store in MongoDB, read past all nodes.
import type { Redis } from 'ioredis';
import type { Change } from '../kit/frames.ts';
import type { Cluster } from '../kit/nodes.ts';
import type { Dump, DumpedChange } from './evidence.ts';

interface Part {
  readonly epoch: number;
  readonly watermark: number;
}

interface Stored {
  readonly id: string;
  readonly parts: readonly Part[];
  readonly changes: readonly DumpedChange[];
}

/** To be called when nobody writes. */
export async function dumpCluster(cluster: Cluster): Promise<Dump> {
  const { id, parts, changes } = await storeOf(cluster);
  const logs = await cluster.withRedis((redis) => Promise.all(parts.map((_, part) => logOf(redis, part))));
  return {
    epoch: packed(id, parts),
    parts: parts.map(({ watermark }, part) => ({ watermark, trimmed: logs[part]?.trimmed ?? 0 })),
    changes: [...changes, ...logs.flatMap((log) => log.changes)],
  };
}

function storeOf(cluster: Cluster): Promise<Stored> {
  return cluster.withMongo(async (db) => {
    const log = await db.collection<{ _id: string; id: string; parts: number }>('log').findOne();
    const docs = await db.collection<{ _id: number; epoch: number; offset: number }>('parts').find().toArray();
    const rows = await db.collection<{ wire: string }>('changes').find().sort({ _id: 1 }).toArray();
    const parts = Array.from({ length: log?.parts ?? 0 }, (_, part) => {
      const doc = docs.find(({ _id }) => _id === part);
      return { epoch: doc?.epoch ?? 0, watermark: doc?.offset ?? 0 };
    });
    return { id: log?.id ?? '', parts, changes: rows.map(({ wire }) => dumped('store', 0, 0, wire)) };
  });
}

async function logOf(redis: Redis, part: number) {
  const trimmed = Number(await redis.hget(`chat:{${part}}:meta`, 'trimmed'));
  const entries = await redis.xrange(`chat:{${part}}:log`, '-', '+');
  // What is trimmed is whole entries: the first may hold changes that are gone already.
  const kept = entries.flatMap(([id, fields]) => {
    const wires = (fields[fields.indexOf('w') + 1] ?? '').split('\n');
    const first = Number.parseInt(id, 10) - wires.length + 1;
    return wires.map((wire, index) => dumped('log', part, first + index, wire));
  });
  return { trimmed, changes: kept.filter(({ offset }) => offset > trimmed) };
}

/** As clients are told it: one number where all parts have the same. */
function packed(id: string, parts: readonly Part[]): string {
  const epochs = parts.map(({ epoch }) => epoch.toString(36));
  return `${id}_${new Set(epochs).size === 1 ? epochs[0] : epochs.join('-')}`;
}

function dumped(file: DumpedChange['file'], part: number, offset: number, wire: string): DumpedChange {
  return { file, part, offset, change: JSON.parse(wire) as Change };
}
