// P7: a delivery costs the same in a room of 100 and of 10,000; two people in another conversation hardly notice that a
// huge room is busy. Their connections live in a generator process of their own, so that only the server delays them.
import { setTimeout as delay } from 'node:timers/promises';
import { type Bar, type BarResult, type Context, EMBEDDED_DURABILITY, pairedRow, type Row } from '../kit/bar.ts';
import { addToAudit, measure, newAudit } from '../kit/measure.ts';
import { startLoad } from '../kit/programs.ts';
import { rooms, type Scene, scatteredRooms } from '../kit/scene.ts';
import { connectUsers, type Stage, stage } from '../kit/stage.ts';
import { median } from '../kit/stats.ts';

const DELIVERIES_PER_SECOND = 20_000;
const PAIR_RATE = 100;
const TEXT_BYTES = 24;
/** The size all others are compared with. */
const BASE = 100;
/** Longest turn of the event loop a slice of a large room may take. */
const SLICE_US = 5_000;

function sceneOf(users: number, sizes: readonly number[]): Scene {
  const convs = sizes.flatMap((size) => (size === users ? rooms(users, size) : scatteredRooms(users, size, 7)));
  return {
    name: `flat-${users}`,
    users: users + 2,
    convs: [...convs, { kind: 'direct', members: [users, users + 1] }],
  };
}

function busyLoop(each: Stage, scene: Scene, size: number) {
  const sources = scene.convs.flatMap(({ members }, conv) => (members.length === size ? [each.source(conv)] : []));
  return { kind: 'open', rate: DELIVERIES_PER_SECOND / size, textBytes: TEXT_BYTES, sources } as const;
}

async function run(context: Context): Promise<BarResult> {
  const { quick, repeats, say } = context;
  const sizes = quick ? [10, 100, 1_000] : [10, 100, 1_000, 10_000];
  const users = sizes.at(-1) ?? BASE;
  const scene = sceneOf(users, sizes);
  const each = await stage(context.subject, { scene, backgroundLoad: true, say });
  await connectUsers(each, 0, users);
  const pair = await startPair(each, scene, users);
  const timing = quick ? { warmMs: 300, windowMs: 1_000 } : { warmMs: 2_000, windowMs: 6_000 };
  const costs = new Map<number, number[]>(sizes.map((size) => [size, []]));
  const calm: number[] = [];
  const busy: number[] = [];
  let loadCpu = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const size of sizes) {
      const cell = await measure(each, busyLoop(each, scene, size), timing);
      costs.get(size)?.push(cell.cpuUs / cell.delivered);
      loadCpu = Math.max(loadCpu, cell.loadCpu);
      say(`${size} members: ${(cell.cpuUs / cell.delivered).toFixed(2)} µs a delivery`);
    }
    calm.push(await pair.p99(timing.windowMs));
    await each.load.begin(busyLoop(each, scene, users));
    busy.push(await pair.p99(timing.windowMs));
    await each.load.settle();
    say(`pair: p99 ${Math.round(calm.at(-1) ?? 0)} µs, while ${users} are busy ${Math.round(busy.at(-1) ?? 0)} µs`);
  }
  const audit = newAudit();
  for (const load of [each.load, pair.load]) addToAudit(audit, await load.settle());
  await pair.load.close();
  await each.stop();
  const rows = [
    ...sizes.filter((size) => size !== BASE).map((size) => sizeRow(size, costs)),
    pairRow(users, calm, busy),
  ];
  return { rows, audit, loadCpu, durability: EMBEDDED_DURABILITY };
}

/** Two people who write to each other at a steady, low rate. */
async function startPair(each: Stage, scene: Scene, users: number) {
  const load = startLoad();
  await load.connect(each.ports, [each.token(users), each.token(users + 1)]);
  const { conv } = each.source(scene.convs.length - 1);
  const sources = [0, 1].map((client) => ({ client, conv }));
  return {
    load,
    p99: async (ms: number) => {
      await load.begin({ kind: 'open', rate: PAIR_RATE, textBytes: TEXT_BYTES, sources });
      await delay(500);
      await load.takeLatencies();
      await delay(ms);
      const { delivery } = await load.takeLatencies();
      await load.settle();
      return delivery.quantile(0.99);
    },
  };
}

function sizeRow(size: number, costs: ReadonlyMap<number, readonly number[]>): Row {
  const judged = size > BASE;
  return pairedRow({
    what: `CPU per delivery, room of ${size} against rooms of ${BASE}`,
    unit: 'µs',
    floorName: `${BASE}`,
    floors: costs.get(BASE) ?? [],
    servers: costs.get(size) ?? [],
    ...(judged ? { limit: '± 20 %', isMet: (ratio: number) => ratio >= 0.8 && ratio <= 1.2 } : {}),
  });
}

function pairRow(users: number, calm: readonly number[], busy: readonly number[]): Row {
  return pairedRow({
    what: `p99 of an unrelated pair while a room of ${users} is busy`,
    unit: 'µs',
    floorName: 'idle',
    floors: calm,
    servers: busy,
    limit: `≤ 2 × + ${SLICE_US / 1_000} ms`,
    isMet: () => median(busy) <= 2 * median(calm) + SLICE_US,
  });
}

export const p7: Bar = { id: 'P7', title: 'flatness of the fan-out', fullSeconds: 260, run };
