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

const LEGEND = [
  '*Made, answer lost*: written, but its sender never heard. *deaf*: a client stops reading. *hang up*: a client goes without a word.',
  '*freeze*: SIGSTOP, later SIGCONT. *lock store*: another program holds the file. *far*: every packet is late. *slices*: a byte at a time.',
  'A run that is broken off keeps the schedules that had ended.',
].join('\n');

function page(parts: readonly Part[]): string {
  const sum = noTally();
  for (const { tally } of parts) addTally(sum, tally);
  return [
    '# What `npm run faults` has found',
    'Written by `npm run faults -- --keep`, from the lines of results.jsonl beside it; not by hand.',
    '## Randomized schedules, all kept runs together',
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
    LEGEND,
    `Every schedule ends with the checks of [findings.md](findings.md). ${sum.findings.length} have findings; that page says what became of them.`,
    ...sum.findings.map(({ mode, seed, texts }) => `- ${mode} ${seed}: ${brief(texts[0] ?? '')}`),
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

const MOST_TOLD = 120;

/** Without folders of one machine. */
function brief(text: string): string {
  const told = text.replaceAll(/'\/\S*\//g, "'");
  return told.length <= MOST_TOLD ? told : told.slice(0, told.lastIndexOf(' ', MOST_TOLD));
}

function kindsOf({ embedded, cluster }: Tally): readonly (readonly string[])[] {
  const kinds = [...new Set([...Object.keys(embedded.faults), ...Object.keys(cluster.faults)])].sort();
  return kinds.map((kind) => [kind, number(embedded.faults[kind] ?? 0), number(cluster.faults[kind] ?? 0)]);
}

function lastOf(parts: readonly Part[], fault: string): readonly [run: string, asserts: string] {
  const comesWith = MATRIX.find((row) => row.fault === fault)?.comesWith;
  if (comesWith !== undefined) return [`comes with ${comesWith}`, ''];
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
