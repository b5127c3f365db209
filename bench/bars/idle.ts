// P5 and P6: what a connection costs that does nothing: resident memory after a full collection, as a slope between two
// numbers of connections, and CPU with heartbeats. Everyone is another person, a member of five rooms.

import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Bar, type BarResult, type Context, pairedRow } from '../kit/bar.ts';
import { cpuBetween, markCpu, residentBytes } from '../kit/cpu.ts';
import { collectGarbage } from '../kit/gc.ts';
import { addToAudit, newAudit } from '../kit/measure.ts';
import { CONV_SIZE, CONVS_PER_USER, fiveRoomsEach } from '../kit/scene.ts';
import { connectUsers, type Stage, type SubjectName, stage } from '../kit/stage.ts';
import { median } from '../kit/stats.ts';

const HEARTBEAT_MS = 25_000;
/** Descriptors a process needs beside its connections. */
const OTHER_FILES = 500;

/** Rounded down to whole rooms, below the process' limit of open files. */
function withinLimits(connections: number): number {
  const limit = /Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const most = Math.min(connections, Number(limit ?? 1_024) - OTHER_FILES);
  return Math.floor(most / CONV_SIZE) * CONV_SIZE;
}

async function restingBytes(stage: Stage, quick: boolean): Promise<number> {
  await delay(quick ? 500 : 2_000);
  await collectGarbage(stage.child);
  await delay(quick ? 300 : 1_000);
  return residentBytes(stage.child.pid);
}

async function memoryPerConnection(subject: SubjectName, few: number, many: number, context: Context): Promise<number> {
  const each = await stage(subject, { scene: fiveRoomsEach('idle', many), loads: 2, bare: true, say: context.say });
  await connectUsers(each, 0, few);
  const before = await restingBytes(each, context.quick);
  context.say(`${each.name}: ${few} connections, ${Math.round(before / 2 ** 20)} MB`);
  await connectUsers(each, few, many);
  const after = await restingBytes(each, context.quick);
  const perConnection = (after - before) / (many - few) / 1_024;
  context.say(
    `${each.name}: ${many} connections, ${Math.round(after / 2 ** 20)} MB, ${perConnection.toFixed(2)} kB each`,
  );
  const { dropped } = await each.load.counts();
  await each.stop();
  if (dropped > 0) throw new Error(`${each.name} dropped ${dropped} connections`);
  return perConnection;
}

async function runP5(context: Context): Promise<BarResult> {
  const [few, many] = context.quick ? [1_000, 3_000] : [10_000, withinLimits(19_500)];
  const floors: number[] = [];
  const servers: number[] = [];
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    floors.push(await memoryPerConnection('F2', few, many, context));
    servers.push(await memoryPerConnection(context.subject, few, many, context));
  }
  const row = pairedRow({
    what: `RSS per idle connection with ${CONVS_PER_USER} conversations, slope ${few} → ${many}, after GC`,
    unit: 'kB',
    floorName: 'F2',
    floors,
    servers,
    limit: '≤ 8 kB',
    isMet: () => median(servers) <= 8,
  });
  return { rows: [row], audit: newAudit(), loadCpu: 0, durability: '' };
}

async function idleCpu(stages: readonly Stage[], ms: number): Promise<number[]> {
  const before = stages.map(({ child }) => markCpu(child.pid));
  await delay(ms);
  return stages.map(
    ({ child }, index) => (cpuBetween(before[index] ?? markCpu(child.pid), markCpu(child.pid)) / ms) * 1_000,
  );
}

/** Floor and server are watched in the same windows, each of one whole heartbeat. */
async function runP6(context: Context): Promise<BarResult> {
  const { say, quick, repeats } = context;
  const users = quick ? 2_000 : 5_000;
  const scene = fiveRoomsEach('idle', users);
  const stages = [await stage('F2', { scene, bare: true, say }), await stage(context.subject, { scene, say })] as const;
  await delay(1_000);
  const empty = await idleCpu(stages, quick ? 2_000 : HEARTBEAT_MS);
  for (const each of stages) await connectUsers(each, 0, users);
  await delay(quick ? 1_000 : 5_000);
  const figures: [number[], number[]] = [[], []];
  for (let window = 0; window < (quick ? 1 : repeats); window++) {
    const busy = await idleCpu(stages, HEARTBEAT_MS);
    for (const side of [0, 1] as const) figures[side].push(((busy[side] ?? 0) - (empty[side] ?? 0)) / users);
    say(`window ${window + 1}: ${figures.map((list) => list.at(-1)?.toFixed(2)).join(' and ')} µs/s a connection`);
  }
  const audit = newAudit();
  for (const each of stages) {
    addToAudit(audit, await each.load.counts());
    await each.stop();
  }
  const row = pairedRow({
    what: `idle CPU per connection, heartbeats of 25 s, ${users} connections`,
    unit: 'µs/s',
    floorName: 'F2',
    floors: figures[0],
    servers: figures[1],
    limit: '≤ 1.2 ×',
    isMet: (ratio) => ratio <= 1.2,
  });
  return { rows: [row], audit, loadCpu: 0, durability: '' };
}

export const p5: Bar = { id: 'P5', title: 'memory of an idle connection', fullSeconds: 400, run: runP5 };
export const p6: Bar = { id: 'P6', title: 'CPU of an idle connection', fullSeconds: 190, run: runP6 };
