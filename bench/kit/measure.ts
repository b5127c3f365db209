// One cell of a measurement: a load held for a while, CPU of the subject and the generator's counts taken at both ends of
// a steady window. What the counts say about losses is kept with the figures.
import { setTimeout as delay } from 'node:timers/promises';
import { type CpuMark, cpuBetween, markCpu, type ThreadShare, threadShares } from './cpu.ts';
import type { LatencyView, LoopSpec, Totals } from './load.ts';
import type { Stage } from './stage.ts';

const QUIET_LOOK_MS = 50;
/** Of a core. */
const QUIET_SHARE = 0.05;
const QUIET_WITHIN_MS = 10_000;

export interface Cell {
  readonly seconds: number;
  /** Of the subject, all its threads. */
  readonly cpuUs: number;
  readonly delivered: number;
  readonly acked: number;
  readonly pages: number;
  readonly latencies: LatencyView;
  /** Of the subject; shares of a core. */
  readonly threads: readonly ThreadShare[];
  /** CPU of the processes beside the subject, by name, microseconds. */
  readonly besideUs: Readonly<Record<string, number>>;
  /** Share of a core. */
  readonly loadCpu: number;
}

export interface Timing {
  readonly warmMs: number;
  readonly windowMs: number;
}

export async function measure(stage: Stage, loop: LoopSpec, { warmMs, windowMs }: Timing): Promise<Cell> {
  const { load, child } = stage;
  await quiet(child.pid);
  await load.begin(loop);
  await delay(warmMs);
  await load.takeLatencies();
  const before = await look(stage);
  await delay(windowMs);
  const after = await look(stage);
  const latencies = await load.takeLatencies();
  await load.settle();
  const seconds = (after.atMs - before.atMs) / 1_000;
  const cpuUs = cpuBetween(before.cpu, after.cpu);
  if (after.counts.dropped > 0) throw new Error(`${stage.name} dropped connections:\n${child.errors}`);
  return {
    seconds,
    cpuUs,
    delivered: after.counts.delivered - before.counts.delivered,
    acked: after.counts.acked - before.counts.acked,
    pages: after.counts.pages - before.counts.pages,
    latencies,
    threads: threadShares(child.pid, before.cpu, after.cpu, seconds),
    besideUs: Object.fromEntries(
      stage.beside.map(({ name }, index) => [
        name,
        cpuBetween(before.beside[index] as CpuMark, after.beside[index] as CpuMark),
      ]),
    ),
    loadCpu: (after.counts.cpuUs - before.counts.cpuUs) / seconds / 1e6,
  };
}

/** CPU a second of a subject nothing is asked of, microseconds. */
export async function measureIdle({ child: { pid } }: Stage, windowMs: number): Promise<number> {
  await quiet(pid);
  const start = performance.now();
  const before = markCpu(pid);
  await delay(windowMs);
  return (cpuBetween(before, markCpu(pid)) / (performance.now() - start)) * 1_000;
}

/** What the last load left behind (the store catching up with the log) is not charged to the next. */
async function quiet(pid: number): Promise<void> {
  const end = performance.now() + QUIET_WITHIN_MS;
  for (let before = markCpu(pid); performance.now() < end; ) {
    await delay(QUIET_LOOK_MS);
    const now = markCpu(pid);
    if (cpuBetween(before, now) < QUIET_LOOK_MS * 1_000 * QUIET_SHARE) return;
    before = now;
  }
}

async function look(stage: Stage) {
  const counts = await stage.load.counts();
  const beside = stage.beside.map(({ pid }) => markCpu(pid));
  return { counts, cpu: markCpu(stage.child.pid), beside, atMs: performance.now() };
}

/** What the generators counted over a whole bar; everything but the first two has to be 0. */
export interface Audit {
  delivered: number;
  ephemeral: number;
  lost: number;
  repeated: number;
  reordered: number;
  refused: number;
  dropped: number;
}

export function newAudit(): Audit {
  return { delivered: 0, ephemeral: 0, lost: 0, repeated: 0, reordered: 0, refused: 0, dropped: 0 };
}

export function addToAudit(audit: Audit, totals: Totals): void {
  for (const name of Object.keys(audit) as (keyof Audit)[]) audit[name] += totals[name];
}

export function isClean({ lost, repeated, reordered, refused, dropped }: Audit): boolean {
  return lost + repeated + reordered + refused + dropped === 0;
}
