// The composition: adapters behind ports, the domain on ports, gateway and HTTP on the domain. The only file that knows
// which adapters there are. Read from the top it is the start of the process; `stop` is its end, in the other direction.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import proxyAddr from '@fastify/proxy-addr';
import type { Logger } from 'pino';
import { createAccounts } from './accounts/index.ts';
import { systemClock } from './adapters/memory/clock.ts';
import { memoryLimiter } from './adapters/memory/limiter.ts';
import { memorySignals } from './adapters/memory/signals.ts';
import { openSqliteLog } from './adapters/sqlite/log.ts';
import { sqliteSessions } from './adapters/sqlite/sessions.ts';
import { openSqliteStore } from './adapters/sqlite/store.ts';
import { sqliteUsers } from './adapters/sqlite/users.ts';
import type { Config } from './config.ts';
import { Directory, Rooms } from './conversations/index.ts';
import { Counters } from './counters.ts';
import { StartError } from './errors.ts';
import type { Connection } from './gateway/connection.ts';
import { Gateway } from './gateway/gateway.ts';
import { Hub } from './gateway/hub.ts';
import { Flusher } from './gateway/outbox.ts';
import { buildHttp } from './http/server.ts';
import { accessTokens } from './http/tokens.ts';
import { Path, Reads } from './messages/index.ts';
import { createMetrics } from './metrics.ts';
import { Persister } from './persist/index.ts';
import type { SessionStore, UserStore } from './ports/accounts.ts';
import type { Clock } from './ports/clock.ts';
import type { ConversationStore } from './ports/conversations.ts';
import type { Limiter } from './ports/limiter.ts';
import type { Log } from './ports/log.ts';
import type { MarkStore } from './ports/marks.ts';
import type { Signals } from './ports/signals.ts';
import type { MessageStore } from './ports/store.ts';
import { Presence, Typing } from './presence/index.ts';
import { Marks } from './receipts/index.ts';
import { TailMemory } from './tail/index.ts';

export interface App {
  readonly address: string;
  /** Drains: `bye` to all, appends finished, files closed. */
  stop(): Promise<void>;
}

/** Everything the domain stands on, of one mode. */
interface Adapters {
  readonly log: Log;
  readonly messages: MessageStore;
  readonly conversations: ConversationStore;
  readonly marks: MarkStore;
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly limiter: Limiter;
  readonly signals: Signals;
  readonly clock: Clock;
  readonly secret: string;
  close(): Promise<void>;
}

/** Changes the store takes in one commit. */
const PERSIST_BATCH = 512;
const TRIM_EVERY = 4_096;
/** How much of what the store has is kept in memory for resumes. */
const KEEP_TAIL_BYTES = 16 * 1_048_576;
const KEEP_CONVERSATIONS = 20_000;

/** @throws StartError where a setting, the port or the data folder is at fault */
export async function startApp(config: Config, logger: Logger): Promise<App> {
  const adapters = await openAdapters(config);
  try {
    return await serve(config, adapters, logger);
  } catch (error) {
    await adapters.close();
    throw error;
  }
}

/** The one switch between the modes. */
async function openAdapters(config: Config): Promise<Adapters> {
  switch (config.mode) {
    case 'embedded':
      return openEmbedded(config);
  }
}

async function openEmbedded(config: Config): Promise<Adapters> {
  const { dataDir } = config;
  const secret = await openDataFolder(dataDir, config.secret);
  const storeFile = join(dataDir, 'store.db');
  // The store first: the log reads its tables for what is cold.
  const store = await openSqliteStore({ file: storeFile });
  try {
    const log = await openSqliteLog({ file: join(dataDir, 'log.db'), storeFile, budgetBytes: config.logBudgetBytes });
    const clock = systemClock();
    return {
      log,
      messages: store.messages,
      conversations: store.conversations,
      marks: store.marks,
      users: sqliteUsers(store.thread.call),
      sessions: sqliteSessions(store.thread.call),
      limiter: memoryLimiter({ rate: config.messageRate, burst: config.messageBurst }, clock),
      signals: memorySignals(),
      clock,
      secret,
      close: async () => {
        await log.close();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Makes the folder and its secret at the first start. @returns the secret */
async function openDataFolder(dataDir: string, given: string | null): Promise<string> {
  const file = join(dataDir, 'secret');
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    if (given !== null) return given;
    const kept = await readFile(file, 'utf8').catch(() => null);
    if (kept !== null) return kept.trim();
    const made = randomBytes(32).toString('base64url');
    await writeFile(file, `${made}\n`, { mode: 0o600, flag: 'wx' });
    await chmod(file, 0o600);
    return made;
  } catch (error) {
    throw new StartError(`CHAT_DATA: cannot use the folder ${dataDir}: ${(error as Error).message}`);
  }
}

async function serve(config: Config, adapters: Adapters, logger: Logger): Promise<App> {
  const { log, clock, signals } = adapters;
  const counters = new Counters();
  const flusher = new Flusher();
  const watermark = await adapters.messages.watermark();
  const tail = new TailMemory(watermark, KEEP_TAIL_BYTES);
  const hub: Hub<Connection> = new Hub(flusher, () => directory);
  const directory = new Directory(adapters.conversations, tail, KEEP_CONVERSATIONS, (conv) => hub.hasLocal(conv));
  const reads = new Reads({ store: adapters.messages, tail, log });
  const marks = new Marks(adapters.marks, signals, clock, (error) => logger.error({ err: error }, 'marks not stored'));
  const accounts = createAccounts({
    ...adapters,
    tokens: await accessTokens(adapters.secret),
    accessTtlMs: config.accessTtlMs,
    registration: config.registration,
  });
  const path = new Path({
    ...adapters,
    directory,
    tail,
    counters,
    audience: hub,
    lookups: {
      message: async (conversation, seq) => {
        await reads.cover();
        return reads.message(conversation.id, seq);
      },
      idsOf: async (names) => accounts.names.idsOf(names),
    },
    onSent: (conv, user, n) => marks.sent(conv, user, n),
  });
  const presence = new Presence(signals, clock);
  const typing = new Typing(signals, clock);
  const domain = { accounts, clock, counters, directory, hub, log, marks, path, presence, reads, typing };
  const gateway = new Gateway(domain, flusher, signals, {
    ...config,
    addressOf: addressReader(config.trustProxy),
    onInternal: (error, requestId) => logger.error({ err: error, requestId }, 'internal'),
  });
  const persister = new Persister({
    log,
    store: adapters.messages,
    batch: PERSIST_BATCH,
    trimEvery: TRIM_EVERY,
    clock,
    onStored: (upTo) => tail.onStored(upTo),
    onFault: (error) => logger.error({ err: error }, 'store cannot be written; trying again'),
  });

  const deliverTail = log.tail(watermark);
  const delivering = supervise(path.deliver(deliverTail), 'delivery', logger);
  const persisting = supervise(persister.run(), 'persister', logger);
  // What the log holds beyond the store is in memory before anyone is served.
  await tail.reach(await log.readIndex());

  const metrics = createMetrics(counters, {
    connections: () => gateway.connections,
    outboxBytes: () => gateway.outboxBytes(),
    tailLength: () => tail.length,
    tailBytes: () => tail.bytes,
    watermarkLag: () => sum(log.state().head) - sum(persister.watermark),
  });
  let isDraining = false;
  const http = await buildHttp({
    ...domain,
    rooms: new Rooms(adapters),
    config,
    metrics,
    ready: () => (isDraining ? ['draining'] : []),
    log: logger,
  });
  gateway.attach(http.server);
  const address = await listen(http, config);
  return {
    address,
    stop: async () => {
      isDraining = true;
      await gateway.drain(config.drainTimeMs);
      await http.close();
      presence.stop();
      typing.stop();
      await marks.close();
      await deliverTail.return();
      await delivering;
      await persister.stop();
      await persisting;
      await adapters.close();
    },
  };
}

/** These loops end only when told to; anything else is a defect the process does not outlive. */
async function supervise(loop: Promise<void>, name: string, logger: Logger): Promise<void> {
  try {
    await loop;
  } catch (error) {
    logger.fatal({ err: error }, `${name} failed`);
    process.exit(1);
  }
}

async function listen(http: Awaited<ReturnType<typeof buildHttp>>, { host, port }: Config): Promise<string> {
  try {
    return await http.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') throw new StartError(`CHAT_PORT: port ${port} on ${host} is in use`);
    if (code === 'EACCES') throw new StartError(`CHAT_PORT: this user may not listen on port ${port}`);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new StartError(`CHAT_HOST: there is no address ${host} here`);
    throw error;
  }
}

function addressReader(trusted: readonly string[]): (request: IncomingMessage) => string {
  if (trusted.length === 0) return (request) => request.socket.remoteAddress ?? '';
  const trust = proxyAddr.compile([...trusted]);
  return (request) => proxyAddr(request, trust);
}

function sum(position: readonly number[]): number {
  return position.reduce((total, offset) => total + offset, 0);
}
