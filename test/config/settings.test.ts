// Settings as an operator meets them: what is read from an environment, and every way to be refused.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { rows } from '../../src/config/settings.ts';
import { type ClusterConfig, type Environment, readConfig } from '../../src/config.ts';
import { StartError } from '../../src/errors.ts';

const LONG_SECRET = 'a-secret-of-more-than-32-characters';

/** What is common to both modes when nothing is set. */
const COMMON = {
  host: '127.0.0.1',
  port: 3000,
  origins: [],
  registration: 'open',
  accessTtlMs: 900_000,
  messageRate: 10,
  messageBurst: 20,
  httpRatePerMinute: 100,
  authRatePerMinute: 10,
  maxConnectionsPerUser: 100,
  maxConnectionsPerAddress: 0,
  trustProxy: [],
  outboxBytes: 262_144,
  logBudgetBytes: 1_073_741_824,
  drainTimeMs: 10_000,
  metricsPort: null,
  metricsToken: null,
  logLevel: 'info',
};

/** The least a cluster is started with. */
const CLUSTER: Environment = { CHAT_MODE: 'cluster', CHAT_SECRET: LONG_SECRET };

/** The lines an environment is refused with. */
function faults(env: Environment): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof StartError) return error.message.split('\n');
    throw error;
  }
  return [];
}

t.test('an empty environment is a whole configuration', async (t) => {
  t.same(readConfig({}), { ...COMMON, mode: 'embedded', dataDir: resolve('data'), secret: null });
});

t.test('a cluster needs a secret and nothing else', async (t) => {
  t.same(readConfig(CLUSTER), {
    ...COMMON,
    mode: 'cluster',
    secret: LONG_SECRET,
    redisUrl: 'redis://127.0.0.1:6379',
    redisEphemeralUrl: null,
    durability: 'always',
    partitions: 16,
    mongoUrl: 'mongodb://127.0.0.1:27017/chatterbox',
    s3Url: null,
    s3Bucket: 'chatterbox',
    s3Key: null,
    s3Secret: null,
    roles: ['gateway', 'api', 'persist'],
    workers: 1,
  });
});

t.test('a setting takes what its kind allows', async (t) => {
  const good: readonly (readonly [Environment, Partial<ReturnType<typeof readConfig>>])[] = [
    [{ CHAT_MODE: 'embedded' }, { mode: 'embedded' }],
    [{ CHAT_HOST: '0.0.0.0' }, { host: '0.0.0.0' }],
    [{ CHAT_HOST: '::1' }, { host: '::1' }],
    [{ CHAT_HOST: 'chat.example.org' }, { host: 'chat.example.org' }],
    [{ CHAT_PORT: '0' }, { port: 0 }],
    [{ CHAT_PORT: '65535' }, { port: 65_535 }],
    [{ CHAT_DATA: '/var/lib/chat' }, { dataDir: '/var/lib/chat' }],
    [{ CHAT_SECRET: LONG_SECRET }, { secret: LONG_SECRET }],
    [
      { CHAT_ORIGINS: 'https://a.example, http://B.example:8080' },
      { origins: ['https://a.example', 'http://b.example:8080'] },
    ],
    [{ CHAT_ORIGINS: 'https://a.example:443' }, { origins: ['https://a.example'] }],
    [{ CHAT_REGISTRATION: 'closed' }, { registration: 'closed' }],
    [{ CHAT_ACCESS_TTL: '90' }, { accessTtlMs: 90_000 }],
    [{ CHAT_ACCESS_TTL: '1500ms' }, { accessTtlMs: 1_500 }],
    [{ CHAT_ACCESS_TTL: '2h' }, { accessTtlMs: 7_200_000 }],
    [{ CHAT_DRAIN_TIME: '0' }, { drainTimeMs: 0 }],
    [
      { CHAT_MESSAGE_RATE: '0', CHAT_MESSAGE_BURST: '0' },
      { messageRate: 0, messageBurst: 0 },
    ],
    [{ CHAT_TRUST_PROXY: '10.0.0.0/8,::1' }, { trustProxy: ['10.0.0.0/8', '::1'] }],
    [{ CHAT_METRICS_PORT: '9090' }, { metricsPort: 9_090 }],
    [{ CHAT_METRICS_TOKEN: '0123456789abcdef' }, { metricsToken: '0123456789abcdef' }],
    [{ CHAT_LOG_LEVEL: 'silent' }, { logLevel: 'silent' }],
  ];
  for (const [env, expected] of good) t.match(readConfig(env), expected, JSON.stringify(env));
});

t.test('a setting of the cluster takes what its kind allows', async (t) => {
  const good: readonly (readonly [Environment, Partial<ClusterConfig>])[] = [
    [{ CHAT_PORT: '0' }, { port: 0 }],
    [{ CHAT_REDIS_URL: 'redis://r' }, { redisUrl: 'redis://r' }],
    [{ CHAT_REDIS_URL: 'rediss://me:p%2Cw@r:6380/2' }, { redisUrl: 'rediss://me:p%2Cw@r:6380/2' }],
    [{ CHAT_REDIS_URL: 'redis://a:1, redis://b:2 ,redis://c:3' }, { redisUrl: 'redis://a:1,redis://b:2,redis://c:3' }],
    [{ CHAT_REDIS_EPHEMERAL_URL: 'redis://[::1]:6379' }, { redisEphemeralUrl: 'redis://[::1]:6379' }],
    [{ CHAT_REDIS_EPHEMERAL_URL: 'redis://a,redis://b' }, { redisEphemeralUrl: 'redis://a,redis://b' }],
    [{ CHAT_REDIS_DURABILITY: 'everysec' }, { durability: 'everysec' }],
    [{ CHAT_REDIS_DURABILITY: 'none' }, { durability: 'none' }],
    [{ CHAT_LOG_PARTITIONS: '1' }, { partitions: 1 }],
    [{ CHAT_LOG_PARTITIONS: '256' }, { partitions: 256 }],
    ...[
      'mongodb://db/chat',
      'mongodb://me:p%40w@a:27017,b:27018,[::1]:27019/chat?replicaSet=rs0&w=majority',
      'mongodb+srv://me:pw@cluster0.example.net/chat?authSource=admin',
    ].map((mongoUrl) => [{ CHAT_MONGO_URL: mongoUrl }, { mongoUrl }] as const),
    [{ CHAT_ROLES: 'persist' }, { roles: ['persist'] }],
    [{ CHAT_ROLES: 'api, gateway' }, { roles: ['api', 'gateway'] }],
    [{ CHAT_WORKERS: '8' }, { workers: 8 }],
  ];
  for (const [env, expected] of good) t.match(readConfig({ ...CLUSTER, ...env }), expected, JSON.stringify(env));
});

t.test('a setting refuses what its kind does not allow, in one line that names it', async (t) => {
  const wrong: readonly Environment[] = [
    { CHAT_MODE: 'Embedded' },
    { CHAT_HOST: 'http://127.0.0.1' },
    { CHAT_HOST: '-x' },
    { CHAT_PORT: '65536' },
    { CHAT_PORT: '-1' },
    { CHAT_PORT: '3000.5' },
    { CHAT_PORT: '0x10' },
    { CHAT_PORT: ' 80' },
    { CHAT_PORT: '99999999999999999999' },
    { CHAT_SECRET: 'short' },
    { CHAT_SECRET_FILE: '/nonexistent/secret' },
    { CHAT_ORIGINS: 'https://a.example/' },
    { CHAT_ORIGINS: 'https://a.example/chat' },
    { CHAT_ORIGINS: 'https://me@a.example' },
    { CHAT_ORIGINS: 'a.example' },
    { CHAT_ORIGINS: 'null' },
    { CHAT_ORIGINS: '*' },
    { CHAT_ORIGINS: 'https://a.example,,https://b.example' },
    { CHAT_REGISTRATION: 'yes' },
    { CHAT_ACCESS_TTL: '0' },
    { CHAT_ACCESS_TTL: '31d' },
    { CHAT_ACCESS_TTL: '1 h' },
    { CHAT_ACCESS_TTL: '1w' },
    { CHAT_DRAIN_TIME: '11m' },
    { CHAT_MESSAGE_RATE: 'ten' },
    { CHAT_MESSAGE_BURST: '-1' },
    { CHAT_HTTP_RATE: '1e3' },
    { CHAT_AUTH_RATE: 'none' },
    { CHAT_MAX_CONNECTIONS_PER_USER: '1000001' },
    { CHAT_MAX_CONNECTIONS_PER_ADDRESS: '∞' },
    { CHAT_TRUST_PROXY: '10.0.0.0/33' },
    { CHAT_TRUST_PROXY: 'fe80::/129' },
    { CHAT_TRUST_PROXY: '10.0.0.0/8/8' },
    { CHAT_TRUST_PROXY: '10.0.0.0/' },
    { CHAT_TRUST_PROXY: 'loadbalancer' },
    { CHAT_OUTBOX_BYTES: '4095' },
    { CHAT_LOG_BUDGET_BYTES: '1k' },
    { CHAT_METRICS_PORT: '0' },
    { CHAT_METRICS_TOKEN: 'short' },
    { CHAT_METRICS_TOKEN: 'with a blank in it' },
    { CHAT_LOG_LEVEL: 'verbose' },
  ];
  for (const env of wrong) {
    const [name = ''] = Object.keys(env);
    const lines = faults(env);
    t.equal(lines.length, 1, JSON.stringify(env));
    t.match(lines[0], new RegExp(`^${name} .*must be `));
  }
});

t.test('a setting of the cluster refuses what its kind does not allow, in one line that names it', async (t) => {
  const wrong: readonly Environment[] = [
    { CHAT_REDIS_URL: 'r:6379' },
    { CHAT_REDIS_URL: 'http://r:6379' },
    { CHAT_REDIS_URL: 'redis://' },
    { CHAT_REDIS_URL: 'redis:///2' },
    { CHAT_REDIS_URL: 'redis://a,b' },
    { CHAT_REDIS_URL: 'redis://a,' },
    { CHAT_REDIS_URL: 'redis://:p,w@r' },
    { CHAT_REDIS_EPHEMERAL_URL: 'redis://a redis://b' },
    { CHAT_REDIS_DURABILITY: 'no' },
    { CHAT_LOG_PARTITIONS: '0' },
    { CHAT_LOG_PARTITIONS: '257' },
    { CHAT_MONGO_URL: 'mongodb://db' },
    { CHAT_MONGO_URL: 'mongodb://db/' },
    { CHAT_MONGO_URL: 'mongodb://db/?replicaSet=rs0' },
    { CHAT_MONGO_URL: 'mongodb:///chat' },
    { CHAT_MONGO_URL: 'mongodb://a,/chat' },
    { CHAT_MONGO_URL: 'mongodb://db/a.b' },
    { CHAT_MONGO_URL: 'mongodb://me:p@w@db/chat' },
    { CHAT_MONGO_URL: 'postgres://db/chat' },
    { CHAT_ROLES: 'gateway,all' },
    { CHAT_ROLES: ',' },
    { CHAT_WORKERS: '0' },
    { CHAT_WORKERS: 'auto' },
  ];
  for (const env of wrong) {
    const [name = ''] = Object.keys(env);
    const lines = faults({ ...CLUSTER, ...env });
    t.equal(lines.length, 1, JSON.stringify(env));
    t.match(lines[0], new RegExp(`^${name} .*must be `));
  }
});

t.test('every setting has a value that it refuses, in each mode that has it', async (t) => {
  const anythingGoes = ['CHAT_DATA', 'CHAT_S3_BUCKET', 'CHAT_S3_KEY', 'CHAT_S3_SECRET'];
  for (const mode of ['embedded', 'cluster'] as const) {
    const { CHAT_SECRET: _, ...env } = mode === 'cluster' ? CLUSTER : {};
    for (const [, { name, only }] of rows()) {
      if ((only ?? mode) !== mode || anythingGoes.includes(name)) continue;
      const lines = faults({ ...env, CHAT_SECRET: LONG_SECRET, [name]: '\u0001' });
      t.equal(lines.filter((line) => line.startsWith(`${name} `) && line.includes('must be ')).length, 1, name);
    }
  }
});

t.test('every default is a value its own setting takes', async (t) => {
  for (const [, setting] of rows()) {
    if (setting.default !== null) t.not(setting.kind.read(setting.default), undefined, setting.name);
  }
});

t.test('an empty variable counts as not set', async (t) => {
  const empty = Object.fromEntries(rows().map(([, setting]) => [setting.name, '']));
  t.same(readConfig(empty), readConfig({}));
  t.same(readConfig({ ...empty, ...CLUSTER }), readConfig(CLUSTER));
});

t.test('all faults are told at once, one line each', async (t) => {
  const lines = faults({ CHAT_PROT: '80', CHAT_PORT: 'http', CHAT_REGISTRATION: 'no', CHAT_REDIS_URL: 'redis://r' });
  t.equal(lines.length, 4);
  for (const name of ['CHAT_PROT', 'CHAT_PORT', 'CHAT_REGISTRATION', 'CHAT_REDIS_URL']) {
    t.equal(lines.filter((line) => line.startsWith(`${name} `)).length, 1, name);
  }
});

t.test('an unknown CHAT_ name is refused with the nearest one', async (t) => {
  t.match(faults({ CHAT_PROT: '80' }), [/CHAT_PROT is not a setting; the nearest is CHAT_PORT /]);
  t.match(faults({ CHAT_DATA_DIR: '/data' }), [/the nearest is CHAT_DATA /]);
  t.match(faults({ CHAT_MESSAGES_RATE: '1' }), [/the nearest is CHAT_MESSAGE_RATE /]);
  t.match(faults({ CHAT_: '' }), [/CHAT_ is not a setting/]);
});

t.test('names that do not begin with CHAT_ are left alone', async (t) => {
  t.same(faults({ PORT: 'x', CHATTER_PORT: 'x', chat_port: 'x' }), []);
});

t.test('all faults are told at once in cluster mode too', async (t) => {
  const lines = faults({ CHAT_MODE: 'cluster', CHAT_PROT: '80', CHAT_REDIS_URL: 'r', CHAT_DATA: '/data' });
  t.same(
    lines.map((line) => line.split(' ')[0]),
    ['CHAT_PROT', 'CHAT_REDIS_URL', 'CHAT_DATA', 'CHAT_SECRET'],
  );
});

t.test('a mode that does not exist is one fault, and the settings of both modes are looked at', async (t) => {
  t.match(faults({ CHAT_MODE: 'both', CHAT_DATA: '/data', CHAT_REDIS_URL: 'redis://r' }), [/^CHAT_MODE .*must be /]);
  t.equal(faults({ CHAT_MODE: 'both', CHAT_DATA: '/data', CHAT_REDIS_URL: 'redis://r' }).length, 1);
  t.match(faults({ CHAT_MODE: 'both', CHAT_REDIS_URL: 'r' }), [/^CHAT_MODE /, /^CHAT_REDIS_URL /]);
});

t.test('every setting of the other mode is refused, whatever its value', async (t) => {
  for (const [mode, other] of [
    ['embedded', 'cluster'],
    ['cluster', 'embedded'],
  ] as const) {
    const foreign = rows().filter(([, setting]) => setting.only === other);
    const env = mode === 'cluster' ? CLUSTER : {};
    t.ok(foreign.length > 0);
    for (const [field, { name }] of foreign) {
      t.same(faults({ ...env, [name]: 'x' }), [`${name} is for CHAT_MODE=${other}, and this is ${mode} mode`]);
      t.notOk(field in readConfig(env), `${field} does not exist in ${mode} mode`);
    }
  }
});

t.test('a cluster without a secret is refused in one line, which says what to give', async (t) => {
  const lines = faults({ CHAT_MODE: 'cluster' });
  t.equal(lines.length, 1);
  t.match(lines[0], /^CHAT_SECRET is not set, nor CHAT_SECRET_FILE;/);
  t.match(faults({ ...CLUSTER, CHAT_SECRET: '' }), [/^CHAT_SECRET is not set/]);
  t.match(faults({ ...CLUSTER, CHAT_SECRET: 'short' }), [/^CHAT_SECRET must be at least 32/]);
  t.equal(faults({ ...CLUSTER, CHAT_SECRET: 'short' }).length, 1, 'a wrong one is not also a missing one');
});

t.test('settings that contradict each other are refused', async (t) => {
  t.match(faults({ CHAT_MESSAGE_BURST: '0' }), [/^CHAT_MESSAGE_BURST is 0/]);
  t.match(faults({ CHAT_METRICS_PORT: '3000' }), [/^CHAT_METRICS_PORT is the same as CHAT_PORT/]);
});

t.test(
  'the secret comes from a file without the blanks around it, or from the environment, never from both',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'chatterbox-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'secret');
    writeFileSync(file, `${LONG_SECRET}\n`);
    t.equal(readConfig({ CHAT_SECRET_FILE: file }).secret, LONG_SECRET);
    t.equal(readConfig({ CHAT_MODE: 'cluster', CHAT_SECRET_FILE: file }).secret, LONG_SECRET);
    t.match(faults({ CHAT_SECRET_FILE: file, CHAT_SECRET: LONG_SECRET }), [/CHAT_SECRET and CHAT_SECRET_FILE/]);
    writeFileSync(file, '\n'.repeat(40));
    t.match(faults({ CHAT_SECRET_FILE: file }), [/^CHAT_SECRET_FILE .* at least 32 characters/]);
    t.match(faults({ CHAT_SECRET_FILE: folder }), [/^CHAT_SECRET_FILE /], 'a folder');
  },
);

t.test('no fault shows a secret', async (t) => {
  for (const [, setting] of rows()) {
    if (setting.secret !== true) continue;
    t.notMatch(faults({ [setting.name]: 'hush hush' }).join('\n'), 'hush', setting.name);
    t.notMatch(faults({ CHAT_MODE: 'cluster', [setting.name]: 'hush hush' }).join('\n'), 'hush', setting.name);
  }
});

t.test('a fault stays one line whatever the value', async (t) => {
  const [line, ...more] = faults({ CHAT_PORT: `1\n2${'x'.repeat(10_000)}` });
  t.equal(more.length, 0);
  t.ok(line !== undefined && line.length < 200);
});
