// The process around the app: its words, its exit codes, its end. The app is a stand-in that fails on cue; what the real
// one refuses is in start.test.ts.
import { join } from 'node:path';
import t, { type Test } from 'tap';
import manifest from '../../package.json' with { type: 'json' };
import { helpText } from '../../src/config/pages.ts';
import { type Program, type ServerOptions, startProgram } from '../kit/process.ts';

const FAILING_APP = new URL('../kit/failing-app.ts', import.meta.url).href;
const BIN = join(import.meta.dirname, '../../bin/chatterbox.js');
const LISTENING = 'listening on http://127.0.0.1:1\n';

function startFailing(t: Test, app: string, env: ServerOptions['env'] = {}): Promise<Program> {
  return startProgram(t, { env: { ...env, FAILING_APP: app }, nodeArgs: ['--import', FAILING_APP] });
}

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly err?: { readonly stack: string };
}

function logged(program: Program): readonly LogLine[] {
  return program.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const FATAL = 60;

t.test('--help prints the settings and exits 0', async (t) => {
  const program = await startProgram(t, { args: ['--help'] });
  t.same(await program.exited, { code: 0, signal: null });
  t.equal(program.stdout, helpText());
  t.equal(program.stderr, '');
});

t.test('--help works where the settings are wrong', async (t) => {
  const program = await startProgram(t, { args: ['--help'], env: { CHAT_PORT: 'x' } });
  t.same(await program.exited, { code: 0, signal: null });
});

t.test('--version prints the version and exits 0', async (t) => {
  const program = await startProgram(t, { args: ['--version'] });
  t.same(await program.exited, { code: 0, signal: null });
  t.equal(program.stdout, `${manifest.version}\n`);
});

t.test('other words are wrong use: one line, exit 2', async (t) => {
  for (const args of [['--port', '80'], ['serve'], ['--help', '--version'], ['-h'], ['']]) {
    const program = await startProgram(t, { args });
    t.same(await program.exited, { code: 2, signal: null }, args.join(' '));
    t.match(program.stderr, /^chatterbox: .*--help.*\n$/);
    t.equal(program.stdout, '');
  }
});

t.test('wrong settings are told on standard error, one line each, and exit 2', async (t) => {
  const program = await startProgram(t, { env: { CHAT_PORT: 'x', CHAT_PROT: '1' } });
  t.same(await program.exited, { code: 2, signal: null });
  t.match(program.stderr, /^chatterbox: CHAT_PROT .*\nchatterbox: CHAT_PORT .*\n$/);
  t.equal(program.stdout, '');
});

t.test('an environment the app refuses is told without a stack, and exits 2', async (t) => {
  const program = await startFailing(t, 'refuses to start');
  t.same(await program.exited, { code: 2, signal: null });
  t.equal(program.stderr, 'chatterbox: CHAT_DATA "/x" is not ours\nchatterbox: CHAT_PORT 80 is taken\n');
  t.equal(program.stdout, '');
});

t.test('a defect is logged as fatal with its stack, and exits 1', async (t) => {
  const cues: readonly (readonly [app: string, cue: NodeJS.Signals | null, message: string])[] = [
    ['fails to start', null, 'TypeError: a defect at the start'],
    ['throws on SIGUSR2', 'SIGUSR2', 'TypeError: a defect while serving'],
    ['forgets a promise on SIGUSR2', 'SIGUSR2', 'TypeError: a forgotten promise'],
    ['fails to stop', 'SIGTERM', 'TypeError: a defect at the end'],
  ];
  for (const [app, cue, message] of cues) {
    const program = await startFailing(t, app);
    if (cue !== null) {
      await program.wrote(/listening/);
      process.kill(program.pid, cue);
    }
    t.same(await program.exited, { code: 1, signal: null }, app);
    const line = logged(program).at(-1);
    t.equal(line?.level, FATAL);
    t.match(line?.err?.stack, message);
    t.match(line?.err?.stack, 'failing-app.ts:', 'the place');
  }
});

t.test('SIGTERM and SIGINT while starting end it after the start, with exit 0', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const program = await startFailing(t, 'starts on SIGUSR2');
    await program.wrote(/starting/);
    process.kill(program.pid, signal);
    await program.wrote(/stopping/);
    process.kill(program.pid, 'SIGUSR2');
    t.same(await program.exited, { code: 0, signal: null });
  }
});

t.test('a drain that hangs is ended 5 seconds after its time, with exit 1, however many signals come', async (t) => {
  const program = await startFailing(t, 'never stops', { CHAT_DRAIN_TIME: '0' });
  await program.wrote(/listening/);
  process.kill(program.pid, 'SIGTERM');
  await program.wrote(/stopping/);
  process.kill(program.pid, 'SIGTERM');
  process.kill(program.pid, 'SIGINT');
  t.same(await program.exited, { code: 1, signal: null });
  t.equal(program.stdout, LISTENING);
  t.match(
    logged(program).map(({ msg }) => msg),
    ['stopping', 'the drain hangs'],
  );
});

t.test('CHAT_LOG_LEVEL silences the log', async (t) => {
  const program = await startFailing(t, 'fails to stop', { CHAT_LOG_LEVEL: 'silent' });
  await program.wrote(/listening/);
  t.same(await program.kill('SIGTERM'), { code: 1, signal: null });
  t.equal(program.stderr, '');
});

t.test('an older Node is told what is needed, in one line, with exit 2', async (t) => {
  for (const version of ['24.14.9', '20.20.2', '8.17.0']) {
    const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
    const preload = `data:text/javascript,${encodeURIComponent(pretend)}`;
    const program = await startProgram(t, { command: [process.execPath, '--import', preload, BIN] });
    t.same(await program.exited, { code: 2, signal: null }, version);
    t.match(program.stderr, new RegExp(`^chatterbox: needs Node 24.15 or newer, this is ${version};.*\\n$`));
    t.equal(program.stdout, '');
  }
});

t.test('a Node that is new enough runs the program by its bin', async (t) => {
  const program = await startProgram(t, { command: [process.execPath, BIN, '--version'] });
  t.same(await program.exited, { code: 0, signal: null });
  t.equal(program.stdout, `${manifest.version}\n`);
});
