// What only the SQLite store promises: its file, its crashes, its queries.
import { spawn } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { MESSAGE_READS } from '../../src/adapters/sqlite/messages.ts';
import { openSqliteStore } from '../../src/adapters/sqlite/store.ts';
import { StartError } from '../../src/errors.ts';
import { everything, expected, same } from './store.ts';
import { after, conv, Random, randomChanges, user, Writer } from './store-model.ts';
import { freshStore, openStore, temporaryFolder } from './store-sqlite.ts';

const WRITER = new URL('./store-writer.ts', import.meta.url).pathname;

/** The environment of a child: tap's loaders and reporters are not for it. */
function childEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('TAP'));
  return Object.fromEntries(kept);
}

/** Lets a writer apply, kills it after some batches. @returns the last watermark it told, or null when it got to the end */
async function writeAndKill(file: string, args: readonly string[], batches: number): Promise<number | null> {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(process.execPath, [WRITER, file, ...args], { stdio: [...stdio], env: childEnvironment() });
  const exited = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  let told = 0;
  let left = batches;
  if (child.stdout === null) throw new Error('the child has no output');
  for await (const line of createInterface(child.stdout)) {
    told = Number(line);
    if (--left === 0) child.kill('SIGKILL');
  }
  return (await exited) === 'SIGKILL' ? told : null;
}

t.test('law 3: after kill -9 the watermark and what it covers agree, and nothing is half there', async (t) => {
  const file = join(await temporaryFolder(t), 'store.db');
  const seed = 7;
  const count = 1_500;
  const changes = randomChanges(seed, count);
  const random = new Random(seed);
  for (let kills = 0; ; kills++) {
    const told = await writeAndKill(file, [String(seed), String(count)], 6 + random.below(12));
    const store = await openStore(t, file);
    const [watermark = 0] = await store.messages.watermark();
    t.ok(watermark >= (told ?? count), `${kills} kills, ${watermark} of ${told ?? count} told are stored`);
    same(t, await everything(store.messages, changes.slice(0, watermark)), expected(changes.slice(0, watermark)));
    await store.close();
    if (told !== null) continue;
    t.ok(kills > 1);
    break;
  }
  const db = new DatabaseSync(file);
  t.match(db.prepare('PRAGMA integrity_check').get(), { integrity_check: 'ok' });
  db.close();
});

t.test('law 7: a deleted text is in no table, not even of the views', async (t) => {
  const { messages, close, file } = await freshStore(t);
  const writer = new Writer();
  writer.create(conv('c1'));
  const random = new Random(5);
  for (let index = 0; index < 200; index++) {
    const { seq } = writer.say(conv('c1'), `secret ${'x'.repeat(random.below(6_000))}`);
    if (random.chance(0.3)) writer.write(conv('c1'), 'edit', user('ann'), { of: seq, text: 'secret, edited' });
  }
  const texts = writer.changes.slice(1);
  await messages.apply(writer.changes, after(writer.changes));
  for (const { type, seq } of texts)
    if (type === 'message') writer.write(conv('c1'), 'delete', user('ann'), { of: seq });
  await messages.apply(writer.changes, after(writer.changes));
  await close();
  const db = new DatabaseSync(file);
  t.teardown(() => db.close());
  t.match(db.prepare("SELECT count(*) AS rows FROM changes WHERE wire LIKE '%secret%'").get(), { rows: 0 });
  t.match(db.prepare("SELECT count(*) AS rows FROM touched WHERE state LIKE '%secret%'").get(), { rows: 0 });
});

t.test('law 8: every read of a conversation goes by an index, in its order', async (t) => {
  const { file } = await freshStore(t);
  const db = new DatabaseSync(file, { readOnly: true });
  t.teardown(() => db.close());
  for (const [name, sql] of Object.entries(MESSAGE_READS)) {
    const steps = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[];
    const plan = steps.map(({ detail }) => detail).join('\n');
    t.match(plan, /^SEARCH|^MERGE/, name);
    t.notMatch(plan, /SCAN|TEMP B-TREE/, name);
    t.equal(/changes_untouched/.test(plan), ['before', 'after', 'sync'].includes(name), name);
  }
});

t.test('a file of another program is refused and left as it is', async (t) => {
  const file = join(await temporaryFolder(t), 'store.db');
  const other = new DatabaseSync(file);
  other.exec('CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)');
  other.close();
  const before = await readFile(file);
  await t.rejects(openSqliteStore({ file }), new StartError(`data_foreign: ${file} is not a ChatterBox store`));
  t.ok(before.equals(await readFile(file)));
});

t.test('a file that is no database is refused', async (t) => {
  const file = join(await temporaryFolder(t), 'store.db');
  await writeFile(
    file,
    'a letter to a friend, long enough to have the place of a header in it, and then some more of it',
  );
  await t.rejects(openSqliteStore({ file }), new StartError(`data_foreign: ${file} is not a ChatterBox store`));
});

t.test('a file of a newer version is refused', async (t) => {
  const { file, close } = await freshStore(t);
  await close();
  const newer = new DatabaseSync(file);
  newer.exec('PRAGMA user_version = 1000');
  newer.close();
  await t.rejects(
    openSqliteStore({ file }),
    new StartError(`data_newer: ${file} is of version 1000, this program knows up to 1`),
  );
});

t.test('a folder that is not there, or cannot be written, is refused in one line', async (t) => {
  const folder = await temporaryFolder(t);
  const missing = join(folder, 'missing', 'store.db');
  const refused = { name: 'StartError', message: /^data_unusable: .*store\.db cannot be read and written \([^\n]+\)$/ };
  await t.rejects(openSqliteStore({ file: missing }), refused);
  if (process.getuid?.() === 0) return t.pass('nothing is read-only for root');
  await chmod(folder, 0o500);
  await t.rejects(openSqliteStore({ file: join(folder, 'store.db') }), refused);
  await chmod(folder, 0o700);
});

t.test('search is prepared and empty', async (t) => {
  const { messages, close, file } = await freshStore(t);
  const changes = randomChanges(1, 50);
  await messages.apply(changes, after(changes));
  await close();
  const db = new DatabaseSync(file);
  t.teardown(() => db.close());
  t.match(db.prepare('SELECT count(*) AS rows FROM search').get(), { rows: 0 });
  t.match(db.prepare('SELECT part, offset FROM search_cursor').get(), { part: 0, offset: 0 });
  db.prepare("INSERT INTO search (rowid, text, conv, seq) VALUES (1, 'Grüße aus Köln', 'c1', 2)").run();
  const found = db.prepare("SELECT conv, seq FROM search WHERE search MATCH 'gru*'").get();
  t.match(found, { conv: 'c1', seq: 2 });
});
