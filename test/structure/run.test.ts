// The runner behind `npm test`: what it says and how it ends, whatever the tests do. It runs in a folder of its own, with
// tests made for the occasion.
import { spawn } from 'node:child_process';
import { on } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { cleanEnv, temporaryFolder } from '../kit/process.ts';

const ROOT = join(import.meta.dirname, '../..');

interface Run {
  readonly code: number | null;
  readonly output: string;
  readonly lastLine: string | undefined;
}

/** A folder with the runner and these tests. */
async function project(t: Test, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder(t);
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const name of ['package.json', 'test/run.ts', 'test/runner']) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true });
  }
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), `import t from 'tap';\n${content}\n`);
  }
  return folder;
}

const RUNNER = [process.execPath, 'test/run.ts'];

function start(t: Test, folder: string, [program = '', ...words]: readonly string[]) {
  const child = spawn(program, words, { cwd: folder, env: cleanEnv(), stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => child.kill('SIGKILL'));
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const output = text(child.stdout);
  const run = Promise.all([closed, output]).then(
    ([code, output]): Run => ({ code, output, lastLine: output.trimEnd().split('\n').at(-1) }),
  );
  return { child, run };
}

/** Runs `npm test -- words` over the given files. */
async function runTests(t: Test, files: Readonly<Record<string, string>>, words: readonly string[] = []): Promise<Run> {
  return start(t, await project(t, files), [...RUNNER, ...words]).run;
}

/** Resolves when it has written this. */
async function wrote({ stdout }: ReturnType<typeof start>['child'], line: string): Promise<void> {
  let seen = '';
  for await (const [chunk] of on(stdout, 'data', { close: ['end'] })) {
    seen += chunk;
    if (seen.includes(line)) return;
  }
}

const GREEN = "t.pass(); t.test('inner', async (t) => { t.pass(); });";

t.test('asserts that hold are counted, those of subtests too, and it exits 0', async (t) => {
  const { code, lastLine } = await runTests(t, { 'test/a.test.ts': GREEN, 'test/deep/b.test.ts': GREEN });
  t.same({ code, lastLine }, { code: 0, lastLine: '4 passed, 0 failed' });
});

t.test('an assert that fails is shown once with the names around it, and it exits 1', async (t) => {
  const red =
    "t.pass(); t.test('one', async (t) => { await t.test('two', async (t) => { t.equal(1, 2, 'three'); }); });";
  const { code, lastLine, output } = await runTests(t, { 'test/red.test.ts': red });
  t.same({ code, lastLine }, { code: 1, lastLine: '1 passed, 1 failed' });
  t.match(output, /^not ok test\/red\.test\.ts > one > two > three\n(?: .*\n)+not ok test\/red\.test\.ts .*\n1 passed/);
  t.match(output, '\n    -2\n    +1\n', 'the difference');
});

t.test('what is left out is shown', async (t) => {
  const left =
    "t.pass(); t.test('later', { todo: true }, async () => {}); t.test('not here', { skip: 'no disk' }, () => {});";
  const { code, output } = await runTests(t, { 'test/left.test.ts': left });
  t.equal(code, 0);
  t.match(output, 'test/left.test.ts > later # TODO');
  t.match(output, 'test/left.test.ts > not here # SKIP no disk');
  const { output: none } = await runTests(t, { 'test/none.test.ts': "t.test('x', { skip: 'no disk' }, () => {});" });
  t.match(none, 'ok test/none.test.ts # 0 passed', 'a file with nothing else is not at fault');
});

t.test('a file that crashes, exits with a code, hangs, or asserts nothing has failed', async (t) => {
  const broken = {
    'cannot be loaded': "import './nowhere.ts';",
    'throws late': "t.pass(); setTimeout(() => { throw new Error('late'); });",
    'exits with a code': 't.pass(); process.exit(7);',
    hangs: "t.setTimeout(100); t.test('for ever', () => new Promise(() => { setInterval(() => {}, 1_000); }));",
    'plans more': 't.plan(2); t.pass();',
    'asserts nothing': '',
  };
  const runs = Object.entries(broken).map(async ([name, content]) => {
    const { code, lastLine } = await runTests(t, { 'test/broken.test.ts': content });
    t.equal(code, 1, name);
    t.match(lastLine, /^\d+ passed, [1-9]\d* failed$/, name);
  });
  await Promise.all(runs);
});

t.test('no test at all is a failure', async (t) => {
  const { code, lastLine } = await runTests(t, {});
  t.same({ code, lastLine }, { code: 1, lastLine: '0 passed, 1 failed' });
});

t.test('a part can be run: by file, and by folder without what stands beside its tests', async (t) => {
  const files = { 'test/a/a.test.ts': GREEN, 'test/a/shared.ts': 't.fail();', 'test/b/b.test.ts': 't.fail();' };
  t.match(await runTests(t, files, ['test/a/a.test.ts']), { code: 0, lastLine: '2 passed, 0 failed' });
  t.match(await runTests(t, files, ['test/a']), { code: 0, lastLine: '2 passed, 0 failed' });
  t.match(await runTests(t, files, ['test/nowhere.test.ts']), { code: 1, lastLine: '0 passed, 1 failed' });
});

/** Goes on when the test says so. */
const WAITS =
  "import { existsSync } from 'node:fs'; while (!existsSync('go')) await new Promise((r) => setTimeout(r, 10)); t.pass();";

t.test(
  'a file is shown as soon as it has ended, whatever their order',
  { skip: availableParallelism() < 2 && 'one core: one file at a time' },
  async (t) => {
    const folder = await project(t, { 'test/a.test.ts': WAITS, 'test/b.test.ts': GREEN });
    const { child, run } = start(t, folder, RUNNER);
    await wrote(child, '\n');
    await writeFile(join(folder, 'go'), '');
    const { output } = await run;
    t.match(
      output,
      /^ok test\/b\.test\.ts # 2 passed, [\d.]+ s, file 1 of 2\nok test\/a\.test\.ts # 1 passed, [\d.]+ s, file 2 of 2\n3 passed, 0 failed\n$/,
    );
  },
);

t.test('a run that is broken off has failed, and leaves no file running', async (t) => {
  const files = Object.fromEntries(['b', 'c', 'd', 'e', 'f', 'g'].map((name) => [`test/${name}.test.ts`, WAITS]));
  const { child, run } = start(t, await project(t, { ...files, 'test/a.test.ts': GREEN }), RUNNER);
  await wrote(child, 'test/a.test.ts');
  child.kill('SIGTERM');
  // Its output ends when nobody holds it any more.
  t.match(await run, { code: 1, lastLine: '2 passed, 6 failed' });
});

const SCRIPT = '/usr/bin/script';

t.test('on a terminal a last line tells how far it is', { skip: !existsSync(SCRIPT) && 'no script(1)' }, async (t) => {
  const folder = await project(t, { 'test/a.test.ts': GREEN, 'test/b.test.ts': 't.fail()' });
  const { code, output } = await start(t, folder, [SCRIPT, '-qec', RUNNER.join(' '), '/dev/null']).run;
  t.equal(code, 1);
  const shown = output.replaceAll('\r\u001b[K', '|');
  t.match(shown, /\|1\/2 files, \d passed, \d failed; \w/);
  t.match(shown, /\|2 passed, 1 failed\s*$/);
});
