// The table on the terminal, bench/results.json (the last result of each bar) and bench/RESULTS.md made from it together
// with the notes people write (bench/notes/P*.md). A quick run never replaces a full one.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
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
}

/** The last result of a bar, with where it was taken. */
export interface Kept extends BarResult {
  readonly bar: string;
  readonly title: string;
  readonly quick: boolean;
  readonly repeats: number;
  readonly date: string;
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

function cells(bar: string, row: Row, clean: boolean): string[] {
  const floor = row.floor === null ? '' : `${row.floorName} ${figure(row.floor)} ${row.unit}`;
  return [
    bar,
    row.what,
    floor,
    `${figure(row.server)} ${row.unit}`,
    row.as === 'figure' ? '' : compared(row, row.compared),
    row.low === row.high ? '' : `${compared(row, row.low)} to ${compared(row, row.high)}`,
    row.limit,
    !clean ? 'INVALID' : row.met === null ? '' : row.met ? 'met' : 'MISSED',
  ];
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
  const lines = results.flatMap(({ bar, rows, audit }) => rows.map((row) => cells(bar, row, isClean(audit))));
  const widths = HEADS.map((head, column) => Math.max(head.length, ...lines.map((line) => line[column]?.length ?? 0)));
  const draw = (line: readonly string[]) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [draw(HEADS), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.map(draw)].join('\n');
}

export function auditLine({ bar, audit, loadCpu, durability }: Kept): string {
  const { delivered, ephemeral, lost, repeated, reordered, refused, dropped } = audit;
  const counts = `${delivered} delivered and ${ephemeral} ephemeral, ${lost} lost, ${repeated} repeated, ${reordered} reordered, ${refused} refused, ${dropped} dropped`;
  const load =
    loadCpu > 0
      ? `; generator at most ${Math.round(loadCpu * 100)} % of a core${loadCpu > 0.9 ? ' (BOUND BY IT)' : ''}`
      : '';
  return `${bar}: ${counts}${load}${durability === '' ? '' : `; ${durability}`}`;
}

/** Puts new results in place of older ones of the same bars and writes both files. */
export function keep(results: readonly Kept[]): void {
  const kept = new Map(readKept().map((result) => [result.bar, result]));
  for (const result of results) {
    const before = kept.get(result.bar);
    if (before === undefined || before.quick || !result.quick) kept.set(result.bar, result);
  }
  const all = [...kept.values()].sort((a, b) => Number(a.bar.slice(1)) - Number(b.bar.slice(1)));
  writeFileSync(JSON_FILE, `${JSON.stringify(all, null, 1)}\n`);
  writeFileSync(PAGE_FILE, page(all));
}

function readKept(): Kept[] {
  return existsSync(JSON_FILE) ? (JSON.parse(readFileSync(JSON_FILE, 'utf8')) as Kept[]) : [];
}

function page(results: readonly Kept[]): string {
  const runs = results.map((result) => {
    const { bar, date, quick, repeats, environment } = result;
    const how = quick ? 'quick: an indication only' : `${repeats} repeats`;
    return `- ${bar}: ${date}, commit ${environment.commit}, ${how}; ${environment.versions}; ${environment.machine}; ${environment.disk}\n- ${auditLine(result)}`;
  });
  const notes = results.flatMap(({ bar }) => noteOf(bar));
  return `${[
    '# Results of the last runs',
    'Made by `npm run bench`; do not edit. How to read it: README.md. What people have to say about a figure is in notes/.',
    table(results),
    '## Where and how',
    runs.join('\n'),
    ...(notes.length > 0 ? ['## Notes', ...notes] : []),
  ].join('\n\n')}\n`;
}

function noteOf(bar: string): string[] {
  const file = new URL(`bench/notes/${bar}.md`, ROOT);
  return existsSync(file) ? [`**${bar}.** ${readFileSync(file, 'utf8').trim()}`] : [];
}
