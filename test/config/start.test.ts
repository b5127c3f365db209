// What the real server makes of the machine it is started on: its port, its folder, its signals.
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { type Program, startProgram, startServer, temporaryFolder } from '../kit/process.ts';

const ROOT = join(import.meta.dirname, '../..');

/** One line on standard error that says what, nothing on standard output, exit 2. */
async function refused(t: Test, program: Program, what: RegExp): Promise<void> {
  const started = program.wrote(/^listening/m).then(() => 'it started');
  t.same(await Promise.race([program.exited, started]), { code: 2, signal: null });
  t.match(program.stderr, /^chatterbox: [^\n]+\n$/);
  t.match(program.stderr, what);
  t.equal(program.stdout, '');
}

const writeNotes = (file: string) => writeFile(file, 'These are my notes, and no database at all.\n'.repeat(100));
const makeFolder = (file: string) => mkdir(file);

async function makeForeignDatabase(file: string): Promise<void> {
  const db = new DatabaseSync(file);
  db.exec('CREATE TABLE photos (name TEXT); INSERT INTO photos VALUES (1); PRAGMA application_id = 1234');
  db.close();
}

const contentOf = (file: string) => readFile(file).catch((error: NodeJS.ErrnoException) => error.code);

t.test('SIGTERM and SIGINT end it with exit 0, having printed one line', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const server = await startServer(t);
    t.same(await server.kill(signal), { code: 0, signal: null });
    t.equal(server.stdout, `listening on ${server.url}\n`);
  }
});

t.test('a second signal changes nothing', async (t) => {
  const server = await startServer(t);
  process.kill(server.pid, 'SIGTERM');
  process.kill(server.pid, 'SIGINT');
  t.same(await server.kill('SIGTERM'), { code: 0, signal: null });
});

t.test('`npm start` passes the signal on, and its exit code back', async (t) => {
  const program = await startProgram(t, { command: ['npm', '--prefix', ROOT, 'start'] });
  await program.wrote(/^listening on /m);
  t.same(await program.kill('SIGTERM'), { code: 0, signal: null });
  t.match(program.stderr, '"msg":"stopped"');
});

t.test('it accepts at the address it printed, from the moment it printed it', async (t) => {
  const server = await startServer(t);
  t.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  const answer = await fetch(`${server.url}/health`);
  t.equal(answer.status, 200);
  await answer.arrayBuffer();
});

t.test('it starts again on the folder of one that was killed', async (t) => {
  const server = await startServer(t);
  const again = await server.restart('SIGKILL');
  t.same(await again.kill('SIGTERM'), { code: 0, signal: null });
});

t.test('its log is JSON lines on standard error', async (t) => {
  const server = await startServer(t);
  await server.kill('SIGTERM');
  const lines = server.stderr.trimEnd().split('\n');
  t.ok(lines.length > 0);
  for (const line of lines) t.type(JSON.parse(line).level, 'number');
});

t.test('a port in use is refused', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const address = other.address();
  const port = typeof address === 'object' && address !== null ? String(address.port) : '';
  await refused(
    t,
    await startProgram(t, { env: { CHAT_PORT: port } }),
    new RegExp(`CHAT_PORT.*${port}|${port}.*in use`),
  );
});

t.test('an address that is not of this machine is refused', async (t) => {
  // 192.0.2.0/24 is nobody's (RFC 5737).
  await refused(t, await startProgram(t, { env: { CHAT_HOST: '192.0.2.1' } }), /192\.0\.2\.1/);
});

t.test('a data folder that cannot be made is refused', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'file'), '');
  for (const dataDir of [join(folder, 'file'), join(folder, 'file', 'below'), '/sys/chatterbox']) {
    await refused(t, await startProgram(t, { dataDir }), /CHAT_DATA/);
  }
});

t.test(
  'a data folder with files that are not ours under our names is refused, and they are left as they are',
  async (t) => {
    for (const name of ['log.db', 'store.db']) {
      for (const make of [writeNotes, makeForeignDatabase, makeFolder]) {
        const folder = await temporaryFolder(t);
        const file = join(folder, name);
        await make(file);
        const before = await contentOf(file);
        await refused(t, await startProgram(t, { dataDir: folder }), /data_(?:foreign|unusable): .*\.db/);
        t.same(await contentOf(file), before, `${name} after ${make.name}`);
      }
    }
  },
);

t.test('a second process on the same folder is refused, and the first goes on', async (t) => {
  const first = await startServer(t);
  await refused(t, await startProgram(t, { dataDir: first.dataDir }), /data_in_use/);
  t.equal((await fetch(`${first.url}/health`)).status, 200);
});

t.test('what it writes into its folder is for its owner only', async (t) => {
  const server = await startServer(t);
  for (const name of await readdir(server.dataDir)) {
    const { mode } = await stat(join(server.dataDir, name));
    t.equal(mode & 0o077, 0, name);
  }
});
