// P15: what a connection costs until it is ready: upgrade, hello with a token, five conversations told. The same number at
// the same rate everywhere; CPU from the first to the last of them, what the idle program uses taken off.
import { setTimeout as delay } from 'node:timers/promises';
import { type Bar, type BarResult, type Context, pairedRow, plainRow, type Row } from '../kit/bar.ts';
import { cpuBetween, markCpu } from '../kit/cpu.ts';
import { measureIdle, newAudit } from '../kit/measure.ts';
import { CONVS_PER_USER, fiveRoomsEach } from '../kit/scene.ts';
import { connectUsers, type Stage, type SubjectName, stage } from '../kit/stage.ts';

const IDLE_MS = 500;

/** Per connection, microseconds: of the subject, then of each process beside it. */
async function connectCost(each: Stage, users: number, perSecond: number): Promise<number[]> {
  const idleUs = await measureIdle(each, IDLE_MS);
  const pids = [each.child.pid, ...each.beside.map(({ pid }) => pid)];
  const before = pids.map(markCpu);
  const start = performance.now();
  await connectUsers(each, 0, users, { perSecond });
  const seconds = (performance.now() - start) / 1_000;
  const [own = 0, ...beside] = pids.map((pid, index) => cpuBetween(before[index] ?? markCpu(pid), markCpu(pid)));
  await each.load.disconnect();
  await delay(IDLE_MS);
  return [(own - idleUs * seconds) / users, ...beside.map((us) => us / users)];
}

async function run(context: Context): Promise<BarResult> {
  const { quick, repeats, say } = context;
  const [users, perSecond] = quick ? [400, 200] : [4_000, 500];
  const names: readonly SubjectName[] = ['F2', context.subject, 'Socket.IO', 'cluster'];
  const scene = fiveRoomsEach('connect', users);
  const stages: Stage[] = [];
  for (const name of names) stages.push(await stage(name, { scene, say }));
  // The first time code is compiled and caches are filled.
  for (const each of stages) await connectCost(each, users, perSecond);
  const costs = names.map((): number[] => []);
  const beside: number[][] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [side, each] of stages.entries()) {
      const [own = Number.NaN, ...others] = await connectCost(each, users, perSecond);
      costs[side]?.push(own);
      for (const [index, us] of others.entries()) beside[index] = [...(beside[index] ?? []), us];
    }
    say(`µs a connection: ${names.map((name, side) => `${name} ${Math.round(costs[side]?.at(-1) ?? 0)}`).join(', ')}`);
  }
  const besideNames = stages.at(-1)?.beside.map(({ name }) => name) ?? [];
  for (const each of stages) await each.stop();
  const rows = rowsOf(perSecond, costs, besideNames, beside);
  return { rows, audit: newAudit(), loadCpu: 0, durability: '' };
}

/** @param costs in the order the stages were named; `beside` those of the processes beside the cluster's node */
function rowsOf(
  perSecond: number,
  costs: readonly (readonly number[])[],
  besideNames: readonly string[],
  beside: readonly (readonly number[])[],
): Row[] {
  const [floor = [], server = [], socketIo = [], cluster = []] = costs;
  const what = `CPU per connection with ${CONVS_PER_USER} conversations until ready, ${perSecond}/s`;
  return [
    pairedRow({
      what,
      unit: 'µs',
      floorName: 'F2',
      floors: floor,
      servers: server,
      limit: '≤ 2 ×',
      isMet: (ratio) => ratio <= 2,
    }),
    pairedRow({
      what,
      unit: 'µs',
      floorName: 'Socket.IO',
      floors: socketIo,
      servers: server,
      limit: '≤ 0.5 ×',
      isMet: (ratio) => ratio <= 0.5,
    }),
    pairedRow({ what: `${what}, a node of a cluster`, unit: 'µs', floorName: 'F2', floors: floor, servers: cluster }),
    ...besideNames.map((name, index) =>
      plainRow({
        what: `CPU of ${name} per connection, a node of a cluster`,
        unit: 'µs',
        servers: beside[index] ?? [],
      }),
    ),
  ];
}

export const p15: Bar = { id: 'P15', title: 'a connection until it is ready', fullSeconds: 300, run };
