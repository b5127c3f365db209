// Stages a scene for the cluster mode: people and sessions into MongoDB, conversations into the Redis log, and the server's
// own persister carries these into the store. Made anew for each run: a mongod's folder is as large as a day's log.
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { type MongoStore, openMongoStore } from '../../src/adapters/mongo/store.ts';
import { openRedisLog, type RedisLog } from '../../src/adapters/redis/log.ts';
import { Persister } from '../../src/persist/index.ts';
import type { Log, Position } from '../../src/ports/log.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import type { Scene } from './scene.ts';
import { mintChanges, mintUsers, stored } from './world.ts';

/** As many as CHAT_LOG_PARTITIONS has by default. */
export const PARTS = 16;
/** As in src/app.ts. */
export const PERSIST_BATCH = 512;
const PERSIST_LINGER_MS = 50;
const TRIM_EVERY = { changes: 4_096, bytes: 2 ** 26 };

export interface ClusterUrls {
  readonly redisUrl: string;
  readonly mongoUrl: string;
}

export async function stageClusterWorld(scene: Scene, urls: ClusterUrls, say: (text: string) => void): Promise<void> {
  const store = await openMongoStore({ url: urls.mongoUrl });
  await mintUsers(scene, store, say);
  const log = await openBenchLog(urls.redisUrl, store, PARTS);
  const persisting = new Persisting(log, store.messages, PARTS);
  await mintChanges(scene, log, say);
  await stored(log, store.messages);
  await persisting.stop();
  await log.close();
  await store.close();
}

/** The log as a node opens it; all conversations are new or have been appended to by this process. */
export function openBenchLog(urls: string, store: MongoStore, parts: number, node = 'bench'): Promise<RedisLog> {
  return openRedisLog({
    urls,
    parts,
    node,
    persists: false,
    record: store.logRecord,
    lookback: { heads: (convs) => store.messages.heads(convs), recall: async () => null },
    budgetBytes: 2 ** 40,
  });
}

/** The server's persister, one a part, as src/persist/partitions.ts starts them. */
export class Persisting {
  readonly #persisters: readonly Persister[];
  readonly #ended: Promise<unknown>;
  #watermark: number[];

  constructor(log: Log, store: MessageStore, parts: number) {
    this.#watermark = [...log.state().trimmed];
    this.#persisters = Array.from({ length: parts }, (_, part) => this.#persister(log, store, part));
    this.#ended = Promise.all(this.#persisters.map((persister) => persister.run()));
  }

  /** Of the changes stored by these persisters. */
  get watermark(): Position {
    return this.#watermark;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#persisters.map((persister) => persister.stop()));
    await this.#ended;
  }

  #persister(log: Log, store: MessageStore, part: number): Persister {
    return new Persister({
      log,
      store,
      clock: systemClock(),
      batch: PERSIST_BATCH,
      lingerMs: PERSIST_LINGER_MS,
      trimEvery: TRIM_EVERY,
      parts: [part],
      onStored: (upTo) => {
        this.#watermark[part] = upTo[part] ?? 0;
      },
      onPoison: (_change, error) => {
        throw error;
      },
      onFault: (error) => process.stderr.write(`persister: ${String(error)}\n`),
    });
  }
}
