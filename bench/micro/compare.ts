// Compares ways to do the same thing in one process: rounds of all ways interleaved, the median of each, and how it
// stands to the first. CPU time, so that a busy machine disturbs less.
import { median } from '../kit/stats.ts';

const ROUNDS = 9;
const ROUND_US = 60_000;

export type Way = () => unknown;

/** Keeps results alive, so that nothing is optimised away. */
let sink: unknown;

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function callsPerRound(way: Way): number {
  let calls = 1;
  for (;;) {
    const start = cpuUs();
    for (let call = 0; call < calls; call++) sink = way();
    const spent = cpuUs() - start;
    if (spent > ROUND_US / 4) return Math.ceil((calls * ROUND_US) / spent);
    calls *= 2;
  }
}

function nsPerCall(way: Way, calls: number): number {
  const start = cpuUs();
  for (let call = 0; call < calls; call++) sink = way();
  return ((cpuUs() - start) * 1_000) / calls;
}

/** @param units what one call does this many times of; the figures are per unit */
export function compare(title: string, ways: Readonly<Record<string, Way>>, units = 1): void {
  const names = Object.keys(ways);
  const calls = new Map(names.map((name) => [name, callsPerRound(ways[name] as Way)]));
  const times = new Map(names.map((name): [string, number[]] => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) times.get(name)?.push(nsPerCall(ways[name] as Way, calls.get(name) ?? 1) / units);
  }
  report(
    title,
    names.map((name) => [name, times.get(name) ?? []]),
  );
}

export function report(title: string, times: readonly (readonly [string, readonly number[]])[]): void {
  const base = median(times[0]?.[1] ?? []);
  process.stdout.write(`${title}\n`);
  for (const [name, values] of times) {
    const middle = median(values);
    const range = `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
    const ratio = (middle / base).toFixed(2);
    process.stdout.write(
      `  ${name.padEnd(44)} ${middle.toFixed(0).padStart(8)} ns  ${ratio.padStart(6)} ×  (${range})\n`,
    );
  }
}

/** For callers that must look at what came out. */
export function lastResult(): unknown {
  return sink;
}
