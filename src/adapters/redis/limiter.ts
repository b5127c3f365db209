// Token buckets in Redis, one for all nodes, by the time of Redis: one command for all items of a turn (in a Redis Cluster
// one a shard). While Redis does not answer, stricter buckets of this node decide.
import type { Clock } from '../../ports/clock.ts';
import type { Bucket, Limiter, Take } from '../../ports/limiter.ts';
import type { Millis } from '../../protocol/ids.ts';
import { Circuit } from './circuit.ts';
import type { RedisClient } from './connection.ts';
import { Script } from './script.ts';
import { shardsOf } from './shards.ts';

/** What a command may take on the connections of limits and signals: whoever asks waits no longer than this. */
export const EPHEMERAL_TIMEOUT_MS = 250;
/** How many times less this node grants alone than all nodes do together. */
export const STRICTER = 4;
/** Items of one command: about a millisecond of Redis. */
const MAX_ITEMS = 500;

const SCRIPT = new Script('limiter');

export interface RedisLimiterOptions {
  /** Commands of it time out soon (EPHEMERAL_TIMEOUT_MS). */
  readonly client: RedisClient;
  /** Limiters of one name share their buckets. */
  readonly name: string;
  readonly bucket: Bucket;
  readonly clock: Clock;
  /** Makes the limiter that decides while Redis does not answer. */
  fallback(bucket: Bucket): Limiter;
  /** Redis does not answer, and stricter limits hold for now. */
  onFault(error: unknown): void;
}

export function redisLimiter(options: RedisLimiterOptions): Limiter {
  const { client, name, bucket } = options;
  if (bucket.rate === 0) return { take: (items) => items.map(() => 0) };
  const shards = shardsOf(client, `limit:${name}`, (prefix) => new BucketShard(options, prefix));
  let answered: Promise<unknown> = Promise.resolve();

  return {
    take(items) {
      const waits = takeFrom(shards, items, bucket.burst);
      // Law 5: neither another shard nor the decision of this node overtakes.
      const inOrder = answered.then(() => waits);
      answered = inOrder;
      return inOrder;
    },
  };
}

async function takeFrom(
  shards: { of(key: string): BucketShard },
  items: readonly Take[],
  burst: number,
): Promise<readonly Millis[]> {
  const waits = new Array<Millis>(items.length).fill(Number.POSITIVE_INFINITY);
  const parts = new Map<BucketShard, number[]>();
  for (const [place, { key, cost }] of items.entries()) {
    if (cost > burst) continue;
    const shard = shards.of(key);
    const places = parts.get(shard);
    if (places === undefined) parts.set(shard, [place]);
    else places.push(place);
  }
  const asked = [...parts].map(async ([shard, places]) => {
    const answers = await shard.take(places.map((place) => items[place] as Take));
    for (const [index, place] of places.entries()) waits[place] = answers[index] as Millis;
  });
  await Promise.all(asked);
  return waits;
}

/** Buckets on one server. */
class BucketShard {
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #bucket: Bucket;
  readonly #circuit: Circuit;
  readonly #strict: Bucket;
  readonly #fallback: Limiter;

  constructor({ client, bucket, clock, fallback, onFault }: RedisLimiterOptions, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
    this.#bucket = bucket;
    const probe = () => client.set(`${prefix}probe`, '', 'PX', 1);
    this.#circuit = new Circuit({ clock, probe, onFault });
    this.#strict = { rate: bucket.rate / STRICTER, burst: Math.max(1, bucket.burst / STRICTER) };
    this.#fallback = fallback(this.#strict);
  }

  async take(items: readonly Take[]): Promise<readonly Millis[]> {
    const runs: Promise<readonly Millis[]>[] = [];
    for (let from = 0; from < items.length; from += MAX_ITEMS)
      runs.push(this.#decide(items.slice(from, from + MAX_ITEMS)));
    return (await Promise.all(runs)).flat();
  }

  async #decide(items: readonly Take[]): Promise<readonly Millis[]> {
    const waits = await this.#circuit.ask(() => this.#askRedis(items));
    if (waits !== undefined) return waits;
    // What would never fit the smaller bucket takes all of it.
    return this.#fallback.take(items.map(({ key, cost }) => ({ key, cost: Math.min(cost, this.#strict.burst) })));
  }

  #askRedis(items: readonly Take[]): Promise<readonly Millis[]> {
    const { rate, burst } = this.#bucket;
    const tokenMicros = 1_000_000 / rate;
    const keys = items.map(({ key }) => this.#prefix + key);
    const costs = items.map(({ cost }) => cost);
    return SCRIPT.run(this.#client, keys, [tokenMicros, burst * tokenMicros, ...costs]) as Promise<Millis[]>;
  }
}
