// The command `verify` as an operator meets it: its words, its exit codes, its end, and what it does not tell.
import { cp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { server } from '../kit/index.ts';
import { temporaryFolder } from '../kit/process.ts';
import { mongoDatabase, redisServer } from '../kit/services.ts';
import { mintFolder } from './large-world.ts';
import { ended, fill, startVerify, verified } from './scene.ts';

t.setTimeout(600_000);

const SECRET = 'a-secret-that-nobody-may-ever-see-anywhere';

/** Exit code 2, one line that says why, and nothing else. */
async function refused(t: Test, why: RegExp, place: Parameters<typeof verified>[1], ...words: readonly string[]) {
  const { code, stdout, stderr } = await verified(t, place, ...words);
  t.same([code, stdout], [2, ''], String(why));
  t.match(stderr, why);
  t.match(stderr, /^chatterbox: [^\n]+\n$/, 'in one line');
}

t.test('--help says what there is', async (t) => {
  const { code, stdout, stderr } = await verified(t, {}, '--help');
  t.same([code, stderr], [0, '']);
  for (const word of ['npm run verify', '--repair', 'Exit codes: 0 ', '1 something', '2 wrong use'])
    t.match(stdout, word);
});

t.test('wrong words are refused', async (t) => {
  for (const words of [['--mend'], ['--repair', '--help'], ['now']]) {
    await refused(t, /verify knows no "[^"]+"; verify --help tells/, {}, ...words);
  }
  await refused(t, /CHAT_DATE is not a setting; the nearest is CHAT_DATA/, { env: { CHAT_DATE: 'x' } });
});

t.test('a folder that is not one of ours is refused, and stays as it is', async (t) => {
  const dataDir = await temporaryFolder(t);
  await refused(t, /data_missing: there is no \S+store\.db/, { dataDir });
  await refused(t, /data_missing: /, { dataDir }, '--repair');
  t.same(await readdir(dataDir), []);
  await refused(t, /CHAT_DATA: there is no folder/, { dataDir: join(dataDir, 'none') });
  for (const name of ['log.db', 'store.db']) await writeFile(join(dataDir, name), 'somebody else wrote this');
  await refused(t, /data_foreign: \S+log\.db is not/, { dataDir });
  await refused(t, /data_foreign: \S+log\.db is not/, { dataDir }, '--repair');
});

t.test('a folder of a newer version, or without its log, is refused', async (t) => {
  const host = await server(t);
  await fill(host);
  await host.stop();
  const { dataDir } = host.process;
  for (const [file, sql] of [
    ['store.db', 'PRAGMA user_version = 99'],
    ['log.db', 'UPDATE meta SET version = 99'],
  ] as const) {
    const copy = await temporaryFolder(t);
    await cp(dataDir, copy, { recursive: true });
    const db = new DatabaseSync(join(copy, file));
    db.exec(sql);
    db.close();
    await refused(t, /data_newer: /, { dataDir: copy });
    await refused(t, /data_newer: /, { dataDir: copy }, '--repair');
  }
  await rm(join(dataDir, 'log.db'));
  await refused(t, /data_missing: there is no \S+log\.db/, { dataDir });
});

t.test('it leaves a folder as it was: no file more, and none of its copies', async (t) => {
  const host = await server(t);
  await fill(host);
  await host.stop();
  const { dataDir } = host.process;
  const copies = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('chatterbox-verify-'));
  const before = [(await readdir(dataDir)).filter((name) => !/-(?:wal|shm)$/.test(name)), await copies()];
  t.match(await verified(t, { dataDir }), { code: 0 });
  t.same([(await readdir(dataDir)).filter((name) => !/-(?:wal|shm)$/.test(name)), await copies()], before);
});

t.test('services that do not answer are told of within seconds', async (t) => {
  const mongo = await mongoDatabase(t);
  const redis = await redisServer(t);
  const cluster = { CHAT_MODE: 'cluster', CHAT_SECRET: SECRET };
  const nobody = 'mongodb://ann:hunter22@127.0.0.1:9/chat';
  await refused(t, /CHAT_MONGO_URL: MongoDB cannot be reached/, { env: { ...cluster, CHAT_MONGO_URL: nobody } });
  const { stderr } = await verified(t, { env: { ...cluster, CHAT_MONGO_URL: nobody } });
  t.notMatch(stderr, 'hunter22');
  const env = { ...cluster, CHAT_MONGO_URL: mongo.url, CHAT_REDIS_URL: redis.url };
  await refused(t, /store_missing: there is no ChatterBox store in this database/, { env });
  const host = await server(t, { env });
  await fill(host);
  await host.stop();
  await refused(t, /log_parts: the log is cut into 16 parts, and not into 8/, {
    env: { ...env, CHAT_LOG_PARTITIONS: '8' },
  });
  await redis.kill();
  await refused(t, /CHAT_REDIS_URL: Redis cannot be reached/, { env });
});

t.test('a signal ends it in order, and it says that it has not seen all', async (t) => {
  const dataDir = await temporaryFolder(t);
  await mintFolder(dataDir, { convs: 20, messages: 6_000, editEvery: 6 });
  const db = new DatabaseSync(join(dataDir, 'store.db'));
  db.exec('UPDATE watermark SET offset = offset + 1');
  db.close();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const program = await startVerify(t, { dataDir });
    await program.wrote(/^watermark: /m);
    process.kill(program.pid, signal);
    const { code, stderr } = await ended(program);
    t.same([code, stderr], [2, 'chatterbox: ended early; not all has been looked at\n']);
  }
});

t.test('what people wrote is in no line, nor is a key or the secret', async (t) => {
  const host = await server(t, { env: { CHAT_SECRET: SECRET } });
  const { ann, group } = await fill(host);
  await ann.send(group, 'unmistakable words', { id: 'unmistakable-key' });
  await host.stop();
  const { dataDir } = host.process;
  const db = new DatabaseSync(join(dataDir, 'store.db'));
  db.exec(
    "UPDATE changes SET wire = replace(wire, 'unmistakable words', 'unmistakable lies'), at = at - 99999999, n = n + 1",
  );
  db.exec("UPDATE convs SET state = json_set(state, '$.title', 'unmistakable title'); UPDATE touched SET state = '{}'");
  db.close();
  for (const words of [[], ['--repair']]) {
    const { code, stdout, stderr } = await verified(t, { dataDir, env: { CHAT_SECRET: SECRET } }, ...words);
    t.same([code, stderr], [1, '']);
    t.notMatch(stdout, /unmistakable|The Two|mended again|secret-that/);
  }
});

t.test('after a thousand lines it only counts', async (t) => {
  const dataDir = await temporaryFolder(t);
  await mintFolder(dataDir, { convs: 1, messages: 3_000, editEvery: 2 });
  const db = new DatabaseSync(join(dataDir, 'store.db'));
  db.exec('DELETE FROM touched');
  db.close();
  const { code, findings, stdout } = await verified(t, { dataDir });
  t.same([code, findings.length], [1, 1_000]);
  t.match(stdout, /\nand 500 more\n1500 findings \(view 1500\)\nlooked at 4501 changes of 1 conversations in /);
});
