// One MongoDB database and the moment this process has seen it at. A write waits for a majority and its journals; a read
// is of one majority-committed moment, never older than what this process wrote or read before. Refuses a server
// without replication, one too old, and a database that a newer version wrote.
import {
  type ClientSession,
  type Db,
  type Document,
  MongoClient,
  type MongoClientOptions,
  type Timestamp,
} from 'mongodb';
import { StartError } from '../../errors.ts';
import type { Millis } from '../../protocol/ids.ts';
import { type CollectionName, type Collections, collectionsOf } from './documents.ts';
import { failureOf, isUnreachable } from './failures.ts';
import { createIndexes } from './indexes.ts';

/** Of the documents. */
export const VERSION = 1;
/** Of the wire protocol: MongoDB 6.0. Before 5.3 no `$setWindowFields` reads a snapshot. */
const MIN_WIRE_VERSION = 17;
/** How long a write waits for a majority before its outcome counts as unknown. */
const MAJORITY_TIMEOUT_MS: Millis = 5_000;
const DEFAULT_NAME = 'chatterbox';
const HAS_NAME = /^[^/]+\/\/[^/?]+\/[^?]/;

/**
 * What holds whatever the URL says. The driver's own patience with a silent server is over a minute, and its `timeoutMS`
 * does nothing: here it is noticed by the heartbeat, within both of its times together (3 s).
 */
const OPTIONS = {
  appName: 'chatterbox',
  readPreference: 'primary',
  retryReads: true,
  retryWrites: true,
  w: 'majority',
  journal: true,
  wtimeoutMS: MAJORITY_TIMEOUT_MS,
  heartbeatFrequencyMS: 1_000,
  connectTimeoutMS: 2_000,
  serverSelectionTimeoutMS: 2_000,
  maxPoolSize: 50,
  // Of callers that wait while all connections are busy; those of a server that is gone are told at once.
  waitQueueTimeoutMS: 10_000,
  // For a server that answers the heartbeat and nothing else: its disk hangs.
  socketTimeoutMS: 10_000,
} as const satisfies MongoClientOptions;

/**
 * Given to each read, never to the client or a collection: the driver writes a session's time into the very object it was
 * given, and one that is kept would carry it into the reads of others (`applySession` in mongodb 7.8.0).
 */
const SNAPSHOT = { level: 'snapshot' } as const;

/** An answer comes in one piece, up to MongoDB's 16 MB. */
const BATCH_SIZE = 100_000;

export class Database {
  readonly client: MongoClient;
  readonly collections: Collections;
  readonly db: Db;
  #seen: Timestamp | undefined;

  constructor(url: string) {
    this.client = new MongoClient(url, OPTIONS);
    this.db = this.client.db(HAS_NAME.test(url) ? undefined : DEFAULT_NAME);
    this.collections = collectionsOf(this.db);
  }

  /** One query, of one moment. @throws ChatError `unavailable` */
  read<Row extends Document>(collection: CollectionName, pipeline: readonly Document[]): Promise<Row[]> {
    const source = this.db.collection(collection);
    const options = { readConcern: SNAPSHOT, batchSize: BATCH_SIZE };
    return this.run((session) => source.aggregate<Row>([...pipeline], { ...options, session }).toArray());
  }

  /** As `read`, of what needs no pipeline: that costs the server half, and its driver less. */
  find<Row extends Document>(collection: CollectionName, filter: Document, projection: Document = {}): Promise<Row[]> {
    const source = this.db.collection(collection);
    const options = { readConcern: SNAPSHOT, batchSize: BATCH_SIZE, projection };
    return this.run((session) => source.find<Row>(filter, { ...options, session }).toArray());
  }

  /** Runs writes in a session that follows on all this process knows of. @throws ChatError `unavailable` */
  async run<Result>(work: (session: ClientSession) => Promise<Result>): Promise<Result> {
    const session = this.startSession();
    try {
      return await work(session);
    } catch (error) {
      throw failureOf(error);
    } finally {
      this.saw(session);
      await session.endSession();
    }
  }

  /** The caller tells what it `saw`, and ends it. */
  startSession(): ClientSession {
    const session = this.client.startSession({ causalConsistency: true });
    if (this.#seen !== undefined) session.advanceOperationTime(this.#seen);
    return session;
  }

  /** What a session has written or read is covered by every later read of this process, whichever server answers it. */
  saw({ operationTime }: ClientSession): void {
    if (operationTime === undefined) return;
    if (this.#seen === undefined || operationTime.greaterThan(this.#seen)) this.#seen = operationTime;
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

/** @throws StartError one line for the operator; ChatError `unavailable` while no server is there */
export async function openDatabase(url: string): Promise<Database> {
  const database = parsed(url);
  try {
    await database.client.connect();
    await checkServer(database);
    await checkVersion(database);
    await createIndexes(database.db);
    return database;
  } catch (error) {
    await database.close();
    if (error instanceof StartError) throw error;
    if (isUnreachable(error)) throw failureOf(error);
    throw new StartError(`store_unusable: MongoDB cannot be used (${(error as Error).message})`, { cause: error });
  }
}

/** The URL may hold a password: it is in no message. */
function parsed(url: string): Database {
  try {
    return new Database(url);
  } catch (error) {
    throw new StartError('store_unusable: the URL of MongoDB is not one', { cause: error });
  }
}

async function checkServer({ db }: Database): Promise<void> {
  const hello = await db.command({ hello: 1 });
  if (hello.maxWireVersion < MIN_WIRE_VERSION) throw new StartError('store_unusable: MongoDB must be 6.0 or newer');
  const isReplicated = hello.setName !== undefined || hello.msg === 'isdbgrid';
  if (!isReplicated)
    throw new StartError('store_unusable: MongoDB must be a replica set; it may be one of a single server');
}

/** Of versions that start at once the newest stands: an older one that comes later is refused. */
async function checkVersion({ collections }: Database): Promise<void> {
  const about = await collections.about.findOneAndUpdate(
    { _id: 'store' },
    { $max: { version: VERSION } },
    { upsert: true, returnDocument: 'after' },
  );
  const version = about?.version ?? VERSION;
  if (version <= VERSION) return;
  throw new StartError(`data_newer: the database is of version ${version}, this program knows up to ${VERSION}`);
}
