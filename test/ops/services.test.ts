// `ops/services` as its user runs it: from outside, with real servers. Each test has a temporary folder of its own, and with
// it a state of its own; the cache of downloaded programs is the user's. No Docker here: what answers for it is a stand-in.
import { once } from 'node:events';
import { chmod, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import t from 'tap';
import { birthOf } from '../../ops/service/identity.ts';
import { findInFolders, pathFolders } from '../../ops/service/path.ts';
import { cleanEnv, type Program, startProgram, temporaryFolder } from '../kit/process.ts';
import { redisServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';

const SCRIPT = join(import.meta.dirname, '../../ops/services');

type Environment = Readonly<Record<string, string>>;

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Owner {
  teardown(end: () => unknown): void;
}

/** Somebody with a temporary folder of their own, on a machine without a Docker engine. */
class User {
  /** Holds what the script leaves behind and nothing else. */
  readonly folder: string;
  /** Programs that this user finds before those of the machine. */
  readonly programs: string;
  readonly #t: Owner;

  static async arrive(t: Owner): Promise<User> {
    const someone = new User(t, await temporaryFolder(t), await temporaryFolder(t));
    await someone.install('docker', 'exit 1');
    t.teardown(() => someone.run('down'));
    return someone;
  }

  private constructor(t: Owner, folder: string, programs: string) {
    this.#t = t;
    this.folder = folder;
    this.programs = programs;
  }

  async install(name: string, script: string): Promise<void> {
    const path = join(this.programs, name);
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
  }

  start(words: string, env: Environment = {}): Promise<Program> {
    const command = [SCRIPT, ...words.split(' ').filter((word) => word !== '')] as const;
    const path = `${this.programs}:${cleanEnv().PATH}`;
    return startProgram(this.#t, { command, dataDir: this.folder, env: { TMPDIR: this.folder, PATH: path, ...env } });
  }

  async run(words: string, env: Environment = {}): Promise<Finished> {
    const program = await this.start(words, env);
    const { code } = await program.exited;
    return { code, stdout: program.stdout, stderr: program.stderr };
  }

  /** What `env` prints, as a shell takes it. */
  async settings(): Promise<Record<string, string>> {
    const { stdout } = await this.run('env');
    return Object.fromEntries([...stdout.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]));
  }

  /** The numbers that `status` names. */
  async pids(): Promise<readonly number[]> {
    const { stdout } = await this.run('status');
    return [...stdout.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  }
}

async function askRedis<T>(url: string | undefined, ask: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url ?? '');
  try {
    return await ask(client);
  } finally {
    client.disconnect();
  }
}

/** A folder for PATH with what the script itself needs, and no server. */
async function bareFolder(t: Owner): Promise<string> {
  const folder = await temporaryFolder(t);
  await symlink(process.execPath, join(folder, 'node'));
  for (const name of ['bash', 'env', 'dirname', 'cp', 'sleep']) {
    await symlink(findInFolders(pathFolders(), name) ?? '', join(folder, name));
  }
  return folder;
}

const isAlive = (pid: number) => birthOf(pid) !== undefined;

t.test('what is brought up works, stays when it is brought up again, and is gone after down', async (t) => {
  const ann = await User.arrive(t);
  const first = await ann.run('up');
  t.match(first, { code: 0, stdout: '', stderr: /^redis: redis:\/\/127\.0\.0\.1:\d+ \(.*\)$/m });
  t.match(first.stderr, /^mongo: mongodb:\/\/127\.0\.0\.1:\d+\/chatterbox\?replicaSet=rs0 \(.*\)$/m);
  const settings = await ann.settings();
  t.equal(await askRedis(settings.CHAT_REDIS_URL, (client) => client.ping()), 'PONG');
  const mongo = new MongoClient(settings.CHAT_MONGO_URL ?? '');
  t.teardown(() => mongo.close());
  const inserted = await mongo.withSession((session) =>
    session.withTransaction(() => mongo.db().collection('things').insertOne({ name: 'a thing' }, { session })),
  );
  t.equal(inserted.acknowledged, true);
  const pids = await ann.pids();
  t.same(pids.map(isAlive), [true, true]);

  t.same(await ann.run('up'), { code: 0, stdout: '', stderr: '' }, 'quiet when nothing is to be done');
  t.same(await ann.pids(), pids);
  t.same(await ann.settings(), settings);

  t.match(await ann.run('down'), { code: 0, stdout: '', stderr: 'redis: stopped\nmongo: stopped\n' });
  t.same(pids.map(isAlive), [false, false]);
  t.same(await readdir(ann.folder), [], 'no file is left');
  t.same(await ann.run('down'), { code: 0, stdout: '', stderr: '' });
});

t.test('redis puts every write on disk before it answers, and evicts nothing', async (t) => {
  const ann = await User.arrive(t);
  await ann.run('up redis');
  const { CHAT_REDIS_URL } = await ann.settings();
  const wanted = {
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    'maxmemory-policy': 'noeviction',
    'lazyfree-lazy-expire': 'yes',
    bind: '127.0.0.1',
  };
  const names = Object.keys(wanted);
  const found = await askRedis(CHAT_REDIS_URL, (client) => client.config('GET', ...(names as [string])));
  const pairs = found as string[] | Record<string, string>;
  t.same(Array.isArray(pairs) ? Object.fromEntries(pairsOf(pairs)) : pairs, wanted);
});

function pairsOf(list: readonly string[]): readonly (readonly [string, string])[] {
  return list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1] ?? ''] as const] : []));
}

t.test('env makes a shell start nodes of one cluster', async (t) => {
  const ann = await User.arrive(t);
  await ann.run('up');
  const settings = await ann.settings();
  t.match(settings, { CHAT_MODE: 'cluster', CHAT_SECRET: /^[0-9a-f]{64}$/ });
  t.equal((await ann.settings()).CHAT_SECRET, settings.CHAT_SECRET, 'the same secret for every node');
  const { stdout } = await ann.run('env', { CHAT_SECRET: 'a secret of one’s own, long enough' });
  t.notMatch(stdout, /CHAT_SECRET/, 'the secret of the environment stays');
});

t.test('a service that died is told, and comes back on its port with its data', async (t) => {
  const ann = await User.arrive(t);
  await ann.run('up redis');
  const { CHAT_REDIS_URL } = await ann.settings();
  await askRedis(CHAT_REDIS_URL, (client) => client.set('name', 'ann'));
  const [pid = 0] = await ann.pids();
  process.kill(pid, 'SIGKILL');
  await eventually(() => !isAlive(pid));
  t.match(await ann.run('status'), { code: 1, stdout: /^redis +does not answer/ });
  t.match(await ann.run('up redis'), { code: 0 });
  t.equal((await ann.settings()).CHAT_REDIS_URL, CHAT_REDIS_URL);
  t.equal(await askRedis(CHAT_REDIS_URL, (client) => client.get('name')), 'ann');
});

t.test('nginx stands in front of the nodes it is told, and none of its processes is left', async (t) => {
  const ann = await User.arrive(t);
  const node = http.createServer((request, response) => response.end(`host ${request.headers.host}`));
  t.teardown(() => node.close());
  await once(node.listen(0, '127.0.0.1'), 'listening');
  const { port } = node.address() as AddressInfo;
  t.match(await ann.run(`up nginx --nodes 127.0.0.1:${port}`), { code: 0, stderr: /^nginx: http:.*$/m });
  const [, url = ''] = /^nginx +up +(\S+)/m.exec((await ann.run('status')).stdout) ?? [];
  t.equal(await (await fetch(url)).text(), `host ${new URL(url).host}`);
  t.same(await ann.settings(), { CHAT_TRUST_PROXY: '127.0.0.1/32' });
  t.match(await ann.run('down'), { code: 0, stderr: 'nginx: stopped\n' });
  await t.rejects(fetch(url));
  t.same(await readdir(ann.folder), []);
});

t.test('two that bring it up at once get one', async (t) => {
  const ann = await User.arrive(t);
  const both = await Promise.all([ann.run('up redis'), ann.run('up redis')]);
  t.same(
    both.map(({ code }) => code),
    [0, 0],
  );
  t.equal(both.flatMap(({ stderr }) => stderr.match(/^redis: redis:/gm) ?? []).length, 1);
});

t.test('wrong use is told in one line, with exit code 2', async (t) => {
  const ann = await User.arrive(t);
  for (const words of ['', 'start', 'up postgres', 'up nginx --nodes here', 'up --nodes', 'down now', 'env --json']) {
    const { code, stdout, stderr } = await ann.run(words);
    t.match(
      { code, stdout, stderr },
      { code: 2, stdout: '', stderr: /^services: [^\n]+ \(ops\/services --help\)\n$/ },
      `"${words}"`,
    );
  }
  t.same(await readdir(ann.folder), []);
});

t.test('--help names every command and every service', async (t) => {
  const ann = await User.arrive(t);
  const { code, stdout } = await ann.run('--help');
  t.equal(code, 0);
  for (const word of ['up', 'down', 'status', 'env', 'redis', 'mongo', 's3', 'nginx']) t.match(stdout, word);
});

t.test('env before up says what to run, and exports nothing', async (t) => {
  const ann = await User.arrive(t);
  t.same(await ann.run('env'), {
    code: 1,
    stdout: '',
    stderr: 'services: nothing was started here; run "ops/services up" first\n',
  });
});

t.test('a URL in the environment wins', async (t) => {
  const ann = await User.arrive(t);
  const own = await redisServer(t);
  const upped = await ann.run('up redis', { CHAT_REDIS_URL: own.url });
  t.match(upped, { code: 0, stderr: 'redis: CHAT_REDIS_URL is set and answers; nothing started\n' });
  t.match((await ann.run('status')).stdout, /^redis +not started$/m);

  await own.kill();
  const refused = await ann.run('up redis', { CHAT_REDIS_URL: own.url });
  t.match(refused, {
    code: 2,
    stderr: /^services: CHAT_REDIS_URL is set and nobody answers there; .*unset CHAT_REDIS_URL"\n$/,
  });
});

t.test('the URL that env gave out is not taken for one of the user', async (t) => {
  const ann = await User.arrive(t);
  await ann.run('up redis');
  const settings = await ann.settings();
  t.same(await ann.run('up redis', settings), { code: 0, stdout: '', stderr: '' });
});

t.test('what is missing and cannot be installed is named, with what to do', async (t) => {
  const ann = await User.arrive(t);
  const cache = await temporaryFolder(t);
  const env = { PATH: await bareFolder(t), XDG_CACHE_HOME: cache };
  const advice = {
    redis: /redis-server is missing; install it \("apt-get install redis-server" on Debian\), or start Docker/,
    mongo: /mongod is missing.*; install MongoDB 6 or newer .*, or start Docker/,
    s3: /minio is missing; install it .*, or start Docker/,
  };
  for (const [service, stderr] of Object.entries(advice)) {
    const { code, ...output } = await ann.run(`up ${service}`, env);
    t.match({ code, ...output }, { code: 2, stdout: '', stderr });
    t.equal(output.stderr.split('\n').length, 2, 'one line');
  }
});

t.test('a server that does not start is told with its last words, and what came up before it is gone', async (t) => {
  const ann = await User.arrive(t);
  await ann.install('mongod', 'echo "the disk is full" >&2; exit 1');
  const { code, stderr } = await ann.run('up redis mongo');
  t.equal(code, 1);
  t.match(stderr, /^services: mongod did not start; its last words: the disk is full$/m);
  t.same(await readdir(ann.folder), []);
});

t.test('Ctrl-C in the middle leaves nothing behind', async (t) => {
  const ann = await User.arrive(t);
  const note = join(ann.programs, 'started');
  await ann.install('mongod', `echo $$ >${note}.new; mv ${note}.new ${note}; exec sleep 600`);
  const upping = await ann.start('up redis mongo');
  const standIn = Number(await eventually(() => readFile(note, 'utf8')));
  const [redis = 0] = await ann.pids();
  t.same([redis, standIn].map(isAlive), [true, true]);
  t.match(await upping.kill('SIGINT'), { signal: 'SIGINT' });
  t.same([redis, standIn].map(isAlive), [false, false]);
  t.equal(upping.stderr.split('\n').length, 2, 'nothing is said after what was up before');
  t.same(await readdir(ann.folder), []);
});

t.test('Ctrl-C while a program is being installed ends that, and nothing is installed instead', async (t) => {
  const ann = await User.arrive(t);
  const cache = await temporaryFolder(t);
  const note = join(ann.programs, 'asked');
  await ann.install('go', `echo "$*" >>${note}.new; cp ${note}.new ${note}; [ "$1" = version ] || exec sleep 600`);
  await ann.install('apt-get', `echo "apt-get $*" >>${note}`);
  const upping = await ann.start('up s3', { XDG_CACHE_HOME: cache, PATH: `${ann.programs}:${await bareFolder(t)}` });
  await eventually(async () => (await readFile(note, 'utf8')).includes('install'));
  t.match(await upping.kill('SIGINT'), { signal: 'SIGINT' });
  t.match(upping.stderr, /^s3: building MinIO with go install \(some minutes\)\n$/);
  t.notMatch(await readFile(note, 'utf8'), /apt-get/);
  t.same(await readdir(join(cache, 'chatterbox')), []);
  t.same(await readdir(ann.folder), []);
});

t.test('where a Docker engine answers, Compose is asked', async (t) => {
  const ann = await User.arrive(t);
  const container = await redisServer(t);
  const note = join(ann.programs, 'asked');
  await ann.install('docker', `echo "$*" >>${note}; case "$*" in *" port "*) echo 127.0.0.1:${container.port};; esac`);
  t.match(await ann.run('up redis'), { code: 0, stderr: /^redis: redis:.* \(Docker Compose\)$/m });
  t.same(await ann.settings(), { CHAT_REDIS_URL: container.url });
  t.same(await ann.run('up redis'), { code: 0, stdout: '', stderr: '' });
  t.match((await ann.run('status')).stdout, /^redis +up .*Docker Compose$/m);
  t.match(await ann.run('down'), { code: 0, stderr: 'redis: stopped\n' });
  const asked = await readFile(note, 'utf8');
  t.match(asked, /^compose -p \S+ -f \S+docker-compose\.yml -f \S+ up -d --wait redis$/m);
  t.match(asked, /^compose -p \S+ -f \S+ -f \S+ down -v --remove-orphans$/m);
});
