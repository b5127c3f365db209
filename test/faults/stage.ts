// Where schedules are played: one server on a folder, or two nodes with a Redis and a mongod of their own; started for one
// schedule and gone after it. A server that ends without being told to has failed.
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, idleCluster } from '../kit/nodes.ts';
import { type Exit, type ServerProcess, startServer } from '../kit/process.ts';
import type { OwnServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';
import { dumpFolder } from './dump.ts';
import { dumpCluster } from './dump-cluster.ts';
import type { Dump } from './evidence.ts';
import type { Place } from './run.ts';
import type { Schedule } from './schedule.ts';
import type { Scope } from './scope.ts';

/** Starts take half the time. */
const COMPILED = new URL('../../node_modules/.cache/compiled', import.meta.url).pathname;
/** Registering five people takes no time worth telling. */
const CHEAP = ['--import', new URL('../kit/cheap-passwords.ts', import.meta.url).href];
const ENV = { CHAT_ACCESS_TTL: '1d', CHAT_LOG_LEVEL: 'error', CHAT_DRAIN_TIME: '0s', NODE_COMPILE_CACHE: COMPILED };
const TIGHT_ENV = { CHAT_LOG_BUDGET_BYTES: '4194304', CHAT_OUTBOX_BYTES: '65536' };
/** The end of what a server has written that is told where it failed. */
const LAST_WORDS = 600;

/** A transaction of a node that was killed would hold up the end of a schedule for a minute, when its database is dropped. */
export const MONGO_ARGS = ['--setParameter', 'transactionLifetimeLimitSeconds=2'];

/** One server process, and the next one in its place. */
export class StageNode implements Place {
  readonly #begin: () => Promise<ServerProcess>;
  readonly #scope: Scope;
  #process: ServerProcess | null = null;

  constructor(scope: Scope, begin: () => Promise<ServerProcess>) {
    this.#scope = scope;
    this.#begin = begin;
  }

  get process(): ServerProcess {
    if (this.#process === null) throw new Error('it is not running');
    return this.#process;
  }

  get isUp(): boolean {
    return this.#process !== null;
  }

  get url(): string {
    return this.process.url;
  }

  get socketUrl(): string {
    return this.process.socketUrl;
  }

  async start(): Promise<void> {
    const process = await this.#begin();
    this.#process = process;
    void process.exited.then(({ code, signal }) => {
      if (this.#process !== process) return;
      const words = process.stderr.slice(-LAST_WORDS);
      this.#scope.fail(`a server ended by itself, with code ${code} and signal ${signal}: ${words}`);
    });
  }

  kill(name: NodeJS.Signals): Promise<Exit> {
    const { process } = this;
    this.#process = null;
    return process.kill(name);
  }

  pause(): void {
    process.kill(this.process.pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.process.pid, 'SIGCONT');
  }

  /** Everything in the log is in the store. */
  async hasStoredAll(): Promise<boolean> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return /^chat_watermark_lag_changes 0$/m.test(text);
  }
}

export abstract class Stage {
  readonly nodes: readonly StageNode[];

  constructor(nodes: readonly StageNode[]) {
    this.nodes = nodes;
  }

  /** Those that run. */
  get places(): readonly StageNode[] {
    return this.nodes.filter(({ isUp }) => isUp);
  }

  node(index: number): StageNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }

  async storesAll(): Promise<void> {
    for (const node of this.places) await eventually(() => node.hasStoredAll());
  }

  /** To be called when nobody writes. */
  abstract dump(): Promise<Dump>;
}

export class EmbeddedStage extends Stage {
  readonly dataDir: string;
  /** For those that are not to become servers. */
  readonly scope: Scope;

  static async open(scope: Scope, { isTight }: Schedule): Promise<EmbeddedStage> {
    const dataDir = await mkdtemp(join(tmpdir(), 'chatterbox-'));
    scope.teardown(() => rm(dataDir, { recursive: true, force: true }));
    const env = { ...ENV, ...(isTight ? TIGHT_ENV : {}) };
    const node = new StageNode(scope, () => startServer(scope, { dataDir, env, nodeArgs: CHEAP }));
    await node.start();
    return new EmbeddedStage(scope, dataDir, node);
  }

  private constructor(scope: Scope, dataDir: string, node: StageNode) {
    super([node]);
    this.scope = scope;
    this.dataDir = dataDir;
  }

  dump(): Promise<Dump> {
    return dumpFolder(this.dataDir);
  }
}

export class ClusterStage extends Stage {
  readonly cluster: Cluster;

  static async open(scope: Scope, { isTight }: Schedule, mongo: OwnServer): Promise<ClusterStage> {
    const env = { ...ENV, ...(isTight ? TIGHT_ENV : {}) };
    const cluster = await idleCluster(scope, { mongo, hasProxies: true, env, nodeArgs: CHEAP });
    const nodes = cluster.nodes.map((node) => {
      return new StageNode(scope, async () => {
        await node.start();
        return node.process;
      });
    });
    await Promise.all(nodes.map((node) => node.start()));
    return new ClusterStage(cluster, nodes);
  }

  private constructor(cluster: Cluster, nodes: readonly StageNode[]) {
    super(nodes);
    this.cluster = cluster;
  }

  dump(): Promise<Dump> {
    return dumpCluster(this.cluster);
  }

  /** To be called while Redis does not run. */
  async emptyRedis(): Promise<void> {
    const { dir } = this.cluster.redis;
    for (const name of await readdir(dir)) {
      if (/^appendonlydir$|\.rdb$/.test(name)) await rm(join(dir, name), { recursive: true });
    }
  }

  async redisFile(): Promise<string> {
    const folder = join(this.cluster.redis.dir, 'appendonlydir');
    const name = (await readdir(folder)).find((file) => file.endsWith('.incr.aof'));
    if (name === undefined) throw new Error('Redis has no append-only file');
    return join(folder, name);
  }

  /** To be called while Redis does not run. */
  async shortenRedis(bytes: number): Promise<void> {
    await truncate(await this.redisFile(), bytes);
  }
}
