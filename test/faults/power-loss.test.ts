// Power loss: of every file there is only what was synced, and of the rest nothing, zeros or pieces. What clients were told
// is there all the same; and a disk that lies about a few syncs is found out, so the test can fail.
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  type Act,
  Disk,
  differences,
  type Image,
  LOSSES,
  readActs,
  readImage,
  requireStrace,
  tracedPid,
  tracing,
  writeImage,
} from '../kit/power.ts';
import { type ServerOptions, type ServerProcess, startServer, temporaryFolder } from '../kit/process.ts';
import { check } from './checker.ts';
import { Run } from './run.ts';

const CUTS = 24;
/** Syncs that a lying disk has not done: of the log's last commits, and of the store's. */
const LIES = 20;

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const END_WITH_PARENT = new URL('../kit/end-with-parent.ts', import.meta.url).href;
const COMPILED = new URL('../../node_modules/.cache/compiled', import.meta.url).pathname;

t.setTimeout(600_000);
t.before(requireStrace);

/** A server whose every act on its folder is written down. */
class Traced {
  readonly server: ServerProcess;
  readonly #trace: string;

  static async start(t: Test, dataDir: string): Promise<Traced> {
    const trace = join(await temporaryFolder(t), 'trace');
    const command = [...tracing(trace), process.execPath, '--import', END_WITH_PARENT, MAIN] as const;
    const env = { CHAT_ACCESS_TTL: '1d', CHAT_LOG_LEVEL: 'warn', NODE_COMPILE_CACHE: COMPILED };
    const options: ServerOptions = { dataDir, env, command };
    const server = await startServer(t, options);
    const traced = new Traced(server, trace);
    t.teardown(() => traced.kill());
    return traced;
  }

  constructor(server: ServerProcess, trace: string) {
    this.server = server;
    this.#trace = trace;
  }

  /** @returns when strace has written all of it down, and ended */
  async kill(): Promise<void> {
    try {
      process.kill(tracedPid(this.server.pid), 'SIGKILL');
    } catch (error) {
      if (!/ENOENT|ESRCH/.test(String((error as NodeJS.ErrnoException).code))) throw error;
    }
    await this.server.exited;
  }

  async acts(): Promise<readonly Act[]> {
    return readActs(await readFile(this.#trace, 'latin1'), this.server.dataDir);
  }
}

/** What was written down explains what the files show, so nothing has been missed. */
async function checkTrace(t: Test, disk: Disk, dataDir: string, acts: readonly Act[]): Promise<void> {
  const different = differences(disk.shown(), await readImage(dataDir), acts);
  if (different.length > 0) t.fail(`the trace does not explain what is in ${different}`);
}

t.test('files truncated to the last fsync: nothing acknowledged is lost', async (t) => {
  const dataDir = await realpath(await temporaryFolder(t));
  let image: Image = new Map();
  let run: Run | undefined;
  for (let cut = 1; cut <= CUTS; cut++) {
    const traced = await Traced.start(t, dataDir);
    run ??= await Run.begin(t, traced.server);
    const { random } = run;
    run.meet(traced.server);
    await run.after(1 + random.whole(random.chance(0.2) ? 500 : 100));
    run.part();
    await traced.kill();
    const acts = await traced.acts();
    const disk = new Disk(image);
    disk.run(acts);
    await checkTrace(t, disk, dataDir, acts);
    const loss = random.pick(LOSSES);
    image = disk.afterPowerLoss(loss, random);
    await writeImage(dataDir, image);
    await run.verify(dataDir, `cut ${cut} (${loss}): the checker finds nothing`);
  }
  if (run === undefined) return;
  const server = await startServer(t, { dataDir });
  run.meet(server);
  await run.after(100);
  await run.comeToRest();
  run.tell();
  await run.end();
  await server.kill('SIGTERM');
  await run.verify(dataDir, 'at the end the checker finds nothing');
});

t.test(`a disk that lies about its last ${LIES} syncs is found out`, async (t) => {
  const dataDir = await realpath(await temporaryFolder(t));
  const traced = await Traced.start(t, dataDir);
  const faults: string[] = [];
  const run = await Run.begin(t, traced.server, { onFault: (text) => faults.push(text) });
  run.meet(traced.server);
  await run.after(200);
  run.part();
  await traced.kill();
  const disk = new Disk(new Map());
  disk.run(await traced.acts(), LIES);
  await writeImage(dataDir, disk.afterPowerLoss('cut', run.random));
  const rules = async () => new Set(check(await run.evidence(dataDir)).map(({ rule }) => rule));
  t.ok((await rules()).has('C1'), 'the files lack what was acknowledged');

  const server = await startServer(t, { dataDir });
  run.meet(server);
  await run.after(200);
  run.part();
  await run.end();
  await server.kill('SIGKILL');
  t.ok((await rules()).has('C4'), 'numbers were given twice');
  t.ok(faults.length > 0, 'clients saw it, too');
});
