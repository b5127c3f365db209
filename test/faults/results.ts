// Keeps what runs have come to: each adds a line to results.jsonl, and RESULTS.md is written anew from all of them.
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { MATRIX } from './matrix.ts';
import { MODES } from './schedule.ts';
import { addTally, faultsOf, noTally, number, type Tally } from './tally.ts';

/** What the files of a row came to. */
export interface RowResult {
  readonly passed: number;
  readonly failed: number;
}

export interface Part {
  readonly date: string;
  /** Of the sources, with a plus where they had been changed since. */
  readonly commit: string;
  readonly command: string;
  readonly machine: string;
  readonly minutes: number;
  readonly rows: Readonly<Record<string, RowResult>>;
  readonly tally: Tally;
}

const PARTS_FILE = join(import.meta.dirname, 'results.jsonl');
const PAGE_FILE = join(import.meta.dirname, 'RESULTS.md');

export function partOf(minutes: number, rows: Part['rows'], tally: Tally): Part {
  const { argv, version, arch } = process;
  const command = ['npm run faults', ...(argv.length > 2 ? ['--', ...argv.slice(2)] : [])].join(' ');
  const machine = `${availableParallelism()} cores ${arch}, Node ${version}`;
  return { date: new Date().toISOString(), commit: commit(), command, machine, minutes, rows, tally };
}

function commit(): string {
  const git = (...words: readonly string[]) =>
    execFileSync('git', words, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  try {
    const isChanged = git('status', '--porcelain', '--', '../../src') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${isChanged ? '+' : ''}`;
  } catch {
    return 'unknown';
  }
}

export function keep(part: Part): string {
  appendFileSync(PARTS_FILE, `${JSON.stringify(part)}\n`);
  writeFileSync(PAGE_FILE, page(kept()));
  return PAGE_FILE;
}

function kept(): readonly Part[] {
  if (!existsSync(PARTS_FILE)) return [];
  const lines = readFileSync(PARTS_FILE, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Part);
}

function page(parts: readonly Part[]): string {
  const sum = noTally();
  for (const { tally } of parts) addTally(sum, tally);
  return [
    '# What `npm run faults` has found',
    'Written by `npm run faults -- --keep`, from the lines of results.jsonl beside it; not by hand.',
    '## Randomized schedules, all runs together',
    table(
      ['', 'schedules', 'operations', 'acknowledged writes', 'made, answer lost', 'faults', 'longest recovery'],
      [
        ...MODES.map((mode) => {
          const sums = sum[mode];
          const { schedules, operations, acknowledged, answersLost, longestRecoveryMs } = sums;
          const numbers = [schedules, operations, acknowledged, answersLost, faultsOf(sums)];
          return [mode, ...numbers.map(number), `${number(longestRecoveryMs)} ms`];
        }),
      ],
    ),
    table(['fault', ...MODES], kindsOf(sum)),
    `${sum.findings.length} schedules with findings; what became of them: [findings.md](findings.md).`,
    ...sum.findings.map(({ mode, seed, texts }) => `- ${mode} ${seed}: ${texts[0]?.slice(0, 200)}`),
    '## The matrix',
    table(
      ['', 'fault', 'last run', 'asserts'],
      MATRIX.map(({ fault, what }) => [fault, what, ...lastOf(parts, fault)]),
    ),
    '## The runs',
    table(
      ['date', 'commit', 'command', 'minutes', 'schedules', 'with findings', 'machine'],
      parts.map(({ date, commit, command, minutes, tally, machine }) => [
        date.slice(0, 16),
        commit,
        `\`${command}\``,
        String(minutes),
        number(tally.embedded.schedules + tally.cluster.schedules),
        String(tally.findings.length),
        machine,
      ]),
    ),
    '',
  ].join('\n\n');
}

function kindsOf({ embedded, cluster }: Tally): readonly (readonly string[])[] {
  const kinds = [...new Set([...Object.keys(embedded.faults), ...Object.keys(cluster.faults)])].sort();
  return kinds.map((kind) => [kind, number(embedded.faults[kind] ?? 0), number(cluster.faults[kind] ?? 0)]);
}

function lastOf(parts: readonly Part[], fault: string): readonly [run: string, asserts: string] {
  const last = parts.findLast(({ rows }) => fault in rows);
  const row = last?.rows[fault];
  if (last === undefined || row === undefined) return ['', ''];
  const failed = row.failed > 0 ? `, ${number(row.failed)} failed` : '';
  return [`${last.date.slice(0, 10)}, ${last.commit}`, `${number(row.passed)} passed${failed}`];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
