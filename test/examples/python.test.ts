// The Python client as it stands: real Python, its one package, a real server that is restarted under it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startServer, temporaryFolder } from '../kit/process.ts';
import { eventually } from '../kit/waiting.ts';

const CLIENT = new URL('../../examples/python/client.py', import.meta.url).pathname;
/** The package that the client names, and nothing else. */
const PACKAGE = 'websockets==15.0.1';
const MOST_LINES = 60;

t.setTimeout(180_000);

const packages = mkdtempSync(join(tmpdir(), 'chatterbox-python-'));
t.teardown(() => rmSync(packages, { recursive: true, force: true }));
execFileSync('python3', [
  '-m',
  'pip',
  'install',
  '--quiet',
  '--no-warn-script-location',
  '--target',
  packages,
  PACKAGE,
]);

async function serverThatKeepsItsPort(t: Test) {
  const options = { dataDir: await temporaryFolder(t), env: { CHAT_LOG_LEVEL: 'fatal' } };
  const first = await startServer(t, options);
  await first.kill();
  return startServer(t, { ...options, env: { ...options.env, CHAT_PORT: new URL(first.url).port } });
}

interface Person {
  readonly said: () => string;
  type(line: string): void;
}

function person(t: Test, url: string, name: string): Person {
  const words = [CLIENT, url, name, 'correct horse battery', 'Lobby'];
  const child: ChildProcess = spawn('python3', words, { env: { ...process.env, PYTHONPATH: packages } });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => (said += data.toString()));
  return { said: () => said, type: (line) => child.stdin?.write(`${line}\n`) };
}

t.test(
  'two people chat in Python; the server is killed in between: nothing is missed, nothing comes twice',
  async (t) => {
    const server = await serverThatKeepsItsPort(t);
    const ann = person(t, server.url, 'ann');
    ann.type('hello from ann');
    await eventually(() => ann.said().includes('ann: hello from ann'));
    const bob = person(t, server.url, 'bob');
    bob.type('مرحبا, ann');
    await eventually(() => ann.said().includes('bob: مرحبا, ann'));
    await server.restart();
    bob.type('still here');
    await eventually(() => ann.said().includes('bob: still here'));
    ann.type('me too');
    await eventually(() => bob.said().includes('ann: me too'));
    t.equal(ann.said(), 'ann: hello from ann\nbob: مرحبا, ann\nbob: still here\nann: me too\n');
    t.equal(bob.said(), 'bob: مرحبا, ann\nbob: still here\nann: me too\n');
  },
);

t.test('it is as short as it is said to be', (t) => {
  const lines = readFileSync(CLIENT, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '');
  t.ok(lines.length <= MOST_LINES, `${lines.length} lines`);
  t.end();
});
