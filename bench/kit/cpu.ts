// CPU time of a process from /proc: nanoseconds by thread where the kernel keeps them (schedstat), else clock ticks
// of 10 ms (stat). Always a difference of two marks. And what a hypervisor gave to others meanwhile.
import { readdirSync, readFileSync } from 'node:fs';

const TICK_US = 10_000;

export interface CpuMark {
  readonly threadsUs: ReadonlyMap<string, number>;
  readonly ticksUs: number;
}

export function markCpu(pid: number): CpuMark {
  return { threadsUs: threadsUs(pid), ticksUs: ticksUs(pid) };
}

/** User and system time of all threads between two marks, in microseconds. */
export function cpuBetween(before: CpuMark, after: CpuMark): number {
  const threadEnded = [...before.threadsUs.keys()].some((thread) => !after.threadsUs.has(thread));
  if (threadEnded || sum(after) === 0) return after.ticksUs - before.ticksUs;
  return sum(after) - sum(before);
}

function sum(mark: CpuMark): number {
  let total = 0;
  for (const us of mark.threadsUs.values()) total += us;
  return total;
}

function threadsUs(pid: number): Map<string, number> {
  const threads = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readOrEmpty(`/proc/${pid}/task/${thread}/schedstat`);
    if (text !== '') threads.set(thread, Number(text.split(' ')[0]) / 1_000);
  }
  return threads;
}

function ticksUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

export interface ThreadShare {
  readonly name: string;
  /** Of a core. */
  readonly share: number;
}

/** Which threads used how much between two marks, threads of one name added up, the busiest first. */
export function threadShares(pid: number, before: CpuMark, after: CpuMark, seconds: number): ThreadShare[] {
  const shares = new Map<string, number>();
  for (const [thread, us] of after.threadsUs) {
    const name = readOrEmpty(`/proc/${pid}/task/${thread}/comm`).trim();
    shares.set(name, (shares.get(name) ?? 0) + (us - (before.threadsUs.get(thread) ?? 0)) / seconds / 1e6);
  }
  return [...shares]
    .map(([name, share]) => ({ name, share }))
    .filter(({ share }) => share >= 0.005)
    .sort((a, b) => b.share - a.share);
}

/** A thread may end between the listing and the reading. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** What others on the same hardware took from this machine's cores since it started (proc_stat(5): user first, steal eighth). */
export interface StealMark {
  readonly ticks: number;
  readonly stolen: number;
}

export function markSteal(): StealMark {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { ticks: ticks.reduce((sum, value) => sum + value, 0), stolen: ticks[7] ?? 0 };
}

/** Share of all cores' time. */
export function stolenSince({ ticks, stolen }: StealMark): number {
  const now = markSteal();
  return (now.stolen - stolen) / Math.max(1, now.ticks - ticks);
}

/** Resident set, bytes. */
export function residentBytes(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) * 1_024;
}
