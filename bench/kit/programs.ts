// The programs of the bench and where they run: the real server in either mode, floors, peers, generators.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Child } from './child.ts';
import type { ClusterUrls } from './cluster-world.ts';
import { INSPECTABLE } from './gc.ts';
import { Load } from './load.ts';
import { SECRET } from './world.ts';

const CORES = availableParallelism();
/** What is measured has a core of its own; generators, Redis and MongoDB share the others. */
export const SUBJECT_CORES = '0';
export const OTHER_CORES = CORES > 1 ? `1-${CORES - 1}` : null;

const SERVER_PROGRAM = fileURLToPath(new URL('../../bin/chatterbox.js', import.meta.url));

let profileDir: string | null = null;

/** From now on servers leave a CPU profile here when they end. Their figures are then not to be believed. */
export function profileServers(folder: string): void {
  profileDir = folder;
}

/** All limits off, so that one address may make the whole load. */
const NO_LIMITS = {
  CHAT_MESSAGE_RATE: '0',
  CHAT_HTTP_RATE: '0',
  CHAT_AUTH_RATE: '0',
  CHAT_MAX_CONNECTIONS_PER_USER: '0',
  CHAT_MAX_CONNECTIONS_PER_ADDRESS: '0',
};

const COMMON = { ...NO_LIMITS, CHAT_PORT: '0', CHAT_SECRET: SECRET, CHAT_DRAIN_TIME: '0s', CHAT_LOG_LEVEL: 'warn' };

/** The real server, embedded, with its limits off. */
export function startServer(dataDir: string, cores: string | null): Child {
  return startProgram({ CHAT_DATA: dataDir }, cores);
}

export interface NodeOptions extends ClusterUrls {
  readonly roles: string;
}

/** The real server, one node of a cluster, with its limits off. */
export function startNode({ redisUrl, mongoUrl, roles }: NodeOptions, cores: string | null): Child {
  const urls = { CHAT_REDIS_URL: redisUrl, CHAT_MONGO_URL: mongoUrl };
  return startProgram({ CHAT_MODE: 'cluster', CHAT_ROLES: roles, ...urls }, cores);
}

function startProgram(env: Readonly<Record<string, string>>, cores: string | null): Child {
  const watched = profileDir === null ? [INSPECTABLE] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  return new Child({ args: [...watched, SERVER_PROGRAM], env: { ...COMMON, ...env }, cores, channel: false });
}

/** @param file under bench/ */
export function startBenchProgram(
  file: string,
  rest: readonly string[],
  cores: string | null,
  env: Readonly<Record<string, string>> = {},
): Child {
  const program = fileURLToPath(new URL(`../${file}`, import.meta.url));
  return new Child({ args: [INSPECTABLE, program, ...rest], env, cores, channel: true });
}

export function startFloor(file: string, rest: readonly string[], cores: string | null = SUBJECT_CORES): Child {
  return startBenchProgram(`floor/${file}`, rest, cores);
}

export function startLoad(processes = 1, background = false, cores = OTHER_CORES): Load {
  return new Load({ processes, cores, background });
}
