// Tallies in Redis, one for all nodes. While Redis does not answer, this node tells its own, each count for several.
import type { Clock } from '../../ports/clock.ts';
import type { Tallies, Tally } from '../../ports/tallies.ts';
import type { Millis } from '../../protocol/ids.ts';
import { Circuit } from './circuit.ts';
import type { RedisClient } from './connection.ts';
import { STRICTER } from './limiter.ts';
import { Script } from './script.ts';
import { shardsOf } from './shards.ts';

const SCRIPT = new Script('tallies');

export interface RedisTalliesOptions {
  /** Commands of it time out soon (EPHEMERAL_TIMEOUT_MS). */
  readonly client: RedisClient;
  readonly clock: Clock;
  /** Counts while Redis does not answer. */
  readonly fallback: Tallies;
  /** Redis does not answer, and stricter limits hold for now. */
  onFault(error: unknown): void;
}

export function redisTallies({ client, clock, fallback, onFault }: RedisTalliesOptions): Tallies {
  const shards = shardsOf(client, 'tally', (prefix) => {
    const probe = () => client.set(`${prefix}probe`, '', 'PX', 1);
    return { prefix, circuit: new Circuit({ clock, probe, onFault }) };
  });

  async function countAlone(key: string, windowMs: Millis): Promise<Tally> {
    const { count, leftMs } = await fallback.count(key, windowMs);
    return { count: count * STRICTER, leftMs };
  }

  return {
    async count(key, windowMs) {
      const { prefix, circuit } = shards.of(key);
      const answer = await circuit.ask(() => SCRIPT.run(client, [prefix + key], [windowMs]));
      if (answer === undefined) return countAlone(key, windowMs);
      const [count, leftMs] = answer as [number, number];
      return { count, leftMs };
    },
  };
}
