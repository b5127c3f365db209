// P4: messages acknowledged once they are on disk, each delivered to both sides of a direct conversation, embedded mode.
// Capacity needs a closed loop (a fixed number under way); the latency of an acknowledgement is taken open-loop at 1,000/s.
import { type Bar, type BarResult, type Context, EMBEDDED_DURABILITY, pairedRow, plainRow } from '../kit/bar.ts';
import { fdatasyncTimes } from '../kit/disk.ts';
import { addToAudit, measure, newAudit } from '../kit/measure.ts';
import { pairs, type Scene } from '../kit/scene.ts';
import { SqliteFloor } from '../kit/sqlite-floor.ts';
import { connectUsers, stage } from '../kit/stage.ts';
import { median } from '../kit/stats.ts';

const USERS = 400;
const WINDOW = 8;
const TEXT_BYTES = 24;
const LATENCY_RATE = 1_000;
const FLOOR_BATCH = 256;
const ENOUGH_PER_SECOND = 25_000;
const SCENE: Scene = { name: 'pairs', users: USERS, convs: pairs(USERS) };

async function run(context: Context): Promise<BarResult> {
  const { quick, repeats, say } = context;
  const subject = await stage(context.subject, { scene: SCENE, loads: 2, allCores: true, say });
  const sqlite = await SqliteFloor.start(null);
  await connectUsers(subject, 0, USERS);
  const sources = SCENE.convs.flatMap((_, conv) => [subject.source(conv, 0), subject.source(conv, 1)]);
  const timing = quick ? { warmMs: 300, windowMs: 1_500 } : { warmMs: 2_000, windowMs: 10_000 };
  const figures = { perSecond: [], floor: [], cpu: [], p50: [], p99: [], sync: [] } as Record<string, number[]> &
    Figures;
  let loadCpu = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const flatOut = await sqlite.flatOut(FLOOR_BATCH, timing.windowMs / 2);
    figures.floor.push(flatOut.rows / flatOut.seconds);
    const full = await measure(subject, { kind: 'closed', window: WINDOW, textBytes: TEXT_BYTES, sources }, timing);
    figures.perSecond.push(full.acked / full.seconds);
    figures.cpu.push(full.cpuUs / full.acked);
    say(
      `${Math.round(full.acked / full.seconds)} acknowledged/s, ${Math.round(full.delivered / full.seconds)} delivered/s`,
    );
    const syncBefore = fdatasyncTimes(200);
    const calm = await measure(subject, { kind: 'open', rate: LATENCY_RATE, textBytes: TEXT_BYTES, sources }, timing);
    figures.sync.push(median([...syncBefore, ...fdatasyncTimes(200)]));
    figures.p50.push(calm.latencies.ack.quantile(0.5));
    figures.p99.push(calm.latencies.ack.quantile(0.99));
    say(
      `at ${LATENCY_RATE}/s: p99 ${Math.round(calm.latencies.ack.quantile(0.99))} µs, fdatasync ${Math.round(figures.sync.at(-1) ?? 0)} µs`,
    );
    loadCpu = Math.max(loadCpu, full.loadCpu / 2);
  }
  const audit = newAudit();
  addToAudit(audit, await subject.load.settle());
  await subject.stop();
  await sqlite.stop();
  return { rows: rowsOf(figures), audit, loadCpu, durability: EMBEDDED_DURABILITY };
}

interface Figures {
  readonly perSecond: number[];
  readonly floor: number[];
  readonly cpu: number[];
  readonly p50: number[];
  readonly p99: number[];
  readonly sync: number[];
}

function rowsOf({ perSecond, floor, cpu, p50, p99, sync }: Figures) {
  const allowedMs = 3 * median(sync) + 2_000;
  return [
    pairedRow({
      what: `acknowledged/s, delivered to 2, server and clients on all cores (F5: rows/s, ${FLOOR_BATCH} a commit)`,
      unit: '/s',
      floorName: 'F5',
      floors: floor,
      servers: perSecond,
      limit: '≥ 25 k/s',
      isMet: () => median(perSecond) >= ENOUGH_PER_SECOND,
    }),
    plainRow({ what: 'CPU per acknowledged message and its two deliveries, at capacity', unit: 'µs', servers: cpu }),
    pairedRow({
      what: `acknowledgement p99 at ${LATENCY_RATE}/s (floor: one fdatasync)`,
      unit: 'µs',
      floorName: 'disk',
      floors: sync,
      servers: p99,
      limit: '≤ 3 × + 2 ms',
      isMet: () => median(p99) <= allowedMs,
    }),
    plainRow({ what: `acknowledgement p50 at ${LATENCY_RATE}/s`, unit: 'µs', servers: p50 }),
  ];
}

export const p4: Bar = { id: 'P4', title: 'durable acknowledged messages, embedded', fullSeconds: 150, run };
