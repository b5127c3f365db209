// npm run faults itself: what it says, how it ends, and that it leaves nothing behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { cleanEnv } from '../kit/process.ts';
import { eventually } from '../kit/waiting.ts';
import { MATRIX } from './matrix.ts';

t.setTimeout(120_000);

const MAIN = new URL('./main.ts', import.meta.url).pathname;

function start(t: Test, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [MAIN, ...words], {
    env: { ...cleanEnv(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const outputs = Promise.all([text(child.stdout), text(child.stderr)]);
  const ended = Promise.all([closed, outputs]).then(([code, [stdout, stderr]]) => ({ code, stdout, stderr }));
  return { child, ended };
}

/** Processes that a process has started, and those these have. */
function descendants({ pid = 0 }: ChildProcess): readonly number[] {
  const children = (parent: number): number[] => {
    const ids = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim();
    const found = ids === '' ? [] : ids.split(' ').map(Number);
    return found.flatMap((id) => [id, ...children(id)]);
  };
  return children(pid);
}

const isAlive = (pid: number) => readdirSync('/proc').includes(String(pid));

t.test('--help and --list say what there is', async (t) => {
  t.match(await start(t, ['--help']).ended, { code: 0, stdout: /--random K/ });
  const { code, stdout } = await start(t, ['--list']).ended;
  t.equal(code, 0);
  for (const { fault } of MATRIX) t.ok(stdout.includes(`${fault} `), fault);
});

t.test('wrong use is told, with exit 2', async (t) => {
  const wrong = [
    ['--fault', 'F99'],
    ['--random', 'many'],
    ['--mode', 'both-of-them'],
    ['--sead', '1'],
    ['--seed', '-1'],
  ];
  for (const words of wrong)
    t.match(await start(t, words).ended, { code: 2, stderr: /npm run faults/ }, words.join(' '));
});

t.test('--steps shows what a seed does, always the same', async (t) => {
  const words = ['--steps', '--seed', '7', '--random', '3'];
  const [one, other] = await Promise.all([start(t, words).ended, start(t, words).ended]);
  t.equal(one.code, 0);
  t.match(one.stdout, /"seed":9,"mode":"cluster"/);
  t.equal(one.stdout, other.stdout);
});

t.test('a schedule is played and summed up', async (t) => {
  const { code, stdout } = await start(t, ['--seed', '1', '--mode', 'embedded']).ended;
  t.equal(code, 0);
  t.match(
    stdout,
    /^seeds from 1\nschedules 1-1: 1 embedded, 0 cluster, [\d,]+ acknowledged writes, \d+ faults, 0 with/m,
  );
  t.match(stdout, /^0 schedules with findings$/m);
});

t.test('what is found is told with its seed, and the exit is 1', async (t) => {
  const finding = `export const check = () => [{ rule: 'C1', text: 'it is gone' }];`;
  const hook = `import { registerHooks } from 'node:module';
    registerHooks({ resolve: (name, context, next) => name.endsWith('/checker.ts')
      ? { url: 'data:text/javascript,${encodeURIComponent(finding).replaceAll("'", '%27')}', shortCircuit: true }
      : next(name, context) });`;
  const env = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hook).replaceAll("'", '%27')}` };
  const { code, stdout } = await start(t, ['--seed', '3', '--mode', 'embedded'], env).ended;
  t.equal(code, 1);
  t.match(stdout, /^FOUND with seed 3; again: npm run faults -- --mode embedded --seed 3;/m);
  t.match(stdout, /! found \(seed 3\): C1: it is gone/);
});

t.test('Ctrl-C ends it, and all that it has started', async (t) => {
  const { child, ended } = start(t, ['--random', '1000', '--mode', 'embedded']);
  const started = await eventually(() => {
    const found = descendants(child);
    if (found.length < 2) throw new Error('it has started nothing yet');
    return found;
  });
  child.kill('SIGINT');
  t.match(await ended, { code: 130, stdout: /0 schedules with findings/ });
  await eventually(() => started.every((pid) => !isAlive(pid)));
  t.pass('no process is left');
});
