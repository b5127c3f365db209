// What a process runs out of, or gets wrong: an exception costs one request, used-up file descriptors cost newcomers, a full
// heap costs the process and nothing that was acknowledged.
import t from 'tap';
import { WebSocket } from 'ws';
import { server } from '../kit/index.ts';
import { startServer, temporaryFolder } from '../kit/process.ts';
import { eventually } from '../kit/waiting.ts';
import { Run } from './run.ts';

t.setTimeout(120_000);

const preloaded = (file: string) => ['--import', new URL(file, import.meta.url).href];
const MAIN = new URL('../../bin/chatterbox.js', import.meta.url).pathname;
const END_WITH_PARENT = new URL('../kit/end-with-parent.ts', import.meta.url).href;

t.test('an exception in a handler, at once or later: one request gets `internal`, all else goes on', async (t) => {
  const s = await server(t, { nodeArgs: preloaded('./faulty-reads.ts'), env: { CHAT_MODE: 'embedded' } });
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  for (const limit of [13, 14]) {
    t.match(await ann.refused({ t: 'history', conv: group, limit }), { code: 'internal', retry: true });
    const reply = await ann.http('GET', `conversations/${group}/messages?limit=${limit}`);
    t.match(reply, { status: 500, body: { code: 'internal' } });
    t.notMatch(JSON.stringify(reply.body), /defect|reads\.ts/, 'nothing of the inside is told');
    await ann.send(group, `after ${limit}`);
    await bob.next('message', { text: `after ${limit}` });
  }
  t.ok(ann.isOpen && bob.isOpen);
  t.equal((await ann.history(group, { limit: 12 })).items.length, 2);
});

/** Beyond those a server at rest has. */
const FILES = 96;

t.test(
  'file descriptors used up: who is connected goes on, newcomers are let in again once some are free',
  async (t) => {
    const command = [
      'prlimit',
      `--nofile=${FILES}:${FILES}`,
      process.execPath,
      '--import',
      END_WITH_PARENT,
      MAIN,
    ] as const;
    const s = await server(t, { command, env: { CHAT_MODE: 'embedded', CHAT_LOG_LEVEL: 'silent' } });
    const [ann, bob] = await s.clients('ann', 'bob');
    const group = await ann.group([bob]);
    await bob.hears(group);
    const others = Array.from({ length: FILES }, () => new WebSocket(s.socketUrl));
    const isOpen = ({ readyState }: WebSocket) => readyState === WebSocket.OPEN;
    for (const other of others) other.on('error', () => {});
    await eventually(() => others.filter(isOpen).length > FILES / 3);
    for (let count = 1; count <= 20; count++) {
      await ann.send(group, `message ${count}`);
      await bob.next('message', { n: count });
    }
    t.ok(
      others.some((other) => !isOpen(other)),
      `${others.filter(isOpen).length} of ${FILES} others were let in`,
    );
    for (const other of others) other.terminate();
    await eventually(async () => (await ann.device()).close());
    t.equal((await ann.history(group)).items.length, 20);
    t.same(await s.stop(), { code: 0, signal: null });
  },
);

t.test('the heap is full: the process ends, and the next one has everything that was acknowledged', async (t) => {
  const options = {
    dataDir: await temporaryFolder(t),
    nodeArgs: ['--max-old-space-size=96', ...preloaded('./heap-eater.ts')],
    env: { CHAT_LOG_LEVEL: 'silent' },
  };
  let running = await startServer(t, options);
  const run = await Run.begin(t, running);
  for (let times = 0; times < 3; times++) {
    run.meet(running);
    await run.after(100);
    process.kill(running.pid, 'SIGUSR2');
    const { code, signal } = await running.exited;
    t.ok(code !== 0 || signal !== null, `it ends with code ${code}, signal ${signal}`);
    run.part();
    running = await startServer(t, options);
  }
  run.meet(running);
  await run.after(100);
  await run.comeToRest();
  await run.end();
  t.same(await running.kill('SIGTERM'), { code: 0, signal: null });
  await run.verify(options.dataDir, 'the checker finds nothing');
});
