// The composition: adapters behind ports, the domain on ports, gateway and HTTP on the domain. It and app/ alone know
// which adapters there are. Read from the top it is the start of the process; `stop` is its end, in the other direction.
import type { Server } from 'node:http';
import type { FastifyListenOptions } from 'fastify';
import type { Logger } from 'pino';
import { type Accounts, createAccounts, watchEnded } from './accounts/index.ts';
import type { Adapters } from './app/adapters.ts';
import { openCluster } from './app/cluster.ts';
import { Delivery } from './app/delivery.ts';
import { EarlyPort } from './app/early-port.ts';
import { openEmbedded } from './app/embedded.ts';
import type { Config } from './config.ts';
import { Directory, Rooms, storeNotAhead } from './conversations/index.ts';
import { Counters } from './counters.ts';
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
import { Partitions, Persister } from './persist/index.ts';
import type { ConversationStore } from './ports/conversations.ts';
import type { Log, Position } from './ports/log.ts';
import { Neighbours, Presence, Typing } from './presence/index.ts';
import { Marks } from './receipts/index.ts';
import { TailMemory } from './tail/index.ts';

export interface App {
  readonly address: string;
  /** Drains: `bye` to all, appends finished, files closed. */
  stop(): Promise<void>;
}

/** For one of several processes on one port: what they answer together. */
export interface Company {
  /** The metrics of all of them, from its own. */
  shareMetrics(own: Metrics): Metrics;
}

/** Changes the store takes in one commit. */
const PERSIST_BATCH = 512;
/** Each part is a transaction of its own in the cluster: fewer, larger ones. Nobody waits for the store. */
const PERSIST_LINGER_MS = { embedded: 50, cluster: 250 };
const TRIM_EVERY_CHANGES = 4_096;
/** Share of a part's budget, overhead not counted: well before it is full. */
const TRIM_EVERY_SHARE = 1 / 16;
/** How much of what the store has is kept in memory for resumes. */
const KEEP_TAIL_BYTES = 16 * 1_048_576;
const KEEP_CONVERSATIONS = 20_000;
const FOLLOW_STORE_MS = 500;
/** How long a lost signal of another node's marks may mislead this one. */
const BELIEVE_MARKS_MS = 60_000;

/** @throws StartError where a setting, the port or the data folder is at fault */
export async function startApp(config: Config, logger: Logger, company: Company | null = null): Promise<App> {
  const earlyPort = new EarlyPort(config, company !== null);
  try {
    const adapters = await openAdapters(config, logger, earlyPort);
    try {
      return await serve({ config, adapters, logger, company, earlyPort });
    } catch (error) {
      await adapters.close();
      throw error;
    }
  } finally {
    await earlyPort.free();
  }
}

/** The one switch between the modes. */
function openAdapters(config: Config, logger: Logger, earlyPort: EarlyPort): Promise<Adapters> {
  switch (config.mode) {
    case 'embedded':
      return openEmbedded(config, logger);
    case 'cluster':
      return openCluster(config, logger, earlyPort.await);
  }
}

/** What the parts of a node are built from. */
interface Ground {
  readonly config: Config;
  readonly adapters: Adapters;
  readonly log: Log;
  readonly tail: TailMemory;
  readonly logger: Logger;
}

/** The parts of one node, on whichever adapters. */
function buildNode({ config, adapters, log, tail, logger }: Ground, accounts: Accounts) {
  const { clock, signals } = adapters;
  const counters = new Counters();
  const flusher = new Flusher();
  const hub: Hub<Connection> = new Hub(flusher, () => directory);
  const conversations = adapters.others === null ? adapters.conversations : notAhead(adapters, log, tail);
  const directory = new Directory(conversations, tail, KEEP_CONVERSATIONS, (conv) => hub.hasLocal(conv));
  const reads = new Reads({ store: adapters.messages, tail, log, clock, directory });
  const onMarksFault = (error: unknown) => logger.error({ err: error }, 'marks not stored');
  const believeMarksMs = adapters.others === null ? undefined : BELIEVE_MARKS_MS;
  const marks = new Marks(adapters.marks, signals, clock, onMarksFault, believeMarksMs);
  const path = new Path({
    ...adapters,
    log,
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

/** A task of the process that goes on until it is stopped. */
interface Running {
  stop(): Promise<void>;
}

/** Resolves when memory has all that the store lacks. */
async function startDelivery({ adapters, log, tail, logger }: Ground, node: Node): Promise<Running> {
  const onLost = () => {
    node.gateway.sendAllAway();
    node.directory.restart();
  };
  const delivery = new Delivery({
    log,
    tail,
    position: () => positionOf(adapters, log),
    deliver: (reading) => node.path.deliver(reading),
    onLost: adapters.others === null ? null : onLost,
  });
  await delivery.begin();
  const delivering = supervise(delivery.run(), 'delivery', logger);
  await delivery.caughtUp();
  return { stop: () => delivery.stop().then(() => delivering) };
}

function notAhead(adapters: Adapters, log: Log, tail: TailMemory): ConversationStore {
  const { conversations: store, clock } = adapters;
  return storeNotAhead({ store, tail, clock, position: () => positionOf(adapters, log) });
}

/** Where the store is, one number for each part of the log. */
async function positionOf({ messages }: Adapters, log: Log): Promise<Position> {
  const stored = await messages.watermark();
  return log.state().head.map((_, part) => stored[part] ?? 0);
}

/** The other reader of the log: into the store. All parts where nobody else does, else this node's share. */
function startPersisting({ config, adapters, log, tail, logger }: Ground, node: Node): Running {
  const { messages, clock, others } = adapters;
  // A part that has used its share of the budget takes no change.
  const partBytes = config.logBudgetBytes / (others?.parts ?? 1);
  const persister = (parts: readonly number[] | undefined) =>
    new Persister({
      log,
      store: messages,
      clock,
      batch: PERSIST_BATCH,
      lingerMs: PERSIST_LINGER_MS[config.mode],
      trimEvery: { changes: TRIM_EVERY_CHANGES, bytes: partBytes * TRIM_EVERY_SHARE },
      ...(parts === undefined ? {} : { parts }),
      onStored: (upTo) => others === null && tail.onStored(upTo),
      onFault: (error) => logger.error({ err: error }, 'store cannot be written; trying again'),
      onPoison: (change, error) => {
        node.counters.poisoned++;
        adapters.setAside(change, error);
      },
    });
  if (others === null) {
    const all = persister(undefined);
    const running = supervise(all.run(), 'persister', logger);
    return { stop: () => all.stop().then(() => running) };
  }
  const stopFollowing = followStore({ adapters, log, tail });
  if (!others.persists) return { stop: async () => stopFollowing() };
  const partitions = new Partitions({
    ...others,
    clock,
    carrier: (part) => persister([part]),
    onFault: (part, error) => logger.warn({ part, err: error }, 'a part of the log is carried again from the store'),
  });
  partitions.start();
  return { stop: () => partitions.stop().then(stopFollowing) };
}

/** Other nodes carry the log into the store too: how far they are is asked. */
function followStore({ adapters, log, tail }: Pick<Ground, 'adapters' | 'log' | 'tail'>): () => void {
  return adapters.clock.every(FOLLOW_STORE_MS, () => {
    positionOf(adapters, log).then(
      (position) => tail.onStored(position),
      () => {},
    );
  });
}

interface Start {
  readonly config: Config;
  readonly adapters: Adapters;
  readonly logger: Logger;
  readonly company: Company | null;
  readonly earlyPort: EarlyPort;
}

async function serve({ config, adapters, logger, company, earlyPort }: Start): Promise<App> {
  const tail = new TailMemory(await adapters.messages.watermark(), KEEP_TAIL_BYTES);
  const log = await adapters.openLog(tail);
  const ground: Ground = { config, adapters, log, tail, logger };
  const tokens = await accessTokens(adapters.secret);
  const { accessTtlMs, registration } = config;
  const accounts = createAccounts({ ...adapters, tokens, accessTtlMs, registration });
  const node = buildNode(ground, accounts);
  const delivery = await startDelivery(ground, node);
  const persisting = startPersisting(ground, node);
  const watching =
    adapters.others === null
      ? null
      : watchEnded({ ...adapters, onEnded: (sessions) => node.gateway.endSessions(sessions) });
  const neighbours =
    adapters.others === null ? null : new Neighbours(adapters.signals, adapters.clock, node.presence.roster);
  const ownMetrics = createMetrics(node.counters, {
    connections: () => node.gateway.connections,
    outboxBytes: () => node.gateway.outboxBytes(),
    tailLength: () => tail.length,
    tailBytes: () => tail.bytes,
    watermarkLag: () => sum(log.state().head) - sum(tail.watermark),
    foreignEntries: () => adapters.foreignEntries(),
  });
  const metrics = company?.shareMetrics(ownMetrics) ?? ownMetrics;
  const reusePort = company !== null;
  let isDraining = false;
  const ready = () => [...adapters.missing(), ...(isDraining ? ['draining'] : [])];
  const { tallies } = adapters;
  const http = await buildHttp({
    ...node,
    rooms: new Rooms({ ...adapters, log }),
    tallies,
    config,
    metrics,
    ready,
    hasApi: hasRole(config, 'api'),
    log: logger,
  });
  if (hasRole(config, 'gateway')) node.gateway.attach(http.server);
  const address = await listening('CHAT_PORT', config.host, await earlyPort.free(), (host, port) =>
    http.listen({ host, port, reusePort } as FastifyListenOptions),
  );
  const metricsServer = await openMetricsPort(config, metrics, reusePort);
  return {
    address,
    stop: async () => {
      isDraining = true;
      await node.gateway.drain(config.drainTimeMs);
      await http.close();
      metricsServer?.close();
      watching?.();
      neighbours?.stop();
      node.presence.stop();
      node.typing.stop();
      await node.marks.close();
      await persisting.stop();
      await delivery.stop();
      await adapters.close();
    },
  };
}

/** A process of the embedded mode does everything. */
function hasRole(config: Config, role: 'gateway' | 'api'): boolean {
  return config.mode === 'embedded' || config.roles.includes(role);
}

async function openMetricsPort(
  { host, metricsPort }: Config,
  metrics: Metrics,
  reusePort: boolean,
): Promise<Server | null> {
  if (metricsPort === null) return null;
  return listening('CHAT_METRICS_PORT', host, metricsPort, (host, port) =>
    serveMetrics(metrics, { host, port, reusePort }),
  );
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

function sum(position: Position): number {
  return position.reduce((total, offset) => total + offset, 0);
}
