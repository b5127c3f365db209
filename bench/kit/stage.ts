// A scene with a program serving it and a generator ready to connect: the real server in either mode, or a floor, where the
// token itself names the rooms. Bars measure stages and do not care which they got.
import type { DialectName } from '../load/dialect.ts';
import type { Source } from '../load/orders.ts';
import type { Child } from './child.ts';
import { stageClusterWorld } from './cluster-world.ts';
import type { Load } from './load.ts';
import { OTHER_CORES, SUBJECT_CORES, startBenchProgram, startLoad, startNode, startServer } from './programs.ts';
import type { Scene } from './scene.ts';
import { clusterDurability, type Service, startMongo, startRedis } from './services.ts';
import { accessToken, convId, prepareWorld } from './world.ts';

export type FloorName = 'F1' | 'F2' | 'F3';
export type PeerName = 'Fastify + @fastify/websocket' | 'Socket.IO' | 'Socket.IO, 2 nodes';
export type SubjectName = 'server' | 'cluster' | FloorName | PeerName;

interface Program {
  readonly args: readonly [file: string, ...words: string[]];
  readonly dialect?: DialectName;
  /** Its nodes, joined by a Redis of their own. */
  readonly nodes?: number;
}

const PROGRAMS: Readonly<Record<FloorName | PeerName, Program>> = {
  F1: { args: ['floor/net.ts'] },
  F2: { args: ['floor/ws.ts'] },
  F3: { args: ['floor/ws.ts', 'send'] },
  'Fastify + @fastify/websocket': { args: ['peers/fastify-websocket.ts'] },
  'Socket.IO': { args: ['peers/socket-io.ts'], dialect: 'socket.io' },
  'Socket.IO, 2 nodes': { args: ['peers/socket-io.ts'], dialect: 'socket.io', nodes: 2 },
};

export const ALL_ROLES = 'gateway,api,persist';
/** No process carries the log into the store. */
export const WITHOUT_PERSISTING = 'gateway,api';

export interface StageOptions {
  readonly scene: Scene;
  /** Generator processes. */
  readonly loads?: number;
  /** Free to use all cores, as in production; else the subject stays on one. */
  readonly allCores?: boolean;
  /** A floor without any rooms. */
  readonly bare?: boolean;
  /** The generator gives way to others beside it. */
  readonly backgroundLoad?: boolean;
  /** Only read from: the prepared folder is used as it is. */
  readonly inPlace?: boolean;
  /** Of a cluster; 1 where not told. */
  readonly nodes?: number;
  /** Of a cluster's nodes, as CHAT_ROLES; all where not told. */
  readonly roles?: string;
  readonly say: (text: string) => void;
}

/** A process whose CPU is told beside the subject's. */
export interface Beside {
  readonly name: string;
  readonly pid: number;
}

export interface Stage {
  readonly name: string;
  readonly child: Child;
  readonly load: Load;
  /** Where connections go by default; each user on the next one. */
  readonly ports: readonly number[];
  readonly dialect: DialectName;
  readonly beside: readonly Beside[];
  token(user: number): string;
  /** Who writes to a conversation of the scene: by default its first member. */
  source(conv: number, member?: number): Source;
  stop(): Promise<void>;
}

export interface ClusterStage extends Stage {
  readonly nodes: readonly Child[];
  readonly redis: Service;
  readonly mongo: Service;
  readonly durability: string;
}

export function stage(subject: SubjectName, options: StageOptions): Promise<Stage> {
  if (subject === 'server') return stageServer(options);
  return subject === 'cluster' ? stageCluster(options) : stageProgram(subject, options);
}

export async function stageServer(options: StageOptions): Promise<Stage> {
  const { scene, say } = options;
  const folder = await prepareWorld(scene, options.inPlace ?? false, say);
  const child = startServer(folder.path, coresOf(options));
  const port = await child.listening();
  const load = loadOf(options);
  return {
    name: 'server',
    child,
    load,
    ports: [port],
    dialect: 'chatterbox',
    beside: [],
    token: accessToken,
    source: sourcesOf(scene),
    stop: async () => {
      await Promise.all([load.close(), child.stop()]);
      folder.discard();
    },
  };
}

/** Nodes of the real server on a Redis and a mongod of their own. The first node is the subject. */
export async function stageCluster(options: StageOptions): Promise<ClusterStage> {
  const { scene, nodes: count = 1, roles = ALL_ROLES, say } = options;
  const [redis, mongo] = await Promise.all([startRedis(otherCoresOf(options)), startMongo(otherCoresOf(options))]);
  const urls = { redisUrl: redis.url, mongoUrl: mongo.url };
  await stageClusterWorld(scene, urls, say);
  const nodes = Array.from({ length: count }, () => startNode({ ...urls, roles }, coresOf(options)));
  const ports = await Promise.all(nodes.map((node) => node.listening()));
  const load = loadOf(options);
  const [child, ...others] = nodes as [Child, ...Child[]];
  return {
    name: 'cluster',
    child,
    nodes,
    load,
    ports,
    dialect: 'chatterbox',
    beside: [redis, mongo, ...others.map(nodeBeside)],
    redis,
    mongo,
    durability: clusterDurability(redis, mongo),
    token: accessToken,
    source: sourcesOf(scene),
    stop: async () => {
      await Promise.all([load.close(), ...nodes.map((node) => node.stop())]);
      await Promise.all([redis.stop(), mongo.stop()]);
    },
  };
}

async function stageProgram(name: FloorName | PeerName, options: StageOptions): Promise<Stage> {
  const { scene, bare = false } = options;
  const { args, dialect = 'chatterbox', nodes: count = 1 } = PROGRAMS[name];
  const [file, ...rest] = args;
  const redis = count === 1 ? null : await startRedis(otherCoresOf(options));
  const words = redis === null ? rest : [...rest, redis.url];
  const nodes = Array.from({ length: count }, () => startBenchProgram(file, words, coresOf(options)));
  const ports = await Promise.all(nodes.map((node) => node.listening()));
  const load = loadOf(options);
  const tokens = bare ? [] : roomsByUser(scene);
  const [child, ...others] = nodes as [Child, ...Child[]];
  return {
    name,
    child,
    load,
    ports,
    dialect,
    beside: [...others.map(nodeBeside), ...(redis === null ? [] : [redis])],
    token: (user) => tokens[user] ?? '',
    source: sourcesOf(scene),
    stop: async () => {
      await Promise.all([load.close(), ...nodes.map((node) => node.stop())]);
      await redis?.stop();
    },
  };
}

/** The first node is the subject itself. */
function nodeBeside({ pid }: Child, index: number): Beside {
  return { name: `node ${index + 2}`, pid };
}

function coresOf({ allCores = false }: StageOptions): string | null {
  return allCores ? null : SUBJECT_CORES;
}

function otherCoresOf({ allCores = false }: Pick<StageOptions, 'allCores'>): string | null {
  return allCores ? null : OTHER_CORES;
}

function loadOf({ loads, backgroundLoad, ...options }: StageOptions): Load {
  return startLoad(loads, backgroundLoad, otherCoresOf(options));
}

function sourcesOf(scene: Scene): Stage['source'] {
  return (conv, member = 0) => ({ client: scene.convs[conv]?.members[member] ?? 0, conv: convId(conv) });
}

/** The tokens of a floor: the rooms of each user. */
export function roomsByUser(scene: Scene): string[] {
  const convs = Array.from({ length: scene.users }, (): string[] => []);
  for (const [index, { members }] of scene.convs.entries()) {
    for (const member of members) convs[member]?.push(convId(index));
  }
  return convs.map((list) => list.join(','));
}

export interface ConnectUsersOptions {
  /** Where; on all ports of the stage in turn where not told. */
  readonly ports?: readonly number[];
  readonly perSecond?: number;
}

/** Connects users first..last-1, one connection each. */
export async function connectUsers(
  stage: Stage,
  first: number,
  last: number,
  { ports = stage.ports, perSecond = 0 }: ConnectUsersOptions = {},
): Promise<void> {
  const tokens = Array.from({ length: last - first }, (_, index) => stage.token(first + index));
  await stage.load.connect(ports, tokens, { dialect: stage.dialect, perSecond });
}
