// P3: messages acknowledged once Redis has them on disk, each delivered to both sides of a direct conversation, one node;
// with nobody carrying the log into MongoDB, and with it. Every process has all cores. Each repeat has servers of its own:
// what is not carried stays in memory, the node's and Redis'.
import { type Bar, type BarResult, type Context, pairedRow, plainRow, type Row } from '../kit/bar.ts';
import { type Audit, addToAudit, type Cell, measure, newAudit, type Timing } from '../kit/measure.ts';
import { RedisFloor } from '../kit/redis-floor.ts';
import { pairs, type Scene } from '../kit/scene.ts';
import { redisBytes } from '../kit/services.ts';
import { ALL_ROLES, connectUsers, stageCluster, WITHOUT_PERSISTING } from '../kit/stage.ts';
import { median } from '../kit/stats.ts';

const USERS = 400;
const WINDOW = 8;
const TEXT_BYTES = 24;
const LOADS = 2;
const FLOOR_PARTS = 16;
const FLOOR_BATCH = 256;
const ENOUGH_PER_SECOND = 50_000;
const SCENE: Scene = { name: 'pairs', users: USERS, convs: pairs(USERS) };

interface Sample {
  readonly cell: Cell;
  /** That Redis' memory grew by, a message. */
  readonly redisBytes: number;
  readonly durability: string;
}

async function sampleOf(roles: string, timing: Timing, audit: Audit, { say }: Context): Promise<Sample> {
  const each = await stageCluster({ scene: SCENE, loads: LOADS, allCores: true, roles, say });
  await connectUsers(each, 0, USERS);
  const sources = SCENE.convs.flatMap((_, conv) => [each.source(conv, 0), each.source(conv, 1)]);
  const bytesBefore = await redisBytes(each.redis.url);
  const sentBefore = (await each.load.counts()).acked;
  const cell = await measure(each, { kind: 'closed', window: WINDOW, textBytes: TEXT_BYTES, sources }, timing);
  const bytes = (await redisBytes(each.redis.url)) - bytesBefore;
  const totals = await each.load.settle();
  addToAudit(audit, totals);
  await each.stop();
  return { cell, redisBytes: bytes / (totals.acked - sentBefore), durability: each.durability };
}

async function run(context: Context): Promise<BarResult> {
  const { quick, repeats, say } = context;
  const timing = quick ? { warmMs: 500, windowMs: 1_500 } : { warmMs: 2_000, windowMs: 6_000 };
  const floor = await RedisFloor.start({ format: 'packed', parts: FLOOR_PARTS, allCores: true });
  const audit = newAudit();
  const floors: number[] = [];
  const paused: Sample[] = [];
  const carried: Sample[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const flatOut = await floor.flatOut(FLOOR_BATCH, timing.windowMs / 2);
    floors.push(flatOut.rows / flatOut.seconds);
    paused.push(await sampleOf(WITHOUT_PERSISTING, timing, audit, context));
    say(`persisting paused: ${describe(paused.at(-1))}`);
    carried.push(await sampleOf(ALL_ROLES, timing, audit, context));
    say(`persisting: ${describe(carried.at(-1))}`);
  }
  await floor.stop();
  const rows = [...rowsOf('persisting paused', floors, paused), ...rowsOf('persisting', floors, carried)];
  const loadCpu = Math.max(...[...paused, ...carried].map(({ cell }) => cell.loadCpu / LOADS));
  return { rows, audit, loadCpu, durability: paused[0]?.durability ?? '' };
}

function describe(sample: Sample | undefined): string {
  if (sample === undefined) return '';
  const { acked, delivered, seconds } = sample.cell;
  const shares = Object.entries(sharesOf(sample)).map(([name, share]) => `${name} ${Math.round(share * 100)} %`);
  return `${Math.round(acked / seconds)} acknowledged/s, ${Math.round(delivered / seconds)} delivered/s (${shares.join(', ')})`;
}

/** Of a core, by process. */
function sharesOf({ cell: { cpuUs, besideUs, seconds, loadCpu } }: Sample): Record<string, number> {
  const beside = Object.entries(besideUs).map(([name, us]) => [name, us / seconds / 1e6]);
  return { node: cpuUs / seconds / 1e6, ...Object.fromEntries(beside), clients: loadCpu };
}

function rowsOf(how: string, floors: readonly number[], samples: readonly Sample[]): Row[] {
  const perSecond = samples.map(({ cell }) => cell.acked / cell.seconds);
  const isBar = how.endsWith('paused');
  const processes = Object.keys(sharesOf(samples[0] as Sample));
  return [
    pairedRow({
      what: `acknowledged/s, delivered to 2, ${how}, all on all cores (F4: script alone, rows/s, ${FLOOR_PARTS} × ${FLOOR_BATCH})`,
      unit: '/s',
      floorName: 'F4',
      floors,
      servers: perSecond,
      ...(isBar ? { limit: '≥ 50 k/s', isMet: () => median(perSecond) >= ENOUGH_PER_SECOND } : {}),
    }),
    ...processes.flatMap((name) => processRows(how, name, samples)),
    plainRow({
      what: `memory of Redis per message, ${how}`,
      unit: 'B',
      servers: samples.map((sample) => sample.redisBytes),
    }),
  ];
}

function processRows(how: string, name: string, samples: readonly Sample[]): Row[] {
  const shares = samples.map((sample) => sharesOf(sample)[name] ?? 0);
  const perMessage = samples.map(({ cell }, index) => ((shares[index] ?? 0) * 1e6 * cell.seconds) / cell.acked);
  return [
    plainRow({ what: `CPU of ${name} per message and its two deliveries, ${how}`, unit: 'µs', servers: perMessage }),
    plainRow({ what: `share of a core of ${name}, ${how}`, unit: '%', servers: shares.map((share) => share * 100) }),
  ];
}

export const p3: Bar = { id: 'P3', title: 'durable acknowledged messages, cluster', fullSeconds: 200, run };
