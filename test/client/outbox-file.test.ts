// The outbox in a file: what was put is there after anything, in order; what was taken out is not.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { fileOutbox } from '../../src/client/outbox-file.ts';
import type { Entry } from '../../src/client/types.ts';
import { eventually, server } from '../kit/index.ts';
import { cleanEnv, temporaryFolder } from '../kit/process.ts';

const run = promisify(execFile);
const OUTBOX = new URL('../../src/client/outbox-file.ts', import.meta.url).href;

function entry(n: number, text = `text ${n}`): Entry {
  return { t: 'message', conv: 'c', text, id: `entry-${n}` };
}

async function opened(path: string) {
  const outbox = fileOutbox(path);
  return { outbox, entries: await outbox.load() };
}

t.test('what was put and not taken out is found again, in order', async (t) => {
  const path = join(await temporaryFolder(t), 'outbox');
  const { outbox, entries } = await opened(path);
  t.same(entries, []);
  await Promise.all([1, 2, 3, 4].map((n) => outbox.put(entry(n))));
  await Promise.all([outbox.remove('entry-2'), outbox.put(entry(5, 'with\nlines and "quotes" 😀'))]);
  const again = await opened(path);
  t.same(again.entries, [entry(1), entry(3), entry(4), entry(5, 'with\nlines and "quotes" 😀')]);
  await again.outbox.remove('entry-1');
  t.same((await opened(path)).entries, [entry(3), entry(4), entry(5, 'with\nlines and "quotes" 😀')]);
});

t.test('a line that was cut off was never answered, and does no harm', async (t) => {
  const path = join(await temporaryFolder(t), 'outbox');
  const { outbox } = await opened(path);
  await outbox.put(entry(1));
  await appendFile(path, '{"put":{"t":"message","conv":"c","te');
  const { outbox: next, entries } = await opened(path);
  t.same(entries, [entry(1)]);
  await next.put(entry(2));
  t.same((await opened(path)).entries, [entry(1), entry(2)]);
});

t.test('a line that was cut off in the middle of the file takes no other with it', async (t) => {
  const path = join(await temporaryFolder(t), 'outbox');
  const lines = [entry(1), entry(2)].map((put) => JSON.stringify({ put }));
  await writeFile(path, `${lines[0]}\n{"put":{"t":"mess\n${lines[1]}\n`);
  t.same((await opened(path)).entries, [entry(1), entry(2)]);
});

t.test('what is put after a write that failed half way is kept', async (t) => {
  const path = join(await temporaryFolder(t), 'outbox');
  // The system ends a write at the size a file may have; then the file may grow again.
  const program = `
    import { truncate } from 'node:fs/promises';
    import { fileOutbox } from '${OUTBOX}';
    const [path] = process.argv.slice(1);
    const outbox = fileOutbox(path);
    const entry = (id, text) => ({ t: 'message', conv: 'c', text, id });
    await outbox.load();
    await outbox.put(entry('entry-1', 'text 1'));
    const failed = await outbox.put(entry('entry-2', 'x'.repeat(3_000))).catch((error) => error.code);
    await truncate(path, 900);
    await outbox.put(entry('entry-3', 'text 3'));
    console.log(failed);
  `;
  const { stdout } = await run(
    'sh',
    ['-c', 'ulimit -f 2 && exec "$0" --input-type=module -e "$1" "$2"', process.execPath, program, path],
    { env: cleanEnv() },
  );
  t.equal(stdout.trim(), 'EFBIG');
  t.same((await opened(path)).entries, [entry(1), entry(3)]);
});

t.test('it does not grow for ever', async (t) => {
  const path = join(await temporaryFolder(t), 'outbox');
  const { outbox } = await opened(path);
  for (let n = 0; n < 400; n++) {
    await outbox.put(entry(n, 'x'.repeat(4_000)));
    await outbox.remove(`entry-${n}`);
  }
  t.ok((await stat(path)).size < 1_100_000);
  await outbox.put(entry(1_000));
  t.same((await opened(path)).entries, [entry(1_000)]);
});

t.test('what cannot be kept is said so', async (t) => {
  const folder = await temporaryFolder(t);
  const outbox = fileOutbox(join(folder, 'missing/outbox'));
  await t.rejects(outbox.load(), { code: 'ENOENT' });
  await t.rejects(outbox.put(entry(1)));
  await writeFile(join(folder, 'garbage'), 'not JSON\n');
  await t.rejects(fileOutbox(join(folder, 'garbage')).load());
});

t.test('everything it said was kept is there after kill -9', async (t) => {
  const path = join(await temporaryFolder(t), 'outbox');
  const program = `
    import { fileOutbox } from ${JSON.stringify(OUTBOX)};
    const outbox = fileOutbox(${JSON.stringify(path)});
    await outbox.load();
    for (let n = 0; ; n++) {
      outbox.put({ t: 'message', conv: 'c', text: 'text', id: 'entry-' + n }).then(() => process.stdout.write(n + '\\n'));
      if (n % 7 === 0) await new Promise(setImmediate);
    }`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', program], { env: cleanEnv() });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await eventually(() => said.split('\n').length > 200);
  child.kill('SIGKILL');
  await once(child, 'close');
  const count = said.trim().split('\n').length;
  const { entries } = await opened(path);
  t.ok(entries.length >= count, `${count} of ${entries.length}`);
  t.same(
    entries.map(({ id }) => id),
    entries.map((_, n) => `entry-${n}`),
  );
});

t.test('what a program wrote while the server was away is sent by the next one, once, in order', async (t) => {
  const s = await server(t);
  const folder = await temporaryFolder(t);
  const ann = await s.client('ann');
  const conv = await ann.group([], { title: 'notes' });
  const program = (url: string, end: string) => `
    import { connect } from ${JSON.stringify(new URL('../../src/client/index.ts', import.meta.url).href)};
    import { fileOutbox } from ${JSON.stringify(OUTBOX)};
    const chat = connect({ url: ${JSON.stringify(url)}, token: () => ${JSON.stringify(ann.account.access)}, outbox: fileOutbox('outbox') });
    const send = (text) => chat.write({ t: 'message', conv: ${JSON.stringify(conv)}, text });
    ${end}`;
  const options = { cwd: folder, env: cleanEnv(), timeout: 60_000 };
  const words = (code: string) => ['--input-type=module-typescript', '--eval', code];
  const write = `for (let n = 0; n < 5; n++) send('offline ' + n);
    const { existsSync, readFileSync } = await import('node:fs');
    setInterval(() => {
      const lines = existsSync('outbox') ? readFileSync('outbox', 'utf8').trim().split('\\n') : [];
      if (lines.length === 5) process.kill(process.pid, 'SIGKILL');
    }, 10);`;
  const killed = await run(process.execPath, words(program('ws://127.0.0.1:1/ws', write)), options).catch(
    (error) => error,
  );
  t.equal(killed.signal, 'SIGKILL');
  // Until the file, too, knows that nothing waits any more.
  const flush = `send('online');
    const { readFileSync } = await import('node:fs');
    const count = (what) => readFileSync('outbox', 'utf8').split('{"' + what + '":').length - 1;
    setInterval(() => {
      const isSent = chat.state === 'online' && chat.sendings.length === 0;
      if (isSent && count('put') > 0 && count('put') === count('remove')) process.exit();
    }, 10);`;
  await run(process.execPath, words(program(s.socketUrl, flush)), options);
  await run(process.execPath, words(program(s.socketUrl, flush)), options);
  const texts = (await ann.allMessages(conv)).map(({ text }) => text);
  t.same(texts, ['offline 0', 'offline 1', 'offline 2', 'offline 3', 'offline 4', 'online', 'online']);
  t.notMatch(await readFile(join(folder, 'outbox'), 'utf8'), 'offline');
});
