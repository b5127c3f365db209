// A full disk, on a small file system of its own: no `ok` without disk, reads go on, the process lives, and once there is
// space everything goes on by itself.
import t from 'tap';
import { startServer } from '../kit/process.ts';
import { isRefused, Run } from './run.ts';
import { fill, smallDisk } from './small-disk.ts';

/** What is left free when the disk is "full", so that log, store and their parts meet the end at different moments. */
const LEFT_FREE_BYTES = [0, 4_096, 20_000, 100_000, 400_000];

t.setTimeout(300_000);

t.test(
  'a full disk: no `ok` without disk, reads go on, and with space again so do writes, by themselves',
  async (t) => {
    const dataDir = await smallDisk(t);
    const server = await startServer(t, { dataDir, env: { CHAT_LOG_LEVEL: 'silent' } });
    const run = await Run.begin(t, server);
    const [writer] = run.writers;
    const [group = ''] = run.world.groups;
    run.meet(server);
    await run.after(200);
    for (const leftBytes of LEFT_FREE_BYTES) {
      const empty = await fill(dataDir, leftBytes);
      await run.after(20, isRefused(/^(?:unavailable|overloaded)$/));
      const read = await writer?.readAll(group);
      t.ok(read !== undefined && read.messages.length > 0, `with ${leftBytes} bytes left, history and sync answer`);
      t.equal((await fetch(`${server.url}/health`)).status, 200, 'the process lives');
      await empty();
      await run.after(100);
    }
    await run.comeToRest();
    run.tell();
    await run.end();
    t.same(await server.kill('SIGTERM'), { code: 0, signal: null });
    await run.verify(dataDir, 'the checker finds nothing');
  },
);

t.test('killed while the disk is full, it starts on the full disk or says why not, and loses nothing', async (t) => {
  const dataDir = await smallDisk(t);
  const options = { dataDir, env: { CHAT_LOG_LEVEL: 'silent' } };
  const first = await startServer(t, options);
  const run = await Run.begin(t, first);
  run.meet(first);
  await run.after(200);
  const empty = await fill(dataDir, run.random.pick(LEFT_FREE_BYTES));
  await run.after(20, isRefused(/^(?:unavailable|overloaded)$/));
  run.part();
  await first.kill('SIGKILL');
  await run.verify(dataDir, 'whatever was acknowledged on the full disk is there');
  const full = await startServer(t, options).catch((error: Error) => error.message);
  if (typeof full === 'string') t.match(full, /ended \(code 2.*chatterbox: data_unusable: [^\n]+\n$/s);
  else await full.kill('SIGKILL');
  await empty();
  const server = await startServer(t, options);
  run.meet(server);
  await run.after(200);
  await run.comeToRest();
  run.tell();
  await run.end();
  await server.kill('SIGTERM');
  await run.verify(dataDir, 'the checker finds nothing');
});
