// What many schedules come to: sums, by mode and by kind of fault. Plain data, so that the parts of a long run can be kept
// and added up.
import { MODES, type Mode } from './schedule.ts';
import type { Trial } from './trial.ts';

export interface Found {
  readonly mode: Mode;
  readonly seed: number;
  readonly texts: readonly string[];
}

export interface ModeTally {
  schedules: number;
  operations: number;
  acknowledged: number;
  /** Writes that were made and whose first answer was lost. */
  answersLost: number;
  longestRecoveryMs: number;
  readonly faults: Record<string, number>;
}

export interface Tally {
  readonly embedded: ModeTally;
  readonly cluster: ModeTally;
  readonly findings: Found[];
}

export function noTally(): Tally {
  return { embedded: nothing(), cluster: nothing(), findings: [] };
}

function nothing(): ModeTally {
  return { schedules: 0, operations: 0, acknowledged: 0, answersLost: 0, longestRecoveryMs: 0, faults: {} };
}

export function count(tally: Tally, trial: Trial): void {
  const { mode, seed } = trial.schedule;
  add(tally[mode], { ...trial, schedules: 1, longestRecoveryMs: trial.recoveryMs });
  if (trial.findings.length > 0) tally.findings.push({ mode, seed, texts: trial.findings });
}

export function add(sum: ModeTally, more: Readonly<ModeTally>): void {
  sum.schedules += more.schedules;
  sum.operations += more.operations;
  sum.acknowledged += more.acknowledged;
  sum.answersLost += more.answersLost;
  sum.longestRecoveryMs = Math.max(sum.longestRecoveryMs, more.longestRecoveryMs);
  for (const [what, times] of Object.entries(more.faults)) sum.faults[what] = (sum.faults[what] ?? 0) + times;
}

export function addTally(sum: Tally, more: Tally): void {
  for (const mode of MODES) add(sum[mode], more[mode]);
  sum.findings.push(...more.findings);
}

const NUMBER = new Intl.NumberFormat('en');
export const number = (value: number) => NUMBER.format(value);

export function faultsOf({ faults }: ModeTally): number {
  return Object.values(faults).reduce((sum, times) => sum + times, 0);
}

/** The sums, in lines to be read. */
export function told(tally: Tally): readonly string[] {
  const lines = MODES.flatMap((mode) => {
    const sums = tally[mode];
    if (sums.schedules === 0) return [];
    const { schedules, operations, acknowledged, answersLost, longestRecoveryMs, faults } = sums;
    const kinds = Object.entries(faults).sort(([, one], [, other]) => other - one);
    return [
      `${mode}: ${number(schedules)} schedules, ${number(operations)} operations, ${number(acknowledged)} acknowledged writes, ` +
        `${number(answersLost)} of them made and their answer lost`,
      `  ${number(faultsOf(sums))} faults: ${kinds.map(([what, times]) => `${number(times)} ${what}`).join(', ')}`,
      `  from the last mend until every client had an answer: ${longestRecoveryMs} ms at most`,
    ];
  });
  return [...lines, `${tally.findings.length} schedules with findings`];
}
