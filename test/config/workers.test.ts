// CHAT_WORKERS: several processes on one port, as who operates them sees it. What they serve is a stand-in.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Program, type ServerProcess, startProgram, startServer, temporaryFolder } from '../kit/process.ts';
import { eventually } from '../kit/waiting.ts';
import type { Behaviour } from '../kit/worker-app.ts';

const APP = new URL('../kit/worker-app.ts', import.meta.url).href;
const BIN = join(import.meta.dirname, '../../bin/chatterbox.js');

t.setTimeout(120_000);

interface LogLine {
  readonly pid: number;
  readonly msg: string;
  readonly worker?: number;
  readonly workerPid?: number;
  readonly code?: number | null;
  readonly signal?: string | null;
  readonly reason?: string;
  readonly err?: unknown;
}

function logged({ stderr }: Program, msg: string): readonly LogLine[] {
  const lines = stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): LogLine => JSON.parse(line));
  return lines.filter((line) => line.msg === msg);
}

const ENDED = 'worker ended; starting it again';

/** How to start it, and how its apps are to behave from now on. */
async function standIn(t: Test, behaviour: Behaviour, env: Readonly<Record<string, string>> = {}) {
  const file = join(await temporaryFolder(t), 'behaviour');
  await writeFile(file, behaviour);
  const settings = { CHAT_MODE: 'cluster', CHAT_SECRET: 'x'.repeat(32), CHAT_DATA: '', CHAT_WORKERS: '2' };
  return {
    options: { env: { ...settings, WORKER_APP: file, ...env }, nodeArgs: ['--import', APP] },
    behave: (next: Behaviour) => writeFile(file, next),
  };
}

async function startWorkers(t: Test, env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const { options } = await standIn(t, 'serves', env);
  return startServer(t, options);
}

const answer = async (server: ServerProcess, path = '/') => (await fetch(server.url + path)).text();

/** Connects until so many processes have answered. @returns their ids */
async function answering(server: ServerProcess, count: number, other: readonly number[] = []): Promise<number[]> {
  const pids = new Set<number>();
  await eventually(async () => {
    const pid = Number(await answer(server));
    if (!other.includes(pid)) pids.add(pid);
    return pids.size === count;
  }, 0);
  return [...pids];
}

t.test('they share one port, found by the first, and one line is printed when all accept', async (t) => {
  const server = await startWorkers(t, { CHAT_WORKERS: '3' });
  t.equal(logged(server, 'worker accepts').length, 3);
  const pids = await answering(server, 3);
  t.notOk(pids.includes(server.pid), 'the supervisor serves nothing');
  t.match(await server.kill('SIGTERM'), { code: 0 });
  t.match(server.stdout, /^listening on http:\/\/127\.0\.0\.1:\d+\n$/);
});

t.test('one worker is the process itself', async (t) => {
  const { options } = await standIn(t, 'serves', { CHAT_WORKERS: '1', CHAT_LOG_LEVEL: 'fatal' });
  const program = await startProgram(t, options);
  t.match(await program.exited, { code: 1 });
  t.match(program.stderr, /not for a single process/);
});

t.test('who is killed is started again, the others go on', async (t) => {
  const server = await startWorkers(t);
  const [killed = 0, other = 0] = await answering(server, 2);
  process.kill(killed, 'SIGKILL');
  const [fresh] = await answering(server, 1, [killed, other]);
  t.not(fresh, server.pid);
  t.match(logged(server, ENDED), [{ pid: server.pid, signal: 'SIGKILL', afterMs: 100 }]);
  t.notMatch(server.stderr, /stack/);
  t.same(new Set(await answering(server, 2)), new Set([fresh, other]));
});

t.test('who keeps dying is waited for longer each time, and what it says is logged', async (t) => {
  const { options, behave } = await standIn(t, 'serves');
  const server = await startServer(t, options);
  const [killed = 0, other = 0] = await answering(server, 2);
  await behave('refuses');
  process.kill(killed, 'SIGKILL');
  await eventually(() => logged(server, ENDED).length === 3);
  t.match(logged(server, ENDED), [
    { signal: 'SIGKILL', afterMs: 100 },
    { code: 2, afterMs: 200, reason: 'CHAT_X is not for us\nCHAT_Y is not either' },
    { code: 2, afterMs: 400 },
  ]);
  t.equal(Number(await answer(server)), other);
  await behave('serves');
  await answering(server, 2);
  t.match(await server.kill('SIGTERM'), { code: 0 });
});

t.test('a worker ended by hand drains, and is started again: a rolling restart', async (t) => {
  const server = await startWorkers(t);
  const [ended = 0, other = 0] = await answering(server, 2);
  process.kill(ended, 'SIGTERM');
  await answering(server, 1, [ended, other]);
  t.match(logged(server, ENDED), [{ code: 0, signal: null }]);
  t.match(logged(server, 'stopped'), [{ pid: ended }]);
});

t.test('what a worker refuses at the first start is told once, and ends all with 2', async (t) => {
  for (const behaviour of ['refuses', 'refuses, but the first'] as const) {
    const { options } = await standIn(t, behaviour, { CHAT_WORKERS: '3', CHAT_LOG_LEVEL: 'silent' });
    const program = await startProgram(t, options);
    t.same(await program.exited, { code: 2, signal: null }, behaviour);
    t.equal(program.stderr, 'chatterbox: CHAT_X is not for us\nchatterbox: CHAT_Y is not either\n');
    t.equal(program.stdout, '');
  }
});

t.test('a worker that dies before all accept ends all with 1, told in one line without a stack', async (t) => {
  const { options } = await standIn(t, 'dies', { CHAT_LOG_LEVEL: 'fatal' });
  const program = await startProgram(t, options);
  t.same(await program.exited, { code: 1, signal: null });
  t.match(logged(program, 'worker ended before all accepted'), [{ worker: 1, signal: 'SIGKILL' }]);
  t.match(program.stderr, /^[^\n]+\n$/);
  t.equal(program.stdout, '');
});

t.test('a port in use is refused, even where another supervisor shares it with its workers', async (t) => {
  const server = await startWorkers(t);
  const { port } = new URL(server.url);
  for (const [name, env] of [
    ['CHAT_PORT', { CHAT_PORT: port }],
    ['CHAT_METRICS_PORT', { CHAT_METRICS_PORT: port }],
  ] as const) {
    const { options } = await standIn(t, 'serves', env);
    const second = await startProgram(t, options);
    t.same(await second.exited, { code: 2, signal: null });
    t.equal(second.stderr, `chatterbox: ${name}: port ${port} on 127.0.0.1 is in use\n`);
  }
  await answering(server, 2);
});

t.test('a port that was given is taken by all', async (t) => {
  const first = await startWorkers(t);
  await first.kill('SIGTERM');
  const server = await startWorkers(t, { CHAT_PORT: new URL(first.url).port });
  t.equal(server.url, first.url);
  await answering(server, 2);
});

t.test('SIGTERM and SIGINT drain all and end with 0, and a second signal changes nothing', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const server = await startWorkers(t);
    const pids = await answering(server, 2);
    for (const pid of [server.pid, ...pids, server.pid]) process.kill(pid, signal);
    t.same(await server.kill('SIGTERM'), { code: 0, signal: null });
    t.same(new Set(logged(server, 'stopped').map(({ pid }) => pid)), new Set([...pids, server.pid]));
    t.same(logged(server, ENDED), []);
    t.equal(server.stdout, `listening on ${server.url}\n`);
  }
});

t.test('a signal while they start ends them after the start, with 0', async (t) => {
  const { options } = await standIn(t, 'starts on SIGUSR2');
  const program = await startProgram(t, options);
  await program.wrote(/"starting"/);
  process.kill(program.pid, 'SIGTERM');
  await program.wrote(/"worker":1,.*"stopping"/);
  process.kill(logged(program, 'starting')[0]?.pid ?? 0, 'SIGUSR2');
  t.same(await program.exited, { code: 0, signal: null });
  t.equal(program.stdout, '');
});

t.test('a signal while one waits to be started again ends the rest, with 0', async (t) => {
  const { options, behave } = await standIn(t, 'serves');
  const server = await startServer(t, options);
  const [killed = 0] = await answering(server, 2);
  await behave('refuses');
  process.kill(killed, 'SIGKILL');
  await server.wrote(/"afterMs":400/);
  t.same(await server.kill('SIGTERM'), { code: 0, signal: null });
});

t.test(
  'a worker whose drain hangs ends by itself, one that does not even do that is killed: both end in 1',
  async (t) => {
    const cases = (['never stops', 'serves'] as const).map(async (behaviour) => {
      const { options } = await standIn(t, behaviour, { CHAT_DRAIN_TIME: '0' });
      const server = await startServer(t, options);
      const [pid = 0] = await answering(server, 2);
      if (behaviour === 'serves') process.kill(pid, 'SIGSTOP');
      t.same(await server.kill('SIGTERM'), { code: 1, signal: null });
      const isKilled = behaviour === 'serves';
      t.equal(logged(server, 'the drain hangs').length, isKilled ? 0 : 2);
      t.equal(logged(server, 'worker does not end; killed').length, isKilled ? 1 : 0);
    });
    await Promise.all(cases);
  },
);

t.test('workers whose supervisor is killed drain and end by themselves', async (t) => {
  const { options } = await standIn(t, 'serves');
  // Without what the kit loads to end a server with its test.
  const server = await startServer(t, { ...options, command: [process.execPath, '--import', APP, BIN] });
  const pids = await answering(server, 2);
  // Resolves when nobody holds its output open any more: the workers are gone too.
  t.match(await server.kill('SIGKILL'), { signal: 'SIGKILL' });
  t.same(new Set(logged(server, 'stopped').map(({ pid }) => pid)), new Set(pids));
  t.match(logged(server, 'stopping'), [{ reason: 'the supervisor is gone' }, { reason: 'the supervisor is gone' }]);
});

t.test('any worker answers with the metrics of all', async (t) => {
  const server = await startWorkers(t);
  const [killed = 0, other = 0] = await answering(server, 2);
  process.kill(killed, 'SIGKILL');
  await answering(server, 1, [killed, other]);
  const { worker: restarted } = logged(server, ENDED)[0] ?? {};
  const body = await answer(server, '/metrics');
  const values = new Map(
    body
      .split('\n')
      .filter((line) => /^[a-z]/.test(line))
      .map((line) => line.split(' ') as [string, string]),
  );
  const restarts = (worker: number) => (worker === restarted ? '1' : '0');
  t.same(
    values,
    new Map([
      ['test_one{worker="1"}', '1'],
      ['test_one{worker="2"}', '1'],
      ['chat_worker_up{worker="1"}', '1'],
      ['chat_worker_up{worker="2"}', '1'],
      ['chat_worker_restarts_total{worker="1"}', restarts(1)],
      ['chat_worker_restarts_total{worker="2"}', restarts(2)],
    ]),
  );
});

t.test('a worker that does not answer is missing from the metrics, and holds up nobody', async (t) => {
  const server = await startWorkers(t);
  const [stopped = 0, other = 0] = await answering(server, 2);
  process.kill(stopped, 'SIGSTOP');
  // The kernel still gives connections to who is stopped: those are given up.
  const body = await eventually(async () => {
    const signal = AbortSignal.timeout(3_000);
    return (await fetch(`${server.url}/metrics`, { signal, headers: { connection: 'close' } })).text();
  });
  const indexOf = (pid: number) => logged(server, 'worker accepts').find(({ workerPid }) => workerPid === pid)?.worker;
  t.match(body, `test_one{worker="${indexOf(other)}"} 1`);
  t.notMatch(body, `test_one{worker="${indexOf(stopped)}"}`);
  process.kill(stopped, 'SIGCONT');
});

t.test('the words of a worker are wrong use where no supervisor says them', async (t) => {
  const command = ['env', '-u', 'NODE_CHANNEL_FD', process.execPath, BIN, '--worker=1', '--port=0'] as const;
  const program = await startProgram(t, { command });
  t.same(await program.exited, { code: 2, signal: null });
  t.match(program.stderr, /^chatterbox: there is no "--worker=1 --port=0".*\n$/);
});
