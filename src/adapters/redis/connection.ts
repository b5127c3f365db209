// Connections to Redis: one server, or the masters of a Redis Cluster. A command fails at once while there is no connection,
// and the driver sends none of the log's twice: who asked decides whether to ask again.
import { Cluster, Redis } from 'ioredis';

export type RedisClient = Redis | Cluster;

/** How long a command may take before its outcome counts as unknown; a stopped server must be noticed within 3 s. */
export const COMMAND_TIMEOUT_MS = 2_500;
const CONNECT_TIMEOUT_MS = 2_000;
/** A connection that owes an answer for so long may be dead without saying so (a lost route): it is given up for a new one. */
const SILENCE_MS = 5_000;
const MAX_RETRY_DELAY_MS = 1_000;
/** After a connection to a member of a Redis Cluster was lost. */
const SLOTS_AFTER_MS = 200;
/** What waits for a first connection tries again by itself. */
const CONNECT_WITHIN_MS = 5_000;

const COMMON = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  // Whoever subscribes does so at every `ready`; the driver's way leaves rejections that nobody handles.
  autoResubscribe: false,
  enableAutoPipelining: false,
};

const A_CLUSTER = {
  lazyConnect: true,
  enableOfflineQueue: false,
  clusterRetryStrategy: retryDelayMs,
  maxRedirections: 4,
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
    ...A_CLUSTER,
    shardedSubscribers: true,
    redisOptions: { ...COMMON, ...timeout },
  });
}

/**
 * As `redisClient`, for the log. Where a connection to a Redis Cluster is lost the driver would send its commands again, which
 * may have been carried out; told not to, it refuses them while it connects, and asks nobody where the slots are now.
 */
export function logClient(urls: string): RedisClient {
  const [first = '', ...others] = urls.split(',');
  if (others.length === 0) return redisClient(urls);
  const timeout = { commandTimeout: COMMAND_TIMEOUT_MS, socketTimeout: SILENCE_MS };
  const cluster = new Cluster([first, ...others], {
    ...A_CLUSTER,
    retryDelayOnFailover: 0,
    redisOptions: { ...COMMON, ...timeout, lazyConnect: false },
  });
  cluster.on('-node', () => setTimeout(() => cluster.refreshSlotsCache(), SLOTS_AFTER_MS).unref());
  return cluster;
}

/**
 * Opens a connection of the above.
 * @throws where it cannot be had within a bound: the promise of the driver's `connect` may never settle, where a Redis Cluster
 *   is found that does not serve yet
 */
export async function connected(client: RedisClient): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error('Redis does not answer')), CONNECT_WITHIN_MS);
  client.once('ready', resolve);
  client.connect().then(resolve, reject);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    client.off('ready', resolve);
  }
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
