// The services: what each is made of, and what it means to a ChatterBox server. The table that `up` walks.
import { connect } from 'node:net';
import { COMPOSE_S3_KEYS, type ComposeService } from './compose.ts';
import type { ServerPlan } from './launch.ts';
import { isMongoReady, mongoUrl, mongoWords } from './mongo.ts';
import { isNginxReady, nginxUrl, nginxWords, writeNginxFiles } from './nginx.ts';
import type { ProgramName } from './programs.ts';
import type { ServiceName } from './records.ts';
import { isRedisReady, redisUrl, redisWords } from './redis.ts';
import { isS3Ready, newS3Keys, S3_BUCKET, type S3Keys, s3ServerEnv, s3Url, s3Words } from './s3.ts';

export interface ServiceKind {
  readonly program: ProgramName;
  /** Setting by which a user names a service of their own. */
  readonly setting: string | null;
  readonly compose: ComposeService | null;
  /** @param before the settings given out when it was last up on the same folder */
  plan(dir: string, nodes: readonly string[], before: Settings | undefined): Planned;
  composeSettings(port: number): Settings;
}

export type Settings = Readonly<Record<string, string>>;

interface Planned {
  readonly words: ServerPlan['words'];
  readonly isReady: ServerPlan['isReady'];
  readonly env?: Settings;
  readonly url: (port: number) => string;
  readonly settings: (port: number) => Settings;
}

const redis: ServiceKind = {
  program: 'redis-server',
  setting: 'CHAT_REDIS_URL',
  compose: 'redis',
  plan: (dir) => ({
    words: (port) => redisWords(port, { dir }),
    isReady: isRedisReady,
    url: redisUrl,
    settings: (port) => ({ CHAT_REDIS_URL: redisUrl(port) }),
  }),
  composeSettings: (port) => ({ CHAT_REDIS_URL: redisUrl(port) }),
};

const mongo: ServiceKind = {
  program: 'mongod',
  setting: 'CHAT_MONGO_URL',
  compose: 'mongo',
  plan: (dir) => ({
    words: (port) => mongoWords(port, { dir }),
    isReady: isMongoReady,
    url: mongoUrl,
    settings: (port) => ({ CHAT_MONGO_URL: mongoUrl(port) }),
  }),
  // The name its replica set gives it is known only among the containers.
  composeSettings: (port) => ({ CHAT_MONGO_URL: `mongodb://127.0.0.1:${port}/chatterbox?directConnection=true` }),
};

const s3: ServiceKind = {
  program: 'minio',
  setting: 'CHAT_S3_URL',
  compose: 's3',
  plan: (dir, _nodes, before) => {
    const keys =
      before === undefined ? newS3Keys() : { key: before.CHAT_S3_KEY ?? '', secret: before.CHAT_S3_SECRET ?? '' };
    return {
      words: (port) => s3Words(port, dir),
      isReady: isS3Ready,
      env: s3ServerEnv(keys),
      url: s3Url,
      settings: (port) => s3Settings(port, keys),
    };
  },
  composeSettings: (port) => s3Settings(port, COMPOSE_S3_KEYS),
};

const nginx: ServiceKind = {
  program: 'nginx',
  setting: null,
  compose: null,
  plan: (dir, nodes) => ({
    words: (port) => {
      writeNginxFiles(dir, port, nodes);
      return nginxWords(dir);
    },
    isReady: isNginxReady,
    url: nginxUrl,
    settings: () => ({ CHAT_TRUST_PROXY: '127.0.0.1/32' }),
  }),
  composeSettings: () => ({}),
};

export const SERVICE_KINDS: Readonly<Record<ServiceName, ServiceKind>> = { redis, mongo, s3, nginx };

function s3Settings(port: number, keys: S3Keys): Settings {
  return { CHAT_S3_URL: s3Url(port), CHAT_S3_BUCKET: S3_BUCKET, CHAT_S3_KEY: keys.key, CHAT_S3_SECRET: keys.secret };
}

const USUAL_PORTS: Readonly<Record<string, number>> = {
  redis: 6379,
  rediss: 6379,
  mongodb: 27017,
  http: 80,
  https: 443,
};

/** Whether anybody listens where this URL points; of several hosts one is enough. */
export async function doesAnswer(url: string): Promise<boolean> {
  const [scheme = ''] = url.split(':');
  // Its hosts are in the DNS, for the driver to find.
  if (scheme === 'mongodb+srv') return true;
  const answers = await Promise.all(hostsOf(url).map((host) => accepts(host, USUAL_PORTS[scheme])));
  return answers.includes(true);
}

/** Both `redis://a:1,redis://b:2` and `mongodb://user:word@a:1,b:2/database?options` are lists. */
function hostsOf(url: string): readonly string[] {
  return url.split(',').map((part) =>
    part
      .replace(/^[a-z]+:\/\//, '')
      .replace(/^[^/]*@/, '')
      .replace(/[/?].*$/, ''),
  );
}

function accepts(host: string, usualPort = 0): Promise<boolean> {
  const { hostname, port } = new URL(`tcp://${host}`);
  const address = { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? usualPort : Number(port) };
  return new Promise((resolve) => {
    const socket = connect({ ...address, timeout: 3000 });
    const settle = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}
