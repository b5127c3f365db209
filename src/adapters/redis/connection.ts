// Connections to Redis: one server, or the masters of a Redis Cluster. A command fails at once while there is no connection
// and is never sent twice by the driver: who asked decides whether to ask again.
import { Cluster, Redis } from 'ioredis';

export type RedisClient = Redis | Cluster;

/** How long a command may take before its outcome counts as unknown; a stopped server must be noticed within 3 s. */
export const COMMAND_TIMEOUT_MS = 2_500;
const CONNECT_TIMEOUT_MS = 2_000;
/** A connection that owes an answer for so long may be dead without saying so (a lost route): it is given up for a new one. */
const SILENCE_MS = 5_000;
const MAX_RETRY_DELAY_MS = 1_000;

const COMMON = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: true,
  enableAutoPipelining: false,
};

const ONE_SERVER = { lazyConnect: true, enableOfflineQueue: false, retryStrategy: retryDelayMs };

/**
 * A connection that is not open yet: the caller connects, and listens to `error`.
 * @param urls `redis://` or `rediss://`; several, with commas between, are members of one Redis Cluster
 * @param timeoutMs of a command; null for connections that block
 */
export function redisClient(urls: string, timeoutMs: number | null = COMMAND_TIMEOUT_MS): RedisClient {
  const timeout = timeoutMs === null ? {} : { commandTimeout: timeoutMs, socketTimeout: SILENCE_MS };
  const [first = '', ...others] = urls.split(',');
  if (others.length === 0) return new Redis(first, { ...COMMON, ...timeout, ...ONE_SERVER });
  return new Cluster([first, ...others], {
    lazyConnect: true,
    enableOfflineQueue: false,
    shardedSubscribers: true,
    clusterRetryStrategy: retryDelayMs,
    maxRedirections: 4,
    redisOptions: { ...COMMON, ...timeout },
  });
}

function retryDelayMs(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 5), MAX_RETRY_DELAY_MS);
}

/**
 * A connection to the very server that holds a key, open, and never opened again by itself: what is seen through it is
 * of one life of that server.
 * @param socketTimeoutMs a server silent for this long while it owes an answer is given up
 * @throws where it cannot be had
 */
export async function directConnection(client: RedisClient, key: string, socketTimeoutMs: number): Promise<Redis> {
  const near = client instanceof Redis ? client : await masterOf(client, key);
  const direct = near.duplicate({
    lazyConnect: true,
    enableOfflineQueue: false,
    retryStrategy: () => null,
    socketTimeout: socketTimeoutMs,
  });
  direct.on('error', () => undefined);
  await direct.connect();
  return direct;
}

async function masterOf(cluster: Cluster, key: string): Promise<Redis> {
  const slot = await cluster.cluster('KEYSLOT', key);
  const [name = ''] = cluster.slots[slot] ?? [];
  const master = cluster.nodes('master').find(({ options }) => `${options.host}:${options.port}` === name);
  if (master === undefined) throw new Error(`no master for slot ${slot}`);
  return master;
}
