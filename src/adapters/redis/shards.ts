// Spreads keys over a few hash tags (redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec, "Hash tags"): those
// of one tag are on one master and fit into one command. One server needs one tag.
import { Cluster } from 'ioredis';
import type { RedisClient } from './connection.ts';

/** A few for each master of the Redis Clusters we know of. */
const CLUSTER_SHARDS = 8;

/** @param make is given what the shard's keys start with. @returns the shards, and whose a key is */
export function shardsOf<Shard>(client: RedisClient, name: string, make: (prefix: string) => Shard): Shards<Shard> {
  const count = client instanceof Cluster ? CLUSTER_SHARDS : 1;
  const all = Array.from({ length: count }, (_, index) => make(`chat:{${name}:${index}}:`));
  return { all, of: (key) => all[hashOf(key) % count] as Shard };
}

export interface Shards<Shard> {
  readonly all: readonly Shard[];
  of(key: string): Shard;
}

/** FNV-1a, 32 bit. */
function hashOf(key: string): number {
  let state = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) state = Math.imul(state ^ key.charCodeAt(index), 0x01000193);
  return state >>> 0;
}
