// The log on a Redis of its own for a test, with a store in memory beside it: nodes that open it share both.
import { randomUUID } from 'node:crypto';
import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { openRedisLog, type RedisLog, type RedisLogOptions } from '../../src/adapters/redis/log.ts';
import type { Lookback } from '../../src/adapters/redis/log-appender.ts';
import { type Change, type Log, PositionLost } from '../../src/ports/log.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import { TailMemory } from '../../src/tail/index.ts';
import { type OwnServer, type RedisCluster, redisServer } from '../kit/services.ts';
import type { LogSettings } from './log-items.ts';

const DEFAULT_BUDGET_BYTES = 1_000_000_000;
const KEEP_BYTES = 1_000_000;
/** The append-only file is a folder (Redis 7). */
const AOF = 'appendonlydir';
const COPY = 'copy';

export interface RedisLogSettings
  extends LogSettings,
    Partial<Pick<RedisLogOptions, 'parts' | 'node' | 'onLost' | 'onForeign' | 'urls' | 'record'>> {
  /** In place of the store's. */
  readonly heads?: Lookback['heads'];
}

export class RedisUnderTest {
  readonly store = memoryStore();
  readonly redis: OwnServer;
  readonly #urls: string;
  readonly #opened: Log[] = [];

  /** @param urls where it is one of several */
  constructor(redis: OwnServer, urls = redis.url) {
    this.redis = redis;
    this.#urls = urls;
  }

  /** A node more. */
  async open({ budgetBytes = DEFAULT_BUDGET_BYTES, heads, ...settings }: RedisLogSettings = {}): Promise<RedisLog> {
    const { messages, logRecord } = this.store;
    const opening = Promise.withResolvers<Log>();
    const looksBack = lookback(opening.promise, messages);
    const log = await openRedisLog({
      urls: this.#urls,
      parts: 1,
      node: randomUUID(),
      persists: true,
      record: logRecord,
      ...settings,
      budgetBytes,
      lookback: heads === undefined ? looksBack : { ...looksBack, heads },
    });
    opening.resolve(log);
    this.#opened.push(log);
    return log;
  }

  /** As the persister does. */
  async apply(log: Log, changes: readonly Change[]): Promise<void> {
    const upTo: number[] = [];
    for (const { part, offset } of changes) upTo[part] = offset;
    await this.store.messages.apply(
      changes,
      Array.from(upTo, (offset) => offset ?? 0),
      log.tail([]).epochs,
    );
  }

  /** What is on its disk now: under `appendfsync always` all that it has acknowledged. */
  async snapshot(): Promise<void> {
    await cp(join(this.redis.dir, AOF), join(this.redis.dir, COPY), { recursive: true });
  }

  /** Puts that back; while it does not run. */
  async restoreSnapshot(): Promise<void> {
    await rm(join(this.redis.dir, AOF), { recursive: true });
    await rename(join(this.redis.dir, COPY), join(this.redis.dir, AOF));
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#opened.map((log) => log.close()));
  }
}

export async function redisUnderTest(t: Test): Promise<RedisUnderTest> {
  const redis = await redisServer(t);
  const under = new RedisUnderTest(redis);
  t.teardown(() => under.closeAll());
  return under;
}

/** On a Redis Cluster that several tests share, one after the other: emptied for each. */
export async function clusterUnderTest(t: Test, { urls, masters }: RedisCluster): Promise<RedisUnderTest> {
  for (const { url } of masters) {
    const redis = new Redis(url);
    await redis.flushall();
    redis.disconnect();
  }
  const under = new RedisUnderTest(masters[0] as OwnServer, urls);
  t.teardown(() => under.closeAll());
  return under;
}

/** As a node looks back: what its tail has and the store has not, and the store. */
function lookback(opening: Promise<Log>, messages: MessageStore): Lookback {
  const following = opening.then((log) => follow(log, messages));
  return {
    heads: (convs) => messages.heads(convs),
    async recall(conv, user, key) {
      const log = await opening;
      const tail = await following;
      await tail.reach(await log.readIndex());
      const pin = tail.pin();
      const stored = await messages.recall(conv, user, key);
      pin.release();
      return stored ?? tail.recall(conv, user, key);
    },
  };
}

async function follow(log: Log, messages: MessageStore): Promise<TailMemory> {
  const watermark = await messages.watermark();
  const position = log.state().head.map((_, part) => watermark[part] ?? 0);
  const memory = new TailMemory(position, KEEP_BYTES);
  const read = async () => {
    for await (const changes of log.tail(position)) {
      for (const change of changes) memory.add(change);
      memory.settle();
    }
  };
  read().catch((error: unknown) => {
    if (!(error instanceof PositionLost)) throw error;
  });
  return memory;
}
