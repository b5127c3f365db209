// The cluster mode: the log, limits and signals in Redis, the store in MongoDB, and other nodes like this one. What is not
// there yet at the start is waited for.
import type { Logger } from 'pino';
import { systemClock } from '../adapters/memory/clock.ts';
import { memoryLimiter } from '../adapters/memory/limiter.ts';
import { memoryTallies } from '../adapters/memory/tallies.ts';
import { openMongoStore } from '../adapters/mongo/store.ts';
import { redisClient } from '../adapters/redis/connection.ts';
import { EPHEMERAL_TIMEOUT_MS, redisLimiter } from '../adapters/redis/limiter.ts';
import { openRedisLog, type RedisLog } from '../adapters/redis/log.ts';
import { redisSignals } from '../adapters/redis/signals.ts';
import { redisTallies } from '../adapters/redis/tallies.ts';
import type { ClusterConfig } from '../config.ts';
import { StartError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { LogRecord } from '../ports/log-record.ts';
import type { MessageStore } from '../ports/store.ts';
import type { TailMemory } from '../tail/index.ts';
import type { Adapters } from './adapters.ts';

const RETRY_MS = 1_000;
/** As `/ready` calls what is missing, and as people do. */
const SERVICES = { mongodb: 'MongoDB', redis: 'Redis' } as const;
type Service = keyof typeof SERVICES;

/**
 * @param onWaiting told what is waited for
 * @throws StartError where a setting is at fault
 */
export async function openCluster(
  config: ClusterConfig,
  logger: Logger,
  onWaiting: (service: Service) => Promise<void>,
): Promise<Adapters> {
  const clock = systemClock();
  const waiting = { logger, onWaiting };
  const store = await patiently('mongodb', () => openMongoStore({ url: config.mongoUrl }), waiting);
  const ephemeral = openEphemeral(config, clock, logger);
  const { node } = ephemeral.signals;
  const persists = config.roles.includes('persist');
  let log: RedisLog | undefined;
  return {
    ...store,
    ...ephemeral,
    clock,
    secret: config.secret,
    openLog: async (tail) => {
      log = await patiently('redis', () => openLog(config, { node, persists }, store, tail, logger), waiting);
      return log;
    },
    others: {
      node,
      parts: config.partitions,
      persists,
      carriers: async () => {
        const live = (await store.logRecord.liveNodes()).filter((report) => report.persists);
        return Array.from({ length: config.partitions }, (_, part) =>
          live.filter(({ runs }) => typeof runs[part] === 'string').map((report) => report.node),
        );
      },
    },
    missing: () => log?.missing ?? [],
    setAside: (change, error) => {
      const { conv, seq } = change;
      logger.error({ err: error, conv, seq }, 'the store cannot take a change; it is set aside');
      log?.setAside(change, String(error)).catch((fault: unknown) => logger.error({ err: fault }, 'not set aside'));
    },
    foreignEntries: () => log?.foreignEntries ?? 0,
    close: async () => {
      await log?.close();
      await ephemeral.close();
      await store.close();
    },
  };
}

async function openLog(
  { redisUrl, partitions, logBudgetBytes, durability }: ClusterConfig,
  identity: { readonly node: string; readonly persists: boolean },
  store: { readonly messages: MessageStore; readonly logRecord: LogRecord },
  tail: TailMemory,
  logger: Logger,
): Promise<RedisLog> {
  const opened = Promise.withResolvers<Log>();
  const log = await openRedisLog({
    urls: redisUrl,
    parts: partitions,
    ...identity,
    durability,
    record: store.logRecord,
    budgetBytes: logBudgetBytes,
    lookback: {
      heads: (convs) => store.messages.heads(convs),
      // What this node has read and the store not yet; then the store, asked after the tail was pinned.
      recall: async (conv, user, key) => {
        await tail.reach(await (await opened.promise).readIndex());
        const pin = tail.pin();
        try {
          return tail.recall(conv, user, key) ?? (await store.messages.recall(conv, user, key));
        } finally {
          pin.release();
        }
      },
    },
    onLost: (part, reason) => logger.warn({ part, reason }, 'the log has gone on without this node'),
    onForeign: (part, count) =>
      logger.error({ part, count }, 'entries that nobody appended were in the log; set aside'),
  });
  opened.resolve(log);
  return log;
}

/** Limits and signals, on a Redis of their own where there is one. While it cannot be asked, this node decides alone. */
function openEphemeral(config: ClusterConfig, clock: Clock, logger: Logger) {
  const urls = config.redisEphemeralUrl ?? config.redisUrl;
  const client = redisClient(urls, EPHEMERAL_TIMEOUT_MS);
  client.on('error', () => undefined);
  client.connect().catch(() => undefined);
  const onFault = (error: unknown) => logger.warn({ err: error }, 'limits and signals: Redis does not answer');
  const bucket = { rate: config.messageRate, burst: config.messageBurst };
  const signals = redisSignals({ client, connect: () => redisClient(urls, null), clock, onFault });
  return {
    signals,
    limiter: redisLimiter({
      client,
      name: 'requests',
      bucket,
      clock,
      fallback: (stricter) => memoryLimiter(stricter, clock),
      onFault,
    }),
    tallies: redisTallies({ client, clock, fallback: memoryTallies(clock), onFault }),
    close: async () => {
      await signals.close();
      client.disconnect();
    },
  };
}

interface Waiting {
  readonly logger: Logger;
  onWaiting(service: Service): Promise<void>;
}

/** Tries until it is there; only a wrong setting ends it. */
async function patiently<Opened>(service: Service, open: () => Promise<Opened>, waiting: Waiting): Promise<Opened> {
  for (let attempts = 0; ; attempts++) {
    try {
      return await open();
    } catch (error) {
      if (error instanceof StartError) throw error;
      const { message, cause } = error as Error;
      const reason = cause instanceof Error ? cause.message : message;
      if (attempts % 10 === 0) waiting.logger.warn({ reason }, `waiting for ${SERVICES[service]}`);
      await waiting.onWaiting(service);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
