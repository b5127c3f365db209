// A scene with a program serving it and a generator ready to connect: the real server on a prepared data folder, or a
// floor, where the token itself names the rooms. Bars measure stages and do not care which they got.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Source } from '../load/orders.ts';
import { Child } from './child.ts';
import { INSPECTABLE } from './gc.ts';
import { Load } from './load.ts';
import type { Scene } from './scene.ts';
import { accessToken, convId, prepareWorld, SECRET } from './world.ts';

export type FloorName = 'F1' | 'F2' | 'F3';
export type SubjectName = 'server' | FloorName;

const FLOOR_ARGS: Readonly<Record<FloorName, readonly string[]>> = {
  F1: ['net.ts'],
  F2: ['ws.ts'],
  F3: ['ws.ts', 'send'],
};

const CORES = availableParallelism();
/** What is measured has a core of its own; generators share the others. */
const SUBJECT_CORES = '0';
const LOAD_CORES = CORES > 1 ? `1-${CORES - 1}` : null;

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
  readonly say: (text: string) => void;
}

export interface Stage {
  readonly name: string;
  readonly child: Child;
  readonly load: Load;
  readonly port: number;
  token(user: number): string;
  /** Who writes to a conversation of the scene: by default its first member. */
  source(conv: number, member?: number): Source;
  stop(): Promise<void>;
}

export function stage(subject: SubjectName, options: StageOptions): Promise<Stage> {
  return subject === 'server' ? stageServer(options) : stageFloor(subject, options);
}

export async function stageServer(options: StageOptions): Promise<Stage> {
  const { scene, say } = options;
  const folder = await prepareWorld(scene, options.inPlace ?? false, say);
  const child = startServer(folder.path, options.allCores ? null : SUBJECT_CORES);
  const port = await child.listening();
  const load = startLoad(options);
  return {
    name: 'server',
    child,
    load,
    port,
    token: accessToken,
    source: (conv, member = 0) => ({ client: scene.convs[conv]?.members[member] ?? 0, conv: convId(conv) }),
    stop: async () => {
      await Promise.all([load.close(), child.stop()]);
      folder.discard();
    },
  };
}

const SERVER_PROGRAM = fileURLToPath(new URL('../../bin/chatterbox.js', import.meta.url));

let profileDir: string | null = null;

/** From now on servers leave a CPU profile here when they end. Their figures are then not to be believed. */
export function profileServers(folder: string): void {
  profileDir = folder;
}

/** The real server, embedded, with its limits off. */
export function startServer(dataDir: string, cores: string | null): Child {
  return new Child({
    args: [...(profileDir === null ? [INSPECTABLE] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]), SERVER_PROGRAM],
    env: {
      CHAT_PORT: '0',
      CHAT_DATA: dataDir,
      CHAT_SECRET: SECRET,
      CHAT_MESSAGE_RATE: '0',
      CHAT_HTTP_RATE: '0',
      CHAT_AUTH_RATE: '0',
      CHAT_MAX_CONNECTIONS_PER_USER: '0',
      CHAT_MAX_CONNECTIONS_PER_ADDRESS: '0',
      CHAT_DRAIN_TIME: '0s',
      CHAT_LOG_LEVEL: 'warn',
    },
    cores,
    channel: false,
  });
}

async function stageFloor(name: FloorName, options: StageOptions): Promise<Stage> {
  const { scene } = options;
  const [file = '', ...rest] = FLOOR_ARGS[name];
  const child = startFloor(file, rest, options.allCores ? null : SUBJECT_CORES);
  const port = await child.listening();
  const load = startLoad(options);
  const tokens = options.bare ? [] : roomsByUser(scene);
  return {
    name,
    child,
    load,
    port,
    token: (user) => tokens[user] ?? '',
    source: (conv, member = 0) => ({ client: scene.convs[conv]?.members[member] ?? 0, conv: convId(conv) }),
    stop: async () => {
      await Promise.all([load.close(), child.stop()]);
    },
  };
}

export function startFloor(file: string, rest: readonly string[], cores: string | null = SUBJECT_CORES): Child {
  const program = fileURLToPath(new URL(`../floor/${file}`, import.meta.url));
  return new Child({ args: [INSPECTABLE, program, ...rest], cores, channel: true });
}

function startLoad({ loads = 1, backgroundLoad = false }: StageOptions): Load {
  return new Load({ processes: loads, cores: LOAD_CORES, background: backgroundLoad });
}

/** A generator beside a stage's own, which must not be delayed by it. */
export function startSecondLoad(): Load {
  return new Load({ processes: 1, cores: LOAD_CORES });
}

function roomsByUser(scene: Scene): string[] {
  const convs = Array.from({ length: scene.users }, (): string[] => []);
  for (const [index, { members }] of scene.convs.entries()) {
    for (const member of members) convs[member]?.push(convId(index));
  }
  return convs.map((list) => list.join(','));
}

/** Connects users first..last-1, one connection each. */
export async function connectUsers(stage: Stage, first: number, last: number): Promise<void> {
  await stage.load.connect(
    stage.port,
    Array.from({ length: last - first }, (_, index) => stage.token(first + index)),
  );
}
