// Real Redis and MongoDB for tests, found or installed as `ops/services` does. Whatever becomes of the test, its servers are
// killed and its folders removed. A database is a test's own; the mongod under it is shared.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { launch, type ServerPlan } from '../../ops/service/launch.ts';
import { isMongoReady, mongoUrl, mongoWords } from '../../ops/service/mongo.ts';
import { isNginxReady, nginxUrl, nginxWords, writeNginxFiles } from '../../ops/service/nginx.ts';
import { findProgram } from '../../ops/service/programs.ts';
import { isRedisReady, redisUrl, redisWords } from '../../ops/service/redis.ts';
import { eventually } from './waiting.ts';

/** What this file needs of a tap test. */
interface Owner {
  teardown(end: () => unknown): void;
}

/** A server that a test may kill, stop and start again; always the same folder and port. */
export interface OwnServer {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  /** Of the process that runs now or ran last. */
  readonly pid: number;
  /** Resolves when it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when it is ready. */
  start(): Promise<void>;
  /** By SIGTERM: it may finish its writes. */
  stop(): Promise<void>;
  /** It keeps its connections and answers nothing. */
  pause(): void;
  resume(): void;
}

export interface RedisServerOptions {
  readonly appendfsync?: 'always' | 'everysec' | 'no';
  /** Kept after the test. */
  readonly dir?: string;
  readonly port?: number;
  readonly args?: readonly string[];
}

export interface MongoServerOptions {
  readonly dir?: string;
  readonly port?: number;
  readonly args?: readonly string[];
  /** `configureFailPoint` and its like. */
  readonly hasTestCommands?: boolean;
}

/** A redis-server of the test's own. */
export async function redisServer(t: Owner, options: RedisServerOptions = {}): Promise<OwnServer> {
  const dir = options.dir ?? (await folder(t));
  const life = lifeOf(options);
  const { path } = await findProgram('redis-server', say);
  const words = (port: number) => redisWords(port, { ...options, dir });
  const plan = { name: 'redis', program: path, dir, words, isReady: isRedisReady, life };
  return ownServer(t, plan, redisUrl, options.port);
}

export interface RedisCluster {
  /** Of its masters and replicas, as CHAT_REDIS_URL takes them. */
  readonly urls: string;
  readonly masters: readonly OwnServer[];
  /** The n-th copies the n-th master; empty unless asked for. */
  readonly replicas: readonly OwnServer[];
}

const CLUSTER_SLOTS = 16_384;
const CLUSTER_MASTERS = 3;

/** A Redis Cluster of the test's own: three masters that share the slots. */
export async function redisCluster(t: Owner, options: { readonly hasReplicas?: boolean } = {}): Promise<RedisCluster> {
  const args = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '2000',
    '--repl-diskless-sync-delay',
    '0',
    '--repl-ping-replica-period',
    '1',
  ];
  const size = options.hasReplicas === true ? 2 * CLUSTER_MASTERS : CLUSTER_MASTERS;
  const servers = await Promise.all(Array.from({ length: size }, () => redisServer(t, { args })));
  const masters = servers.slice(0, CLUSTER_MASTERS);
  const replicas = servers.slice(CLUSTER_MASTERS);
  const clients = servers.map(({ url }) => new Redis(url));
  try {
    await formCluster(servers, clients);
  } finally {
    for (const client of clients) client.disconnect();
  }
  return { urls: servers.map(({ url }) => url).join(','), masters, replicas };
}

async function formCluster(servers: readonly OwnServer[], clients: readonly Redis[]): Promise<void> {
  for (const [i, client] of clients.entries()) {
    // Equal epochs would have to be settled between the nodes first.
    await client.cluster('SET-CONFIG-EPOCH', i + 1);
    if (i < CLUSTER_MASTERS) await client.call('CLUSTER', 'ADDSLOTSRANGE', firstSlot(i), firstSlot(i + 1) - 1);
    await client.cluster('MEET', '127.0.0.1', servers[0]?.port ?? 0);
  }
  const masterIds = await Promise.all(clients.slice(0, CLUSTER_MASTERS).map((client) => client.cluster('MYID')));
  for (const [i, client] of clients.slice(CLUSTER_MASTERS).entries()) {
    await eventually(() => client.cluster('REPLICATE', String(masterIds[i])));
  }
  await Promise.all(clients.map((client) => eventually(() => isWholeCluster(client, clients.length))));
}

const firstSlot = (i: number) => Math.floor((i * CLUSTER_SLOTS) / CLUSTER_MASTERS);

/** Known to this node: every slot is served, and every replica copies its master. */
async function isWholeCluster(client: Redis, size: number): Promise<boolean> {
  const info = String(await client.cluster('INFO'));
  const shards = (await client.cluster('SLOTS')) as readonly (readonly unknown[])[];
  const members = shards.flatMap(([, , ...nodes]) => nodes).length;
  return info.includes('cluster_state:ok') && members === size;
}

/** A mongod of the test's own, for those that kill it: others want `mongoDatabase`. */
export async function mongoServer(t: Owner, options: MongoServerOptions = {}): Promise<OwnServer> {
  const dir = options.dir ?? (await folder(t));
  return ownServer(t, await mongoPlan(dir, options), mongoUrl, options.port);
}

/** nginx with the configuration of ops/nginx, in front of these nodes (`host:port`). */
export async function nginxServer(t: Owner, nodes: readonly string[]): Promise<OwnServer> {
  const dir = await folder(t);
  const { path } = await findProgram('nginx', say);
  const words = (port: number) => {
    writeNginxFiles(dir, port, nodes);
    // Workers would outlive a master that is killed.
    return [...nginxWords(dir), '-g', 'master_process off;'];
  };
  const plan = { name: 'nginx', program: path, dir, words, isReady: isNginxReady, life: lifeOf({}) };
  return ownServer(t, plan, nginxUrl, undefined);
}

/** A fresh database on the mongod that this run shares, or on another one; dropped after the test. */
export async function mongoDatabase(t: Owner, server?: string): Promise<{ readonly url: string }> {
  const name = `test-${randomBytes(6).toString('hex')}`;
  // Not by URL: a list of hosts is none.
  const url = (server ?? (await sharedMongoUrl())).replace(/^(\w+(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?/, `$1/${name}`);
  t.teardown(() => drop(url));
  return { url };
}

export interface SharedMongo {
  readonly url: string;
  stop(): Promise<void>;
}

/** One mongod for many test files: whoever runs them sets CHAT_TEST_MONGO_URL to its URL, and stops it at the end. */
export async function sharedMongo(): Promise<SharedMongo> {
  const dir = await mkdtemp(join(tmpdir(), 'chatterbox-'));
  const server = await launch(await mongoPlan(dir, {}));
  const stop = async () => {
    await server.end('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  };
  return { url: mongoUrl(server.port), stop };
}

let started: Promise<SharedMongo> | undefined;

async function sharedMongoUrl(): Promise<string> {
  const given = process.env.CHAT_TEST_MONGO_URL;
  if (given !== undefined) return given;
  started ??= sharedMongo();
  return (await started).url;
}

async function mongoPlan(dir: string, options: MongoServerOptions): Promise<ServerPlan> {
  const { path } = await findProgram('mongod', say);
  const words = (port: number) => mongoWords(port, { ...options, dir });
  return { name: 'mongod', program: path, dir, words, isReady: isMongoReady, life: lifeOf(options) };
}

function lifeOf(options: { readonly dir?: string }): ServerPlan['life'] {
  return options.dir === undefined ? 'ends with us, and its folder' : 'ends with us';
}

async function drop(url: string): Promise<void> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5000 });
  try {
    await client.db().dropDatabase();
  } finally {
    await client.close();
  }
}

async function ownServer(
  t: Owner,
  plan: ServerPlan,
  urlOf: (port: number) => string,
  wantedPort: number | undefined,
): Promise<OwnServer> {
  let server = await launch(wantedPort === undefined ? plan : { ...plan, port: wantedPort });
  const { port } = server;
  const kill = (signal: NodeJS.Signals = 'SIGKILL') => server.end(signal);
  t.teardown(() => kill());
  return {
    url: urlOf(port),
    port,
    dir: plan.dir,
    get pid() {
      return server.pid;
    },
    kill,
    start: async () => {
      server = await launch({ ...plan, port });
    },
    stop: () => kill('SIGTERM'),
    pause: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
  };
}

async function folder(t: Owner): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'chatterbox-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

function say(line: string): void {
  process.stderr.write(`# ${line}\n`);
}
