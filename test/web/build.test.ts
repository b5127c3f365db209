// What `npm start` does first: it builds the page when it has to, and never stops a start. In copies of the project, so
// that this one is left alone.
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { startProgram, temporaryFolder } from '../kit/process.ts';

const ROOT = join(import.meta.dirname, '../..');
const COPIED = [
  'bin/build-page.js',
  'ops/build-web.ts',
  'src/web',
  'src/client',
  'src/protocol',
  'src/errors.ts',
  'package.json',
  'tsconfig.json',
];

async function project(t: Test, { hasTools = true } = {}): Promise<string> {
  const folder = await temporaryFolder(t);
  for (const path of COPIED) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await cp(join(ROOT, path), join(folder, path), { recursive: true });
  }
  if (hasTools) await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

async function build(t: Test, folder: string, script = 'bin/build-page.js') {
  const command = [process.execPath, join(folder, script)] as const;
  const program = await startProgram(t, { command });
  const { code } = await program.exited;
  return { code, said: program.stderr, stdout: program.stdout };
}

t.test('it builds what is missing or from other sources, and nothing else', async (t) => {
  const folder = await project(t);
  const page = join(folder, 'dist/web/index.html');
  t.same(await build(t, folder), { code: 0, said: 'building the page ...\n', stdout: '' });
  t.ok(existsSync(page));
  t.same(await build(t, folder), { code: 0, said: '', stdout: '' }, 'it is fresh');

  const before = await readFile(page, 'utf8');
  await writeFile(join(folder, 'src/web/styles/tokens.css'), ':root { color: red }');
  t.match(await build(t, folder), { code: 0, said: 'building the page ...\n' });
  const after = await readFile(page, 'utf8');
  t.not(after, before, 'names follow the content');
  const old = /assets\/index-[^"]+\.css/.exec(before)?.[0] ?? '';
  t.notOk(existsSync(join(folder, 'dist/web', old)), 'what is old is gone');
  t.ok(existsSync(`${page}.br`) && existsSync(`${page}.gz`));
});

t.test('a page that cannot be built leaves the old one, and stops nothing', async (t) => {
  const folder = await project(t);
  await build(t, folder);
  const before = await readFile(join(folder, 'dist/web/index.html'), 'utf8');
  await writeFile(join(folder, 'src/web/main.tsx'), 'this is no script (');
  const { code, said } = await build(t, folder);
  t.equal(code, 0);
  t.match(said, 'the page could not be built: ');
  t.equal(await readFile(join(folder, 'dist/web/index.html'), 'utf8'), before);
  t.equal((await build(t, folder, 'ops/build-web.ts')).code, 1, 'asked for by itself it is a failure');
});

t.test('without the tools a page that is there is taken as it is', async (t) => {
  const folder = await project(t, { hasTools: false });
  const none = await build(t, folder);
  t.match(none, { code: 0, said: /the page cannot be built here/ });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await build(t, folder);
  await rm(join(folder, 'node_modules'));
  await writeFile(join(folder, 'src/web/styles/tokens.css'), '');
  t.same(await build(t, folder), { code: 0, said: '', stdout: '' });
});

t.test('`npm start` builds the page and serves it; standard output is its one line', async (t) => {
  const folder = await project(t);
  for (const path of ['bin', 'src']) await cp(join(ROOT, path), join(folder, path), { recursive: true });
  const { scripts } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  // npm itself stays out of it: who kills npm leaves the server behind.
  const run = (script: string) => {
    const path = `${dirname(process.execPath)}:$PATH`;
    const command = ['sh', '-c', `cd '${folder}' && PATH="${path}" && ${script}`] as const;
    return startProgram(t, { command, env: { CHAT_LOG_LEVEL: 'warn' } });
  };
  const before = await run(String(scripts.prestart));
  t.match(await before.exited, { code: 0 });
  t.equal(before.stderr, 'building the page ...\n');
  const program = await run(scripts.start);
  const [, url = ''] = await program.wrote(/^listening on (\S+)\n/m);
  const page = await (await fetch(url)).text();
  const script = /<script[^>]+src="([^"]+)"/.exec(page)?.[1];
  t.ok(script !== undefined && (await fetch(url + script)).ok, 'a browser is all that is needed');
  t.equal(before.stdout + program.stdout, `listening on ${url}\n`);
});
