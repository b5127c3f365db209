// The recipes of docs/client.md, each run as it stands there, from the package as it would be installed, against a real
// server. What is added to each looks at what it has done.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { type Client, eventually, type Server, server } from '../kit/index.ts';
import { cleanEnv } from '../kit/process.ts';
import { installedClient } from './kit/packed.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'docs/client.md');

t.setTimeout(300_000);

interface Recipe {
  readonly number: number;
  readonly title: string;
  readonly code: string;
}

async function recipes(): Promise<readonly Recipe[]> {
  const page = await readFile(PAGE, 'utf8');
  const sections = page.split(/^## /m).slice(1);
  return sections.map((section) => {
    const [, number, title = ''] = /^(\d+)\. (.*)$/m.exec(section) ?? [];
    const [, code = ''] = /```ts\n([\s\S]*?)```/.exec(section) ?? [];
    return { number: Number(number), title, code };
  });
}

/** What a recipe is asked at its end, where it has to run on for that, and what others do meanwhile. */
const ENDS: Readonly<Record<number, string>> = {
  1: `await until(() => chat.state === 'online'); done(chat.me.name);`,
  2: `await until(() => list().length === 1 && list().some((line) => line.includes('message 45'))); done(list());`,
  3: `await until(() => tea.pending.length === 0); done({ n, last: tea.last.text });`,
  4: `done([lobby.messages.length, lobby.messages[0].text, lobby.unread]);`,
  5: `await until(() => lobby.messages.at(-2)?.deleted); done(lobby.messages.slice(-2).map(({ text, deleted }) => text || deleted));`,
  7: `await until(() => chat.presence.size > 0); done([...chat.presence.values()].map(({ status }) => status));`,
  9: `await until(() => chat.state === 'closed'); done([chat.reason, sending.error?.code]);`,
  10: `done([garden.title, garden.members.size]);`,
};

const AROUND = `
async function until(check) { while (!check()) await new Promise((resolve) => setTimeout(resolve, 20)); }
function done(result) { process.stdout.write('\\nDONE ' + JSON.stringify(result), () => process.exit(0)); }
`;

const WANTED: Readonly<Record<number, RegExp>> = {
  1: /^"ann"$/,
  2: /lobby \(45\) message 45/,
  3: /^\{"n":1,"last":"Earl Grey, hot."\}$/,
  4: /^\[45,"message 1",0\]$/,
  5: /^\[true,"quick"\]$/,
  7: /^\["online"\]$/,
  9: /^\["4503","too_large"\]$/,
  10: /^\["garden",2\]$/,
};

/** Ann and bob in the lobby, where bob has written; bob's garden is open to all. */
async function scene(s: Server): Promise<{ readonly ann: Client; readonly bob: Client; readonly lobby: string }> {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const lobby = await bob.group([ann], { title: 'lobby' });
  for (let n = 1; n <= 45; n++) await bob.send(lobby, `message ${n}`);
  await carl.room({ title: 'garden' });
  await ann.close();
  return { ann, bob, lobby };
}

t.test('the recipes', async (t) => {
  const [all, folder, s] = await Promise.all([recipes(), installedClient(t), server(t)]);
  const { ann, bob, lobby } = await scene(s);
  const codeOf = ({ code }: Recipe) => code.replaceAll('https://chat.example.org', s.url);

  t.equal(all.length, 10, 'there are ten');

  t.test('have no wrong types', async (t) => {
    for (const recipe of all) await writeFile(join(folder, `recipe-${recipe.number}.ts`), recipe.code);
    const compilerOptions = {
      module: 'nodenext',
      target: 'esnext',
      lib: ['esnext', 'dom'],
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['recipe-*.ts'] }));
    const { stdout } = await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', folder]).catch((error) => error);
    t.equal(stdout, '');
  });

  for (const recipe of all) {
    const [end, wanted] = [ENDS[recipe.number], WANTED[recipe.number]];
    if (end === undefined || wanted === undefined) continue;
    t.test(`${recipe.number}. ${recipe.title}`, async (t) => {
      const file = join(folder, `run-${recipe.number}.ts`);
      await writeFile(file, `${AROUND}${codeOf(recipe)}${end}`);
      const { stdout } = await run(process.execPath, [file], { cwd: folder, env: cleanEnv(), timeout: 60_000 });
      t.match(stdout.split('\nDONE ')[1] ?? stdout, wanted);
    });
  }

  t.test('6. A bot that misses nothing, killed and started again', async (t) => {
    const bot = all.find(({ number }) => number === 6);
    await writeFile(join(folder, 'bot.ts'), codeOf(bot as Recipe));
    await bob.close();
    await (await ann.resume()).next('presence', { status: 'offline' });
    const person = await ann.resume();
    const ask = async () => (await person.send(lobby, '!ping')).seq;
    const start = () => {
      const child = spawn(process.execPath, ['bot.ts'], { cwd: folder, env: cleanEnv(), stdio: 'inherit' });
      t.teardown(() => child.kill('SIGKILL'));
      return child;
    };
    const first = start();
    await person.next('presence', { status: 'online' });
    const asked = [await ask()];
    await person.next('message', { text: 'pong' });
    await eventually(() => existsSync(join(folder, 'cursors.json')));
    first.kill('SIGKILL');
    await once(first, 'exit');
    asked.push(await ask(), await ask());
    start();
    for (const _ of [1, 2]) await person.next('message', { text: 'pong' });
    asked.push(await ask());
    await person.next('message', { text: 'pong' });
    const pongs = (await person.allMessages(lobby)).filter(({ text }) => text === 'pong');
    t.same(
      pongs.map(({ reply }) => reply),
      asked,
      'each is answered once, in order',
    );
  });
});
