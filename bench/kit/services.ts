// Redis and MongoDB for a bench: programs found or installed as `ops/services` does it, each in a temporary folder on this
// disk, every write synced before its answer. They end with the bench, however that ends, and their folders with them.
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { launch, type Server, type ServerPlan } from '../../ops/service/launch.ts';
import { isMongoReady, mongoUrl, mongoWords } from '../../ops/service/mongo.ts';
import { findProgram } from '../../ops/service/programs.ts';
import { isRedisReady, redisUrl, redisWords } from '../../ops/service/redis.ts';
import { makeTemporary, removeTemporary } from './temporary.ts';

export interface Service {
  readonly name: 'Redis' | 'mongod';
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly version: string;
  stop(): Promise<void>;
}

/** @param cores to stay on, as taskset writes them; null = any */
export async function startRedis(cores: string | null): Promise<Service> {
  const dir = makeTemporary();
  const { path } = await findProgram('redis-server', say);
  const words = (port: number) => redisWords(port, { dir, appendfsync: 'always' });
  const server = await start({ name: 'redis', program: path, dir, words, isReady: isRedisReady }, cores);
  const url = redisUrl(server.port);
  const version = await withRedis(url, async (redis) => factOf(await redis.info('server'), 'redis_version'));
  return serviceOf('Redis', server, dir, url, version);
}

/** @param cores to stay on, as taskset writes them; null = any */
export async function startMongo(cores: string | null): Promise<Service> {
  const dir = makeTemporary();
  const { path } = await findProgram('mongod', say);
  const words = (port: number) => mongoWords(port, { dir });
  const server = await start({ name: 'mongod', program: path, dir, words, isReady: isMongoReady }, cores);
  const url = mongoUrl(server.port);
  const version = await withMongo(url, async (client) => {
    const facts = await client.db('admin').command({ buildInfo: 1 });
    return String(facts.version);
  });
  return serviceOf('mongod', server, dir, url, version);
}

function start(plan: Omit<ServerPlan, 'life'>, cores: string | null): Promise<Server> {
  const life = 'ends with us, and its folder' as const;
  if (cores === null) return launch({ ...plan, life });
  const words = (port: number) => ['-c', cores, plan.program, ...plan.words(port)];
  return launch({ ...plan, life, program: 'taskset', words });
}

function serviceOf(name: Service['name'], server: Server, dir: string, url: string, version: string): Service {
  const stop = async () => {
    await server.end('SIGKILL');
    removeTemporary(dir);
  };
  return { name, url, port: server.port, pid: server.pid, version, stop };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export async function withRedis<Result>(url: string, ask: (redis: Redis) => Promise<Result>): Promise<Result> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  await redis.connect();
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

export async function withMongo<Result>(url: string, ask: (client: MongoClient) => Promise<Result>): Promise<Result> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5_000 });
  try {
    return await ask(client);
  } finally {
    await client.close();
  }
}

/** One field of a Redis INFO answer. */
export function factOf(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';
}

/** Bytes that Redis has allocated. */
export function redisBytes(url: string): Promise<number> {
  return withRedis(url, async (redis) => Number(factOf(await redis.info('memory'), 'used_memory')));
}

/** What an acknowledged message of the cluster mode is safe from, and on which servers. */
export function clusterDurability(redis: Service, mongo: Service): string {
  return `Redis ${redis.version}, appendfsync always; mongod ${mongo.version}, majority + journal`;
}
