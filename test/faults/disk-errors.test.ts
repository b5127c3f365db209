// A disk that is slow, or fails now and then: late, but in order and once, and no `ok` for what did not reach it.
import t, { type Test } from 'tap';
import { injecting, requireStrace, tracedPid } from '../kit/power.ts';
import { type ServerProcess, startServer, temporaryFolder } from '../kit/process.ts';
import { isReady, isRefused, Run } from './run.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const END_WITH_PARENT = new URL('../kit/end-with-parent.ts', import.meta.url).href;

t.setTimeout(300_000);
t.before(requireStrace);

/** A server some of whose system calls are tampered with, as strace's `inject` says. */
async function startOnBadDisk(t: Test, dataDir: string, fault: string): Promise<ServerProcess> {
  const command = [...injecting(fault), process.execPath, '--import', END_WITH_PARENT, MAIN] as const;
  const server = await startServer(t, { dataDir, command, env: { CHAT_LOG_LEVEL: 'silent' } });
  t.teardown(() => end(server));
  return server;
}

/** Ends the server, not strace, which ends with it. */
async function end(server: ServerProcess): Promise<void> {
  try {
    process.kill(tracedPid(server.pid), 'SIGTERM');
  } catch (error) {
    if (!/ENOENT|ESRCH/.test(String((error as NodeJS.ErrnoException).code))) throw error;
  }
  await server.exited;
}

t.test('an fsync that takes 2 s: acknowledgements come late, in order, and once', async (t) => {
  const dataDir = await temporaryFolder(t);
  const first = await startServer(t, { dataDir });
  const run = await Run.begin(t, first, { isPlain: true });
  await first.kill('SIGTERM');
  const server = await startOnBadDisk(t, dataDir, 'fsync,fdatasync:delay_enter=2000000:when=6+');
  run.meet(server);
  await run.after(run.writers.length, isReady);
  const [writer] = run.writers;
  await run.after(40);
  t.ok(writer?.isLive, 'connections stay');
  await run.comeToRest();
  run.tell();
  await run.end();
  await end(server);
  await run.verify(dataDir, 'the checker finds nothing');
});

t.test('every ninth fsync fails: those writes are not acknowledged, the next ones go on', async (t) => {
  const dataDir = await temporaryFolder(t);
  const first = await startServer(t, { dataDir });
  const run = await Run.begin(t, first);
  await first.kill('SIGTERM');
  const server = await startOnBadDisk(t, dataDir, 'fsync,fdatasync:error=EIO:when=40+9');
  run.meet(server);
  await run.after(5, isRefused(/^unavailable$/));
  await run.after(300);
  run.part();
  process.kill(tracedPid(server.pid), 'SIGKILL');
  await server.exited;
  await run.verify(dataDir, 'the checker finds nothing');
  const again = await startServer(t, { dataDir });
  run.meet(again);
  await run.after(100);
  await run.comeToRest();
  run.tell();
  await run.end();
  await again.kill('SIGTERM');
  await run.verify(dataDir, 'nor after another start');
});
