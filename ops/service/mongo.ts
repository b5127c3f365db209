// mongod as a replica set of one node: what transactions, change streams and `w: majority` want.
import type { MongoClient } from 'mongodb';
import { isListening } from './launch.ts';

export interface MongoOptions {
  readonly dir: string;
  /** Fault injection by `configureFailPoint`: for tests only. */
  readonly hasTestCommands?: boolean;
  readonly args?: readonly string[];
}

const REPLICA_SET = 'rs0';
const DATABASE = 'chatterbox';
const ALREADY_INITIALIZED = 23;

export function mongoWords(port: number, options: MongoOptions): readonly string[] {
  // Without a cache size it takes half of the machine's memory.
  const words = ['--replSet', REPLICA_SET, '--bind_ip', '127.0.0.1', '--port', String(port), '--dbpath', options.dir];
  const sizes = ['--nounixsocket', '--wiredTigerCacheSizeGB', '0.25', '--oplogSize', '128'];
  const parameters = ['diagnosticDataCollectionEnabled=false', 'ttlMonitorSleepSecs=1'];
  if (options.hasTestCommands === true) parameters.push('enableTestCommands=1');
  return [...words, ...sizes, ...parameters.flatMap((text) => ['--setParameter', text]), ...(options.args ?? [])];
}

/** Ready is: primary. A fresh one is initiated on the way. */
export async function isMongoReady(port: number, pid: number): Promise<boolean> {
  // The driver looks again only after half a second.
  if (!(await isListening(port))) return false;
  // Loading the driver takes longer than all else that most commands do.
  const { MongoClient } = await import('mongodb');
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 500,
    connectTimeoutMS: 500,
  });
  try {
    const admin = client.db('admin');
    if (Number((await admin.command({ serverStatus: 1 })).pid) !== pid) return false;
    const hello = await admin.command({ hello: 1 });
    if (hello.isreplicaset === true) await initiate(client, port);
    return hello.isWritablePrimary === true;
  } finally {
    await client.close();
  }
}

async function initiate(client: MongoClient, port: number): Promise<void> {
  const members = [{ _id: 0, host: `127.0.0.1:${port}` }];
  try {
    await client.db('admin').command({ replSetInitiate: { _id: REPLICA_SET, members } });
  } catch (error) {
    if ((error as { code?: unknown }).code !== ALREADY_INITIALIZED) throw error;
  }
}

export const mongoUrl = (port: number, database = DATABASE) =>
  `mongodb://127.0.0.1:${port}/${database}?replicaSet=${REPLICA_SET}`;
