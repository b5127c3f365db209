// The client as a package: small, without dependencies, at home in any Node and any resolution of types.
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { delimiter } from 'node:path/posix';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { build, type Rolldown } from 'vite';
import { server } from '../kit/index.ts';
import { cleanEnv } from '../kit/process.ts';
import { installedClient } from './kit/packed.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const MAX_BARE_BYTES = 4_096;
const MAX_INDEX_BYTES = 7_168;

t.setTimeout(300_000);

/** Minified and gzipped, as a page would load it. */
async function sizeOf(path: string): Promise<number> {
  const built = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      target: 'es2023',
      modulePreload: false,
      rolldownOptions: { input: path, preserveEntrySignatures: 'strict' },
    },
  });
  const { output } = built as Rolldown.RolldownOutput;
  return gzipSync(output[0].code, { level: 9 }).length;
}

/** Programs called node on the path, the oldest first; this one where there is no other. */
async function oldestNode(): Promise<string> {
  const found: { readonly path: string; readonly major: number }[] = [{ path: process.execPath, major: 24 }];
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'node');
    const version = await run(path, ['--version']).then(
      ({ stdout }) => stdout,
      () => '',
    );
    const major = Number(/^v(\d+)/.exec(version)?.[1] ?? 0);
    if (major >= 20) found.push({ path, major });
  }
  return found.sort((one, other) => one.major - other.major)[0]?.path ?? process.execPath;
}

t.test('the core is at most 4 kB, minified and gzipped', async (t) => {
  const bytes = await sizeOf(join(ROOT, 'src/client/bare.ts'));
  t.ok(bytes <= MAX_BARE_BYTES, `${bytes} bytes`);
  const whole = await sizeOf(join(ROOT, 'src/client/index.ts'));
  t.ok(whole <= MAX_INDEX_BYTES, `with conversations and messages: ${whole} bytes`);
});

t.test('the package', async (t) => {
  const folder = await installedClient(t);

  t.test('has no dependencies, and needs no module of Node but for the outbox in a file', async (t) => {
    const root = join(folder, 'node_modules/chatterbox-client');
    const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    t.equal(manifest.dependencies, undefined);
    t.same(await readdir(join(folder, 'node_modules')).then((names) => names.filter((name) => !name.startsWith('.'))), [
      'chatterbox-client',
    ]);
    const modules = (await readdir(root)).filter((name) => name.endsWith('.js'));
    for (const name of modules) {
      const isForNode = / from "node:/.test(await readFile(join(root, name), 'utf8'));
      t.equal(isForNode, name === 'outbox-file.js', name);
    }
  });

  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ] as const) {
    t.test(`its types are found and right, resolved as by ${moduleResolution}`, async (t) => {
      const sources = join(folder, `types-${moduleResolution}`);
      await mkdir(sources);
      await writeFile(join(sources, 'package.json'), '{"type":"module"}');
      await writeFile(
        join(sources, 'right.ts'),
        `import { type Chat, type Conversation, connect } from 'chatterbox-client';
import { connect as connectBare } from 'chatterbox-client/bare';
import { Session } from 'chatterbox-client/http';
import { fileOutbox } from 'chatterbox-client/outbox-file';
import { browserOutbox } from 'chatterbox-client/outbox-idb';
const session = new Session({ url: '' });
export const chat: Chat = connect({ url: '', token: session.token, outbox: browserOutbox('') });
export const conversation: Conversation | undefined = chat.conversations.get('');
export const n: number | undefined = conversation?.messages[0]?.n;
connectBare({ url: '', token: () => '', outbox: fileOutbox('') }).on('message', ({ message }) => message.text.trim());
// @ts-expect-error there is no such event
chat.on('massage', () => {});
`,
      );
      const config = {
        compilerOptions: {
          module,
          moduleResolution,
          target: 'es2023',
          lib: ['es2023', 'dom'],
          strict: true,
          noEmit: true,
          types: [],
        },
      };
      await writeFile(join(sources, 'tsconfig.json'), JSON.stringify(config));
      const { stdout } = await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', sources]).catch((error) => error);
      t.equal(stdout, '');
    });
  }

  t.test('runs in the oldest Node there is', async (t) => {
    const s = await server(t);
    await s.account('ann');
    await writeFile(
      join(folder, 'old.js'),
      `import { connect } from 'chatterbox-client';
import { Api, Session } from 'chatterbox-client/http';
import WebSocket from ${JSON.stringify(join(ROOT, 'node_modules/ws/wrapper.mjs'))};
const session = new Session({ url: ${JSON.stringify(s.url)} });
await session.signIn('ann', 'correct horse battery');
const { conv } = await new Api(session).create({ kind: 'group', title: 'old' });
const chat = connect({ url: session.socketUrl, token: session.token, WebSocket });
await new Promise((resolve) => chat.on('state', ({ state }) => state === 'online' && resolve()));
const { n } = await chat.conversations.get(conv).send('from ' + process.version).done;
console.log(process.version.split('.')[0], n);
chat.close();
`,
    );
    const node = await oldestNode();
    const { stdout } = await run(node, ['old.js'], { cwd: folder, env: cleanEnv(), timeout: 60_000 });
    t.match(stdout, /^v\d+ 1\n$/);
    t.comment(stdout);
  });
});
