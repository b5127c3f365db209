// The table of settings: the one place that knows their names, kinds, defaults and meanings. Reading (config.ts),
// `--help` and ops/config.md (pages.ts) follow from it.
import {
  ANY_TEXT,
  FOLDER,
  HOST,
  type Kind,
  listOf,
  MONGO,
  NETWORK,
  ORIGIN,
  oneOf,
  REDIS,
  SECRET,
  SECRET_FILE,
  TOKEN,
  time,
  url,
  whole,
} from './kinds.ts';

export type Mode = 'embedded' | 'cluster';

export interface Setting {
  readonly name: string;
  readonly kind: Kind<unknown>;
  /** As one would write it; null = not set. */
  readonly default: string | null;
  readonly meaning: string;
  /** Its value is never printed. */
  readonly secret?: true;
  /** The one mode that has it; both where left out. */
  readonly only?: Mode;
}

export const SETTINGS = {
  mode: {
    name: 'CHAT_MODE',
    kind: oneOf('embedded', 'cluster'),
    default: 'embedded',
    meaning: 'One process with no external service, or many on Redis and MongoDB.',
  },
  host: {
    name: 'CHAT_HOST',
    kind: HOST,
    default: '127.0.0.1',
    meaning: 'Where to listen; 0.0.0.0 or :: for every address of the machine.',
  },
  port: {
    name: 'CHAT_PORT',
    kind: whole(0, 65_535),
    default: '3000',
    meaning: 'TCP port; 0 = any free one. The real one is printed.',
  },
  dataDir: {
    name: 'CHAT_DATA',
    kind: FOLDER,
    default: './data',
    meaning: 'Where everything is kept. Belongs to one process at a time.',
    only: 'embedded',
  },
  secret: {
    name: 'CHAT_SECRET',
    kind: SECRET,
    default: null,
    meaning:
      'Key that signs access tokens. In embedded mode, where not set, one is made and kept in the data folder (mode 0600); in cluster mode it has to be given, the same to every process.',
    secret: true,
  },
  secretFile: {
    name: 'CHAT_SECRET_FILE',
    kind: SECRET_FILE,
    default: null,
    meaning: 'File to read the key from, instead of CHAT_SECRET; blanks around it are left out.',
  },
  origins: {
    name: 'CHAT_ORIGINS',
    kind: listOf(ORIGIN),
    default: null,
    meaning: "Web origins that may connect, beside the server's own. A client that sends no Origin always may.",
  },
  registration: {
    name: 'CHAT_REGISTRATION',
    kind: oneOf('open', 'closed'),
    default: 'open',
    meaning: 'Whether anyone may make an account.',
  },
  accessTtlMs: {
    name: 'CHAT_ACCESS_TTL',
    kind: time('1s', '30d'),
    default: '15m',
    meaning: 'How long an access token works.',
  },
  messageRate: {
    name: 'CHAT_MESSAGE_RATE',
    kind: whole(0, 1_000_000),
    default: '10',
    meaning: 'Requests a second and user over sockets, in the long run; 0 = no limit.',
  },
  messageBurst: {
    name: 'CHAT_MESSAGE_BURST',
    kind: whole(0, 1_000_000),
    default: '20',
    meaning: 'Requests a user may make at once before CHAT_MESSAGE_RATE holds.',
  },
  httpRatePerMinute: {
    name: 'CHAT_HTTP_RATE',
    kind: whole(0, 1_000_000),
    default: '100',
    meaning: 'HTTP requests a minute, per user when signed in, else per address; 0 = no limit.',
  },
  authRatePerMinute: {
    name: 'CHAT_AUTH_RATE',
    kind: whole(0, 1_000_000),
    default: '10',
    meaning: 'Registrations and logins a minute and address; 0 = no limit.',
  },
  maxConnectionsPerUser: {
    name: 'CHAT_MAX_CONNECTIONS_PER_USER',
    kind: whole(0, 1_000_000),
    default: '100',
    meaning: 'Sockets one user may have open; 0 = no limit.',
  },
  maxConnectionsPerAddress: {
    name: 'CHAT_MAX_CONNECTIONS_PER_ADDRESS',
    kind: whole(0, 1_000_000),
    default: '0',
    meaning: 'Sockets one address may have open; 0 = no limit.',
  },
  trustProxy: {
    name: 'CHAT_TRUST_PROXY',
    kind: listOf(NETWORK),
    default: null,
    meaning: 'Proxies whose X-Forwarded-For is believed. Not set: none.',
  },
  outboxBytes: {
    name: 'CHAT_OUTBOX_BYTES',
    kind: whole(4_096, 67_108_864),
    default: '262144',
    meaning: 'Bytes that may wait for one slow reader; beyond, it is told to pull.',
  },
  logBudgetBytes: {
    name: 'CHAT_LOG_BUDGET_BYTES',
    kind: whole(1_048_576, Number.MAX_SAFE_INTEGER),
    default: '1073741824',
    meaning: 'Bytes of changes that may wait for the store; beyond, writes are `overloaded`.',
  },
  drainTimeMs: {
    name: 'CHAT_DRAIN_TIME',
    kind: time('0s', '10m'),
    default: '10s',
    meaning:
      'Time to say goodbye to connections after SIGTERM or SIGINT; 5 s later the process ends in any case, a supervisor of workers after 7 s.',
  },
  metricsPort: {
    name: 'CHAT_METRICS_PORT',
    kind: whole(1, 65_535),
    default: null,
    meaning: 'Own port for GET /metrics, on CHAT_HOST. Not set: on CHAT_PORT.',
  },
  metricsToken: {
    name: 'CHAT_METRICS_TOKEN',
    kind: TOKEN,
    default: null,
    meaning: 'Bearer token that GET /metrics on CHAT_PORT asks for. Not set: answered to loopback only.',
    secret: true,
  },
  logLevel: {
    name: 'CHAT_LOG_LEVEL',
    kind: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    default: 'info',
    meaning: 'The least important lines that are logged (to standard error).',
  },
  redisUrl: {
    name: 'CHAT_REDIS_URL',
    kind: REDIS,
    default: 'redis://127.0.0.1:6379',
    meaning: 'The Redis that holds the log. Wants `appendfsync always` and `maxmemory-policy noeviction`.',
    secret: true,
    only: 'cluster',
  },
  redisEphemeralUrl: {
    name: 'CHAT_REDIS_EPHEMERAL_URL',
    kind: REDIS,
    default: null,
    meaning: 'Another Redis, without fsync, for limits and signals. Not set: the one of CHAT_REDIS_URL.',
    secret: true,
    only: 'cluster',
  },
  durability: {
    name: 'CHAT_REDIS_DURABILITY',
    kind: oneOf('always', 'everysec', 'none'),
    default: 'always',
    meaning:
      'The weakest `appendfsync` of CHAT_REDIS_URL to be content with; on a weaker one the server does not start. With `everysec` a power loss may take about a second of messages that were answered `ok`; with `none` (`appendfsync no`, or no append-only file) as much as Redis had not saved.',
    only: 'cluster',
  },
  partitions: {
    name: 'CHAT_LOG_PARTITIONS',
    kind: whole(1, 256),
    default: '16',
    meaning: 'Parts of the log, each a Redis stream. Fixed by the first start; another number later is refused.',
    only: 'cluster',
  },
  mongoUrl: {
    name: 'CHAT_MONGO_URL',
    kind: MONGO,
    default: 'mongodb://127.0.0.1:27017/chatterbox',
    meaning: 'The replica set of MongoDB 6.0 or newer that holds the store, and its database.',
    secret: true,
    only: 'cluster',
  },
  s3Url: {
    name: 'CHAT_S3_URL',
    kind: url('http://', 'https://'),
    default: null,
    meaning: 'The object store that holds files.',
    only: 'cluster',
  },
  s3Bucket: { name: 'CHAT_S3_BUCKET', kind: ANY_TEXT, default: 'chatterbox', meaning: 'Its bucket.', only: 'cluster' },
  s3Key: { name: 'CHAT_S3_KEY', kind: ANY_TEXT, default: null, meaning: 'Its access key.', only: 'cluster' },
  s3Secret: {
    name: 'CHAT_S3_SECRET',
    kind: ANY_TEXT,
    default: null,
    meaning: 'The secret of its access key.',
    secret: true,
    only: 'cluster',
  },
  roles: {
    name: 'CHAT_ROLES',
    kind: listOf(oneOf('gateway', 'api', 'persist')),
    default: 'gateway,api,persist',
    meaning:
      'What the process does: sockets, the HTTP API, moving changes from the log to the store. Each is needed somewhere. Health, readiness and metrics are answered in any role.',
    only: 'cluster',
  },
  workers: {
    name: 'CHAT_WORKERS',
    kind: whole(1, 1_024),
    default: '1',
    meaning:
      'Processes to start, for instance one a core, all on one port. With more than 1 a supervisor starts them, and starts again what dies; /metrics is that of all.',
    only: 'cluster',
  },
} as const satisfies Record<string, Setting>;

/** The table as rows. `field` is the setting's name in Config. */
export function rows(): readonly (readonly [field: string, setting: Setting])[] {
  return Object.entries<Setting>(SETTINGS);
}
