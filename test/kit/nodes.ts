// A cluster for a test: several server processes on one Redis and one MongoDB database of its own, and clients of any of
// them. Each node may reach Redis through a proxy of its own, so that the network between those two alone can be disturbed.
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { type Db, MongoClient } from 'mongodb';
import { type Account, Client, call, type DeviceOptions, type Host, type HttpOptions, type Reply } from './client.ts';
import { Ledger } from './observer.ts';
import { type Exit, type ServerProcess, startServer } from './process.ts';
import { mongoDatabase, mongoServer, type OwnServer, type RedisServerOptions, redisServer } from './services.ts';
import { type TcpProxy, tcpProxy } from './tcp-proxy.ts';

/** What this file needs of a tap test. */
interface Test {
  teardown(end: () => unknown): void;
  fail(message: string): unknown;
}

export interface ClusterOptions {
  /** How many; 2 where not told. */
  readonly size?: number;
  /** CHAT_ settings of all nodes. */
  readonly env?: Readonly<Record<string, string>>;
  /** One that runs already, or how to start one. */
  readonly redis?: RedisServerOptions | OwnServer;
  /** A mongod that the test may kill; the shared one otherwise. */
  readonly hasOwnMongo?: boolean;
  /** The same, where one runs already: a fresh database on it. */
  readonly mongo?: OwnServer;
  /** Options of Node itself, for all nodes. */
  readonly nodeArgs?: readonly string[];
  /** Each node reaches Redis through a proxy of its own. */
  readonly hasProxies?: boolean;
}

/** A URL that names a database. */
const HAS_NAME = /^[^/]+\/\/[^/?]+\/[^?]/;
const PASSWORD = 'correct horse battery';
/** Starts take half the time. */
const COMPILED = new URL('../../node_modules/.cache/compiled', import.meta.url).pathname;

/** A cluster whose nodes accept. */
export async function cluster(t: Test, options: ClusterOptions = {}): Promise<Cluster> {
  const nodes = await idleCluster(t, options);
  await Promise.all(nodes.nodes.map((node) => node.start()));
  return nodes;
}

/** A cluster whose nodes have yet to be started. */
export async function idleCluster(t: Test, options: ClusterOptions = {}): Promise<Cluster> {
  const { size = 2, hasOwnMongo = false, hasProxies = false, nodeArgs = [] } = options;
  const ownMongo = options.mongo ?? (hasOwnMongo ? await mongoServer(t) : null);
  const mongoUrl = hasOwnMongo && ownMongo !== null ? ownMongo.url : (await mongoDatabase(t, ownMongo?.url)).url;
  const redis = await redisOf(t, options.redis);
  const world = new Cluster(t, redis, ownMongo, mongoUrl);
  const common = { CHAT_MODE: 'cluster', CHAT_MONGO_URL: mongoUrl, CHAT_SECRET: randomBytes(32).toString('hex') };
  const usual = { CHAT_ACCESS_TTL: '1d', CHAT_LOG_LEVEL: 'warn', NODE_COMPILE_CACHE: COMPILED };
  for (let index = 0; index < size; index++) {
    const proxy = hasProxies ? await tcpProxy(t, redis.port) : null;
    const redisUrl = proxy === null ? redis.url : `redis://127.0.0.1:${proxy.port}`;
    const env = { ...common, ...usual, CHAT_REDIS_URL: redisUrl, ...options.env };
    world.add(new Node(t, world, { env, nodeArgs }, proxy));
  }
  return world;
}

function redisOf(t: Test, redis: RedisServerOptions | OwnServer = {}): OwnServer | Promise<OwnServer> {
  return 'url' in redis ? redis : redisServer(t, redis);
}

export class Cluster {
  readonly redis: OwnServer;
  readonly mongoUrl: string;
  readonly ledger = new Ledger();
  readonly #test: Test;
  readonly #ownMongo: OwnServer | null;
  readonly #nodes: Node[] = [];
  readonly #clients: Client[] = [];
  #isOver = false;

  constructor(t: Test, redis: OwnServer, ownMongo: OwnServer | null, mongoUrl: string) {
    this.#test = t;
    this.redis = redis;
    this.#ownMongo = ownMongo;
    this.mongoUrl = mongoUrl;
    t.teardown(() => {
      this.#isOver = true;
      for (const client of this.#clients) client.ws.terminate();
    });
  }

  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** The first two. */
  get pair(): readonly [Node, Node] {
    const [one, two] = this.#nodes;
    if (one === undefined || two === undefined) throw new Error('there are no two nodes');
    return [one, two];
  }

  /** Only where it was asked for. */
  get mongo(): OwnServer {
    if (this.#ownMongo === null) throw new Error('the mongod is shared with other tests');
    return this.#ownMongo;
  }

  add(node: Node): void {
    this.#nodes.push(node);
  }

  keep(client: Client): Client {
    this.#clients.push(client);
    return client;
  }

  fault(text: string): void {
    if (!this.#isOver) this.#test.fail(text);
  }

  /** Asks Redis itself, past all proxies. */
  async withRedis<Result>(ask: (redis: Redis) => Promise<Result>): Promise<Result> {
    const redis = new Redis(this.redis.url, { lazyConnect: true, retryStrategy: () => null });
    await redis.connect();
    try {
      return await ask(redis);
    } finally {
      redis.disconnect();
    }
  }

  async withMongo<Result>(ask: (db: Db) => Promise<Result>): Promise<Result> {
    const client = new MongoClient(this.mongoUrl, { serverSelectionTimeoutMS: 5_000 });
    try {
      return await ask(client.db(HAS_NAME.test(this.mongoUrl) ? undefined : 'chatterbox'));
    } finally {
      await client.close();
    }
  }
}

interface NodeOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly nodeArgs: readonly string[];
}

/** One server process, and the next one in its place. */
export class Node implements Host {
  readonly #test: Test;
  readonly #cluster: Cluster;
  readonly #options: NodeOptions;
  readonly #proxy: TcpProxy | null;
  #process: ServerProcess | null = null;

  constructor(t: Test, world: Cluster, options: NodeOptions, proxy: TcpProxy | null) {
    this.#test = t;
    this.#cluster = world;
    this.#options = options;
    this.#proxy = proxy;
  }

  get process(): ServerProcess {
    if (this.#process === null) throw new Error('it was never started');
    return this.#process;
  }

  get url(): string {
    return this.process.url;
  }

  get socketUrl(): string {
    return this.process.socketUrl;
  }

  get ledger(): Ledger {
    return this.#cluster.ledger;
  }

  get env(): Readonly<Record<string, string>> {
    return this.#options.env;
  }

  /** Between this node and Redis. */
  get proxy(): TcpProxy {
    if (this.#proxy === null) throw new Error('it has no proxy');
    return this.#proxy;
  }

  fault(text: string): void {
    this.#cluster.fault(text);
  }

  /** On another port each time. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#process = await startServer(this.#test, { ...this.#options, env: { ...this.env, ...env } });
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    return this.process.kill(signal);
  }

  async restart(signal?: NodeJS.Signals): Promise<Exit> {
    const exit = await this.kill(signal);
    await this.start();
    return exit;
  }

  /** It keeps its connections and answers nothing. */
  pause(): void {
    process.kill(this.process.pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.process.pid, 'SIGCONT');
  }

  /** Registers, connects here, says hello. */
  async client(name: string, options: DeviceOptions = {}): Promise<Client> {
    return this.arrive(await this.account(name), options);
  }

  /** Several at once. */
  async clients<const Names extends readonly string[]>(...names: Names) {
    const clients = await Promise.all(names.map((name) => this.client(name)));
    return clients as { -readonly [Index in keyof Names]: Client };
  }

  async arrive(account: Account, options: DeviceOptions = {}): Promise<Client> {
    return this.#cluster.keep(await Client.arrive(this, account, options));
  }

  async account(name: string): Promise<Account> {
    const fields = { email: `${name}@example.org`, username: name, password: PASSWORD };
    const { status, body } = await this.http('POST', 'auth/register', fields);
    if (status !== 201) throw new Error(`${name} was not registered: ${status} ${JSON.stringify(body)}`);
    const { user, access, refresh } = body as unknown as Account & { user: { id: string } };
    return { id: user.id, name, access, refresh };
  }

  http(method: string, path: string, body?: unknown, options: HttpOptions = {}): Promise<Reply> {
    return call(this, method, path, body, options);
  }

  /** A metric without labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  }

  /** Changes that the log has and the store has not, as far as this node knows. */
  lag(): Promise<number> {
    return this.metric('chat_watermark_lag_changes');
  }
}
