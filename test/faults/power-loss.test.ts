// Power loss: of every file there is only what was synced, and of the rest nothing, zeros or pieces. What clients were told
// is there all the same; and a disk that lies about a few syncs is found out, so the test can fail.
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { often } from '../kit/often.ts';
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
import type { Random } from '../kit/random.ts';
import { check } from './checker.ts';
import { dumpFolder } from './dump.ts';
import { Run } from './run.ts';

const CUTS = often(24, 8);
/** Syncs that a lying disk has not done: of the log's last commits, and of the store's. */
const LIES = 20;

const NOTHING = { trimmed: 0, watermark: 0 };

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const END_WITH_PARENT = new URL('../kit/end-with-parent.ts', import.meta.url).href;
const COMPILED = new URL('../../node_modules/.cache/compiled', import.meta.url).pathname;

t.setTimeout(600_000);
t.before(requireStrace);

/** A server whose every act on its folder is written down. */
class Traced {
  readonly server: ServerProcess;
  readonly #trace: string;

  static async start(t: Test, dataDir: string, env: Readonly<Record<string, string>> = {}): Promise<Traced> {
    const trace = join(await temporaryFolder(t), 'trace');
    const command = [...tracing(trace), process.execPath, '--import', END_WITH_PARENT, MAIN] as const;
    const usual = { CHAT_ACCESS_TTL: '1d', CHAT_LOG_LEVEL: 'warn', NODE_COMPILE_CACHE: COMPILED };
    const options: ServerOptions = { dataDir, env: { ...usual, ...env }, command };
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
    const loss = LOSSES[(cut - 1) % LOSSES.length] ?? 'cut';
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

/** Moments at which the power is cut in hindsight. */
const HINDSIGHTS = often(150, 40);

t.test('whenever the power goes, what had been sent to anybody by then is on the disk', async (t) => {
  const dataDir = await realpath(await temporaryFolder(t));
  // The smallest budget, so that the log is trimmed and its files are checkpointed on the way.
  const traced = await Traced.start(t, dataDir, { CHAT_LOG_BUDGET_BYTES: '1048576' });
  const run = await Run.begin(t, traced.server);
  run.meet(traced.server);
  await run.after(2_500);
  run.part();
  await traced.kill();
  await run.end();
  const acts = await traced.acts();
  const copy = await temporaryFolder(t);
  const { disk, sent, unsynced } = await cutInHindsight(t, acts, copy, run.random);
  await checkTrace(t, disk, dataDir, acts);
  const [{ trimmed } = NOTHING] = (await dumpFolder(dataDir)).parts;
  t.ok(sent.size > 1_000, `${sent.size} changes were sent to somebody`);
  t.ok(trimmed > 0, `the log was trimmed to ${trimmed}`);
  t.ok(unsynced > HINDSIGHTS / 10, `in ${unsynced} of ${HINDSIGHTS} moments something was not synced`);

  const last = acts.findLastIndex((act) => act.is === 'write' && act.isSure && act.name === 'log.db-wal');
  const gap = new Disk(new Map());
  gap.run(acts.toSpliced(last, 1));
  t.not(differences(gap.shown(), await readImage(dataDir), acts).length, 0, 'a trace with a gap is found out');

  const liar = new Disk(new Map());
  liar.run(acts, LIES);
  await writeImage(copy, liar.afterPowerLoss('cut', run.random));
  t.ok((await faultsOf(copy, sent)).length > 0, `a disk that lies about its last ${LIES} syncs is found out`);
});

/** Follows the acts of a server, and looks at what a power loss would leave, from the first `ready` on. */
async function cutInHindsight(t: Test, acts: readonly Act[], folder: string, random: Random) {
  const begin = acts.findIndex((act) => act.is === 'sent' && act.bytes.includes('"t":"ready"'));
  const moments = Array.from({ length: HINDSIGHTS }, () => begin + random.whole(acts.length - begin));
  const disk = new Disk(new Map());
  const sent = new Map<string, string>();
  let unsynced = 0;
  for (const [index, act] of acts.entries()) {
    if (moments.includes(index)) {
      const loss = random.pick(LOSSES);
      const image = disk.afterPowerLoss(loss, random);
      unsynced += Number(differences(image, disk.shown(), []).length > 0);
      await writeImage(folder, image);
      const faults = await faultsOf(folder, sent);
      if (faults.length > 0) t.same(faults.slice(0, 5), [], `power lost at act ${index} (${loss})`);
    }
    disk.do(act);
    if (act.is === 'sent') for (const [place, key] of placesIn(act.bytes)) sent.set(place, key);
  }
  return { disk, sent, unsynced };
}

const ACKNOWLEDGED = /\{"t":"ok","id":"(?<key>[^"]+)","conv":"(?<conv>[^"]+)","seq":(?<seq>\d+)/g;
const PUSHED =
  /\{"t":"(?:conv|member|message|edit|delete)","conv":"(?<conv>[^"]+)","seq":(?<seq>\d+)[^{}]*?,"key":"(?<key>[^"]+)"/g;

/** The changes that frames tell of: their places, and the keys of the requests that made them. */
function placesIn(bytes: Buffer): (readonly [place: string, key: string])[] {
  const text = bytes.toString('latin1');
  const found = [...text.matchAll(ACKNOWLEDGED), ...text.matchAll(PUSHED)];
  return found.map(({ groups }) => [`${groups?.conv} ${groups?.seq}`, groups?.key ?? '']);
}

/** What a folder lacks of what was sent; and whether its files still fit each other. */
async function faultsOf(folder: string, sent: ReadonlyMap<string, string>): Promise<string[]> {
  const dump = await dumpFolder(folder);
  const keys = new Map(dump.changes.map(({ change }) => [`${change.conv} ${change.seq}`, change.key]));
  const lost = [...sent].filter(([place, key]) => keys.get(place) !== key).map(([place]) => `${place} is lost`);
  const [{ trimmed, watermark } = NOTHING] = dump.parts;
  const head = trimmed + dump.changes.filter(({ file }) => file === 'log').length;
  const isBehind = head < watermark ? [`the log ends at ${head}, the store at ${watermark}`] : [];
  const holes = check({ events: [], finals: [], dump }).filter(({ rule }) => rule === 'C5');
  return [...lost, ...isBehind, ...holes.map(({ text }) => text)];
}

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
