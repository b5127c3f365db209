// `verify --repair`: no server beside it, killed at any moment it is carried on with, and memory does not grow with the store.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { server } from '../kit/index.ts';
import { cluster } from '../kit/nodes.ts';
import { startProgram, temporaryFolder } from '../kit/process.ts';
import { random } from '../kit/random.ts';
import { mintFolder, type Size } from './large-world.ts';
import { audited, ended, fill, startVerify, verified } from './scene.ts';

t.setTimeout(600_000);

/** Of 70,000 changes 12,000 in each of the two leave something to mend: several transactions of it. */
const SIZE: Size = { convs: 2, messages: 30_000, editEvery: 5 };
/** A server without any data has 30 MB in use; the changes alone would be twice the rest, as objects. */
const SMALL_HEAP = ['--max-old-space-size=64'];

function tamper(dataDir: string): void {
  const db = new DatabaseSync(join(dataDir, 'store.db'));
  db.exec("UPDATE touched SET state = json_set(state, '$.text', 'theirs'); UPDATE changes SET touched = NULL");
  db.exec('UPDATE convs SET members = 7; DELETE FROM members');
  db.close();
}

t.test('a repair that is killed again and again is carried on with, and ends where it would have', async (t) => {
  const dataDir = await temporaryFolder(t);
  await mintFolder(dataDir, SIZE);
  t.same((await audited({ CHAT_DATA: dataDir })).lines, []);
  tamper(dataDir);
  const chance = random();
  t.comment(`CHAT_TEST_SEED=${chance.seed}`);
  for (let kills = 0; kills < 3; kills++) {
    const repair = await startVerify(t, { dataDir }, '--repair');
    // Not at once: it is at work when it has mended something, and goes on for a while.
    await repair.wrote(/\(mended\)/);
    for (let turns = chance.whole(20); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    t.same(await repair.kill('SIGKILL'), { code: null, signal: 'SIGKILL' });
  }
  t.ok((await audited({ CHAT_DATA: dataDir })).summary.open > 0, 'it was not done yet');
  const { code, stdout } = await verified(t, { dataDir }, '--repair');
  t.equal(code, 0);
  t.match(stdout, /\n\d+ mended, 0 left \(view \d+\)\n/);
  t.same((await audited({ CHAT_DATA: dataDir })).lines, []);
});

t.test('a store is verified and repaired in memory that is a small part of it', async (t) => {
  const dataDir = await temporaryFolder(t);
  await mintFolder(dataDir, { convs: 1, messages: 120_000, editEvery: 3 });
  const program = (...words: readonly string[]) =>
    startProgram(t, { dataDir, nodeArgs: SMALL_HEAP, args: ['verify', ...words] }).then(ended);
  t.match(await program(), { code: 0, stderr: '' });
  tamper(dataDir);
  t.match(await program('--repair'), { code: 0, stderr: '' });
  t.match(await program(), { code: 0, stdout: /^log, store and watermarks agree\nlooked at 160001 changes/ });
});

t.test('beside a server a folder is verified and not repaired; after it, it is', async (t) => {
  const host = await server(t);
  await fill(host);
  const { dataDir } = host.process;
  const { code, stderr, stdout } = await verified(t, { dataDir }, '--repair');
  t.same([code, stdout], [2, '']);
  t.match(stderr, /^chatterbox: data_in_use: [^\n]+ is in use by another process[^\n]*\n$/);
  t.match(await verified(t, { dataDir }), { code: 0 });
  await host.stop();
  tamper(dataDir);
  t.match(await verified(t, { dataDir }, '--repair'), { code: 0 });
  await host.restart();
  const late = await host.client('dora');
  await late.room({ title: 'It goes on' });
});

t.test('while a repair runs no server starts on the folder, and no other repair', async (t) => {
  const dataDir = await temporaryFolder(t);
  await mintFolder(dataDir, SIZE);
  tamper(dataDir);
  const repair = await startVerify(t, { dataDir }, '--repair');
  await repair.wrote(/\(mended\)/);
  process.kill(repair.pid, 'SIGSTOP');
  for (const args of [[], ['verify', '--repair']]) {
    const other = await startProgram(t, { dataDir, args });
    t.same(await other.exited, { code: 2, signal: null });
    t.match(other.stderr, /data_in_use/);
  }
  process.kill(repair.pid, 'SIGCONT');
  t.match(await ended(repair), { code: 0 });
});

t.test('beside a node a cluster is verified and not repaired; once all are gone, it is', async (t) => {
  const world = await cluster(t, { size: 2 });
  await fill(world.pair[0]);
  const { env } = world.pair[0];
  await world.withMongo((db) => db.collection('convs').updateMany({}, { $set: { members: 7 } }));
  const refused = await verified(t, { env }, '--repair');
  t.same([refused.code, refused.stdout], [2, '']);
  t.match(refused.stderr, /^chatterbox: data_in_use: 2 nodes run; stop all of them/);
  await Promise.all(world.pair.map((node) => node.kill('SIGTERM')));
  t.match(await verified(t, { env }), { code: 1 });
  t.match(await verified(t, { env }, '--repair'), { code: 0 });
  t.match(await verified(t, { env }), { code: 0, stderr: '' });
});
