// Redis for limits and signals: connections as the app makes them, and time that passes for buckets without anybody waiting.
import { randomUUID } from 'node:crypto';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { Cluster, type Redis } from 'ioredis';
import { memoryLimiter } from '../../src/adapters/memory/limiter.ts';
import { type RedisClient, redisClient } from '../../src/adapters/redis/connection.ts';
import { EPHEMERAL_TIMEOUT_MS, redisLimiter } from '../../src/adapters/redis/limiter.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Bucket } from '../../src/ports/limiter.ts';
import type { LimiterUnderTest } from './limiter.ts';

export interface Owner {
  teardown(end: () => unknown): void;
}

/** A busy machine is no fault: so long may a command take where Redis is to answer. */
const PATIENT_MS = 10_000;
/** Where Redis does not answer: longer than the app waits, for the sake of busy machines. */
export const OUTAGE_TIMEOUT_MS = 4 * EPHEMERAL_TIMEOUT_MS;

/** A connection that is not open yet; closed after the test. */
export function connection(t: Owner, urls: string, timeoutMs = PATIENT_MS): RedisClient {
  const client = redisClient(urls, timeoutMs);
  client.on('error', () => {});
  t.teardown(() => client.disconnect());
  return client;
}

/** An open one, which opens itself again. */
export async function openConnection(t: Owner, urls: string, timeoutMs = PATIENT_MS): Promise<RedisClient> {
  const client = connection(t, urls, timeoutMs);
  // The promise of the driver's `connect` may never settle: a cluster that was not ready at once begins again without it.
  const ready = new Promise((resolve) => client.once('ready', resolve));
  client.connect().catch(() => {});
  await ready;
  return client;
}

/** So much slower than asked for are the buckets: what passes in truth while a test runs is nothing to them. */
const SLOWNESS = 1_000_000;

const PASS = `
local full = redis.call('GET', KEYS[1])
if full then redis.call('SET', KEYS[1], string.format('%.17g', full - ARGV[1]), 'KEEPTTL') end
`;

/** A limiter of fresh buckets. Time passes by moving what the buckets hold into the past. */
export function slowLimiter(client: RedisClient, { rate, burst }: Bucket, clock: Clock): LimiterUnderTest {
  const name = randomUUID();
  const limiter = redisLimiter({
    client,
    name,
    bucket: { rate: rate / SLOWNESS, burst },
    clock,
    fallback: (bucket) => memoryLimiter(bucket, clock),
    onFault: (error) => {
      throw error;
    },
  });
  return {
    limiter: {
      take: async (items) => (await limiter.take(items)).map((waitMs) => Math.ceil(waitMs / SLOWNESS)),
    },
    pass: async (ms) => {
      const keys = await keysOf(client, `chat:{limit:${name}:*`);
      await Promise.all(keys.map((key) => client.eval(PASS, 1, key, ms * 1_000 * SLOWNESS)));
    },
  };
}

export async function keysOf(client: RedisClient, pattern: string): Promise<readonly string[]> {
  const servers = client instanceof Cluster ? client.nodes('master') : [client as Redis];
  return (await Promise.all(servers.map((server) => server.keys(pattern)))).flat();
}

/** A way to a port whose open connections can be frozen: they stay, and nothing comes through any more. */
export async function frozenWay(t: Owner, port: number): Promise<{ readonly url: string; freeze(): void }> {
  const open = new Set<Socket>();
  const way: Server = createServer((near) => {
    const far = dial(port, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => {});
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    way.close();
  });
  const address = way.address() as { readonly port: number };
  return {
    url: `redis://127.0.0.1:${address.port}`,
    freeze: () => {
      for (const socket of open) socket.unpipe().pause();
    },
  };
}
