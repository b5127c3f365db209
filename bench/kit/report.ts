// The table on the terminal, bench/results.json (the last result of each bar) and bench/RESULTS.md made from it together
// with the notes people write (bench/notes/P*.md). A quick run never replaces a full one.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { BarResult, Row } from './bar.ts';
import { fdatasyncTimes, fileSystem } from './disk.ts';
import { isClean } from './measure.ts';
import { median } from './stats.ts';

const ROOT = new URL('../../', import.meta.url);
const JSON_FILE = fileURLToPath(new URL('bench/results.json', ROOT));
const PAGE_FILE = fileURLToPath(new URL('bench/RESULTS.md', ROOT));

export interface Environment {
  readonly commit: string;
  readonly versions: string;
  readonly machine: string;
  readonly disk: string;
  /** Who else was busy when the bench began: more than about 0.3 means noise. */
  readonly load: string;
}

/** The last result of a bar, with where it was taken. */
export interface Kept extends BarResult {
  readonly bar: string;
  readonly title: string;
  readonly quick: boolean;
  readonly repeats: number;
  readonly date: string;
  /** Of the machine's time during the run, what its hypervisor gave to others; not of older results. */
  readonly stolen?: number;
  readonly environment: Environment;
}

export function describeEnvironment(): Environment {
  const { node = '', sqlite = '' } = process.versions;
  const versions = [
    `Node ${node}`,
    `SQLite ${sqlite}`,
    ...['ws', 'fastify'].map((name) => `${name} ${versionOf(name)}`),
  ];
  const cores = availableParallelism();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return {
    commit: commit(),
    versions: versions.join(', '),
    machine: `${cores} cores ${cpus()[0]?.model.trim() ?? ''}, ${gigabytes} GB, Linux ${release()}`,
    disk: `${fileSystem()}, one fdatasync of 4 kB ${Math.round(median(fdatasyncTimes(300)))} µs`,
    load: `load average ${loadavg()[0]?.toFixed(1)} at the start`,
  };
}

function versionOf(name: string): string {
  const manifest = readFileSync(new URL(`node_modules/${name}/package.json`, ROOT), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
    return (
      git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--', 'src') === '' ? '' : ' with changes')
    );
  } catch {
    return 'unknown';
  }
}

const HEADS = ['bar', 'what', 'floor', 'server', 'ratio', 'range', 'bar is', ''];

function cells({ bar, quick, audit }: Kept, row: Row): string[] {
  const floor = row.floor === null ? '' : `${row.floorName} ${figure(row.floor)} ${row.unit}`;
  return [
    bar,
    row.what,
    floor,
    `${figure(row.server)} ${row.unit}`,
    row.as === 'figure' ? '' : compared(row, row.compared),
    row.low === row.high ? '' : `${compared(row, row.low)} to ${compared(row, row.high)}`,
    row.limit,
    isClean(audit) ? `${verdict(row)}${quick && row.met !== null ? ' (quick)' : ''}` : 'INVALID',
  ];
}

function verdict({ met }: Row): string {
  if (met === null) return '';
  return met ? 'met' : 'MISSED';
}

function compared({ as, unit }: Row, value: number): string {
  if (as === 'excess') return `${value < 0 ? '' : '+'}${figure(value)} ${unit}`;
  return as === 'ratio' ? value.toFixed(2) : figure(value);
}

/** Three digits that mean something. */
function figure(value: number): string {
  const size = Math.abs(value);
  if (size >= 1_000) return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ');
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

export function table(results: readonly Kept[]): string {
  const lines = results.flatMap((result) => result.rows.map((row) => cells(result, row)));
  const widths = HEADS.map((head, column) => Math.max(head.length, ...lines.map((line) => line[column]?.length ?? 0)));
  const draw = (line: readonly string[]) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [draw(HEADS), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.map(draw)].join('\n');
}

/** What the generators counted, how busy they were, how durable it was; empty for bars without deliveries. */
export function auditLine({ bar, audit, loadCpu, durability }: Kept): string {
  const { delivered, ephemeral, ...faults } = audit;
  if (delivered === 0 && isClean(audit)) return '';
  const counts = Object.entries(faults).map(([name, count]) => `${count} ${name}`);
  const parts = [`${delivered} delivered, ${ephemeral} ephemeral, ${counts.join(', ')}`, durability];
  if (loadCpu > 0)
    parts.push(`generator at most ${Math.round(loadCpu * 100)} % of a core${loadCpu > 0.9 ? ': BOUND BY IT' : ''}`);
  return `${bar}: ${parts.filter((part) => part !== '').join('; ')}`;
}

/** Puts a result in place of an older one of its bar and writes both files. */
export function keep(result: Kept): void {
  const kept = new Map(readKept().map((older) => [older.bar, older]));
  const before = kept.get(result.bar);
  if (before === undefined || before.quick || !result.quick) kept.set(result.bar, result);
  const all = [...kept.values()].sort((a, b) => a.bar.localeCompare(b.bar, 'en', { numeric: true }));
  writeFileSync(JSON_FILE, `${JSON.stringify(all, null, 1)}\n`);
  writePage();
}

/** The page anew, of what is kept and what people have to say. */
export function writePage(): void {
  writeFileSync(PAGE_FILE, page(readKept()));
}

function readKept(): Kept[] {
  return existsSync(JSON_FILE) ? (JSON.parse(readFileSync(JSON_FILE, 'utf8')) as Kept[]) : [];
}

function page(results: readonly Kept[]): string {
  const notes = results.flatMap(({ bar }) => noteOf(bar));
  const runs = results.map((result) => `- ${runLine(result)}`);
  return `${[
    '# Results of the last runs',
    'Made by `npm run bench`; do not edit. How to read it: [README.md](README.md). What people have to say about a figure is in [notes](notes). Quick runs are an indication only.',
    table(results),
    '## Counted',
    results
      .map(auditLine)
      .filter(isSaid)
      .map((line) => `- ${line}`)
      .join('\n'),
    '## Where and how',
    runs.join('\n'),
    ...(notes.length > 0 ? ['## Notes', ...notes] : []),
  ].join('\n\n')}\n`;
}

function runLine({ bar, date, quick, repeats, stolen, environment }: Kept): string {
  const how = quick ? 'quick, an indication only' : `${repeats} repeats`;
  const noise = stolen === undefined ? '' : `; ${stolenText(stolen)}`;
  return `${bar}: ${date.slice(0, 16)}Z, ${how}, commit ${Object.values(environment).join('; ')}${noise}`;
}

/** Above a percent or two, tail latencies are the hypervisor's. */
export function stolenText(share: number): string {
  return `${(share * 100).toFixed(1)} % of the machine taken by others`;
}

export function isSaid(line: string): boolean {
  return line !== '';
}

function noteOf(bar: string): string[] {
  const file = new URL(`bench/notes/${bar}.md`, ROOT);
  return existsSync(file) ? [`**${bar}.** ${readFileSync(file, 'utf8').trim()}`] : [];
}
