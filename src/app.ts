// The composition: adapters behind ports, the domain on ports, gateway and HTTP on the domain. The only file that knows
// which adapters there are. Read from the top it is the start of the process; `stop` is its end, in the other direction.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Accounts, createAccounts } from './accounts/index.ts';
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
import { addressReader } from './gateway/address.ts';
import type { Connection } from './gateway/connection.ts';
import { Gateway } from './gateway/gateway.ts';
import { Hub } from './gateway/hub.ts';
import { Flusher } from './gateway/outbox.ts';
import { listening } from './http/listening.ts';
import { serveMetrics } from './http/metrics-server.ts';
import { buildHttp } from './http/server.ts';
import { accessTokens } from './http/tokens.ts';
import { Path, Reads } from './messages/index.ts';
import { createMetrics, type Metrics } from './metrics.ts';
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
const PERSIST_LINGER_MS = 50;
const TRIM_EVERY_CHANGES = 4_096;
/** Share of the budget, counted in characters: with its overhead and in bytes a change costs at most about four times that. */
const TRIM_EVERY_SHARE = 1 / 16;
/** How much of what the store has is kept in memory for resumes. */
const KEEP_TAIL_BYTES = 16 * 1_048_576;
const KEEP_CONVERSATIONS = 20_000;

const SECRET_FILE = 'secret';
const LOG_FILE = 'log.db';
const STORE_FILE = 'store.db';
const OWN_FILES: readonly string[] = [SECRET_FILE, LOG_FILE, STORE_FILE];

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
  const storeFile = join(dataDir, STORE_FILE);
  const opening = openSqliteStore({ file: storeFile });
  // Both threads load side by side; the log reads the store's tables for what is cold.
  const log = await openSqliteLog({
    file: join(dataDir, LOG_FILE),
    storeFile,
    storeReady: opening,
    budgetBytes: config.logBudgetBytes,
  }).catch(async (error: unknown) => {
    await opening.then((store) => store.close()).catch(() => undefined);
    throw error;
  });
  const store = await opening;
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
}

/** Makes the folder and its secret at the first start. @returns the secret */
async function openDataFolder(dataDir: string, given: string | null): Promise<string> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await refuseForeign(dataDir);
    return given ?? (await keptSecret(join(dataDir, SECRET_FILE)));
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`CHAT_DATA: cannot use the folder ${dataDir}: ${(error as Error).message}`);
  }
}

/** A folder of somebody else's is not the place for files of ours. */
async function refuseForeign(dataDir: string): Promise<void> {
  const names = (await readdir(dataDir)).filter((name) => name !== 'lost+found' && !name.startsWith('.'));
  if (names.length === 0 || names.some((name) => OWN_FILES.includes(name))) return;
  throw new StartError(
    `CHAT_DATA: the folder ${dataDir} holds other things (${names[0]}); give an empty one, or a new name`,
  );
}

async function keptSecret(file: string): Promise<string> {
  const kept = existsSync(file) ? (await readFile(file, 'utf8')).trim() : '';
  // An empty one is that of a first start cut short.
  if (kept !== '') return kept;
  const made = randomBytes(32).toString('base64url');
  await writeFile(file, `${made}\n`, { mode: 0o600, flush: true });
  return made;
}

/** The parts of one node, on whichever adapters. */
function buildNode(config: Config, adapters: Adapters, tail: TailMemory, accounts: Accounts, logger: Logger) {
  const { log, clock, signals } = adapters;
  const counters = new Counters();
  const flusher = new Flusher();
  const hub: Hub<Connection> = new Hub(flusher, () => directory);
  const directory = new Directory(adapters.conversations, tail, KEEP_CONVERSATIONS, (conv) => hub.hasLocal(conv));
  const reads = new Reads({ store: adapters.messages, tail, log });
  const marks = new Marks(adapters.marks, signals, clock, (error) => logger.error({ err: error }, 'marks not stored'));
  const path = new Path({
    ...adapters,
    directory,
    tail,
    counters,
    audience: hub,
    lookups: {
      message: (conversation, seq) => reads.cover().then(() => reads.message(conversation.id, seq)),
      idsOf: (names) => accounts.names.idsOf(names),
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
    onOffence: (offence) => logger.info(offence, 'connection ended'),
  });
  return { ...domain, gateway };
}

type Node = ReturnType<typeof buildNode>;

type Budgeted = Adapters & { readonly budgetBytes: number };

/** The two readers of the log: delivery to sockets, and the store. Resolves when memory has all that the store lacks. */
async function startReaders(adapters: Budgeted, node: Node, tail: TailMemory, logger: Logger) {
  const { log, messages, clock, budgetBytes } = adapters;
  const deliverTail = log.tail(await messages.watermark());
  const persister = new Persister({
    log,
    store: messages,
    clock,
    batch: PERSIST_BATCH,
    lingerMs: PERSIST_LINGER_MS,
    trimEvery: { changes: TRIM_EVERY_CHANGES, chars: budgetBytes * TRIM_EVERY_SHARE },
    onStored: (upTo) => tail.onStored(upTo),
    onFault: (error) => logger.error({ err: error }, 'store cannot be written; trying again'),
  });
  const delivering = supervise(node.path.deliver(deliverTail), 'delivery', logger);
  const persisting = supervise(persister.run(), 'persister', logger);
  await tail.reach(await log.readIndex());
  return {
    watermarkLag: () => sum(log.state().head) - sum(persister.watermark),
    stop: async () => {
      await deliverTail.return();
      await delivering;
      await persister.stop();
      await persisting;
    },
  };
}

async function serve(config: Config, adapters: Adapters, logger: Logger): Promise<App> {
  const tail = new TailMemory(await adapters.messages.watermark(), KEEP_TAIL_BYTES);
  const tokens = await accessTokens(adapters.secret);
  const { accessTtlMs, registration } = config;
  const accounts = createAccounts({ ...adapters, tokens, accessTtlMs, registration });
  const node = buildNode(config, adapters, tail, accounts, logger);
  const readers = await startReaders({ ...adapters, budgetBytes: config.logBudgetBytes }, node, tail, logger);
  const metrics = createMetrics(node.counters, {
    connections: () => node.gateway.connections,
    outboxBytes: () => node.gateway.outboxBytes(),
    tailLength: () => tail.length,
    tailBytes: () => tail.bytes,
    watermarkLag: readers.watermarkLag,
  });
  let isDraining = false;
  const ready = () => (isDraining ? ['draining'] : []);
  const http = await buildHttp({ ...node, rooms: new Rooms(adapters), config, metrics, ready, log: logger });
  node.gateway.attach(http.server);
  const address = await listening('CHAT_PORT', config.host, config.port, (host, port) => http.listen({ host, port }));
  const metricsServer = await openMetricsPort(config, metrics);
  return {
    address,
    stop: async () => {
      isDraining = true;
      await node.gateway.drain(config.drainTimeMs);
      await http.close();
      metricsServer?.close();
      node.presence.stop();
      node.typing.stop();
      await node.marks.close();
      await readers.stop();
      await adapters.close();
    },
  };
}

async function openMetricsPort({ host, metricsPort }: Config, metrics: Metrics): Promise<Server | null> {
  if (metricsPort === null) return null;
  return listening('CHAT_METRICS_PORT', host, metricsPort, (where, port) => serveMetrics(metrics, where, port));
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

function sum(position: readonly number[]): number {
  return position.reduce((total, offset) => total + offset, 0);
}
