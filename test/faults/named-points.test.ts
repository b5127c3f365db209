// F1 at named points, one process: kill -9 exactly where a commit is half written, written and not synced, or durable and
// not yet told to anybody.
import t from 'tap';
import { often } from '../kit/often.ts';
import { requireStrace } from '../kit/power.ts';
import { type ServerOptions, startServer, temporaryFolder } from '../kit/process.ts';
import { soon } from '../kit/waiting.ts';
import { killAt } from './points.ts';
import { Run } from './run.ts';

const KILLS = often(10, 4);

/** Starts take half the time. */
const COMPILED = new URL('../../node_modules/.cache/compiled', import.meta.url).pathname;

interface Point {
  readonly what: string;
  readonly thread: 'log' | 'store';
  /** System calls, as strace names them. */
  readonly calls: string;
  /** What is durable then has lost its answer. */
  readonly losesAnswers?: true;
}

/** SQLite writes its files by `pwrite64` only: a thread's plain `write` is what wakes the thread that asked. */
const POINTS: readonly Point[] = [
  { what: 'while a commit is being written to the log', thread: 'log', calls: 'pwrite64' },
  { what: 'when a commit is written to the log and not synced', thread: 'log', calls: 'fsync,fdatasync' },
  { what: 'when it is durable, before `ok` has left', thread: 'log', calls: 'write', losesAnswers: true },
  { what: 'when a batch is written to the store and not synced', thread: 'store', calls: 'fsync,fdatasync' },
  { what: 'when it is stored, before the log lets go of it', thread: 'store', calls: 'write' },
];

t.setTimeout(600_000);
t.before(requireStrace);

for (const { what, thread, calls, losesAnswers } of POINTS) {
  t.test(`kill -9 ${what}, ${KILLS} times: nothing acknowledged is lost, nothing is there twice`, async (t) => {
    const env = { CHAT_ACCESS_TTL: '1d', CHAT_LOG_LEVEL: 'error', NODE_COMPILE_CACHE: COMPILED };
    const options: ServerOptions = { dataDir: await temporaryFolder(t), env };
    let server = await startServer(t, options);
    const run = await Run.begin(t, server);
    for (let kills = 0; kills < KILLS; kills++) {
      run.meet(server);
      await run.after(1 + run.random.whole(60));
      const killed = killAt(t, server.pid, thread, calls);
      void server.exited.then(() => run.part());
      await soon(killed, () => `the ${thread} thread never came to ${calls}`);
      t.match(await server.exited, { signal: 'SIGKILL' });
      server = await startServer(t, options);
    }
    run.meet(server);
    await run.after(50);
    await run.comeToRest();
    run.tell();
    await run.end();
    await server.kill('SIGTERM');
    if (losesAnswers) t.ok(run.answersLost >= KILLS / 2, `${run.answersLost} writes were made and lost their answer`);
    await run.verify(server.dataDir, 'the checker finds nothing');
  });
}
