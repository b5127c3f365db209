// `npm run abuse`: all bad input there is, in both modes, and a table of what came of it. Exit codes: 0 all was withstood,
// 1 something was not or it was broken off, 2 wrong use.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const HELP = `npm run abuse -- [options]

Every way of bad input against real servers, in both modes; about ten minutes. Exit codes: 0 all was withstood, 1 something was
not, or it was broken off, 2 wrong use.

  --mode MODE   embedded, cluster, or both (both)
  --seed N      of what is left to chance; printed by a run, it brings the same again
  --keep        write the table to test/abuse/RESULTS.md
`;

const MODES = ['embedded', 'cluster'] as const;
type Mode = (typeof MODES)[number];

const ROOT = join(import.meta.dirname, '../..');
const RESULTS = join(import.meta.dirname, 'RESULTS.md');
const MAX_SEED = 2 ** 32 - 1;
/** As test/run.ts tells of a file that has ended. */
const ENDED =
  /^(?:not )?ok test\/abuse\/(?<group>[\w/-]+)\.test\.ts # (?:.*?, )?(?<passed>\d+) passed(?:, (?<failed>\d+) failed)?, (?<seconds>[\d.]+) s/;
const TOTAL = /^(?<passed>\d+) passed, (?<failed>\d+) failed$/;

interface Options {
  readonly modes: readonly Mode[];
  readonly seed: number;
  readonly isKept: boolean;
}

interface Row {
  readonly mode: Mode;
  readonly group: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
}

function usage(problem: string): never {
  process.stderr.write(`${problem}\n\n${HELP}`);
  process.exit(2);
}

function readOptions(): Options {
  const { mode = 'both', seed: given, keep = false, help = false } = readWords();
  if (help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const modes = mode === 'both' ? MODES : MODES.filter((each) => each === mode);
  if (modes.length === 0) usage(`there is no mode "${mode}"`);
  const seed = given === undefined ? Math.trunc(Math.random() * MAX_SEED) : Number(given);
  if (!Number.isInteger(seed) || seed < 0 || seed > MAX_SEED)
    usage(`"${given}" is no seed: a whole number up to ${MAX_SEED}`);
  return { modes, seed, isKept: keep };
}

function readWords() {
  const options = {
    mode: { type: 'string' },
    seed: { type: 'string' },
    keep: { type: 'boolean' },
    help: { type: 'boolean' },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return usage((error as Error).message);
  }
}

interface Ended {
  readonly rows: readonly Row[];
  readonly isGood: boolean;
}

let running: ChildProcess | null = null;
let isBrokenOff = false;

/** What runs ends what it has started, also where the terminal has told it already. */
function breakOff(signal: NodeJS.Signals): void {
  isBrokenOff = true;
  running?.kill(signal);
}

/** Runs everything in one mode. Failures are told as they come. */
async function runIn(mode: Mode, seed: number, folder: string): Promise<Ended> {
  const env = {
    ...process.env,
    CHAT_TEST_MODE: mode,
    CHAT_TEST_WHOLE: '1',
    CHAT_TEST_SEED: String(seed),
    TMPDIR: folder,
  };
  const child = spawn(process.execPath, ['test/run.ts', 'test/abuse'], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running = child;
  const rows: Row[] = [];
  const lines = createInterface({ input: child.stdout }).on('line', (line) => {
    const row = rowOf(line, mode);
    if (row !== null) rows.push(row);
    if (!TOTAL.test(line)) process.stdout.write(`${line}\n`);
  });
  const [[code]] = await Promise.all([once(child, 'exit'), once(lines, 'close')]);
  running = null;
  return { rows, isGood: code === 0 };
}

function rowOf(line: string, mode: Mode): Row | null {
  const { group, passed, failed = '0', seconds } = ENDED.exec(line)?.groups ?? {};
  if (group === undefined) return null;
  // One that ended in another way than it should has told of no failure.
  const isGood = line.startsWith('ok');
  return { mode, group, passed: Number(passed), failed: Number(failed) || (isGood ? 0 : 1), seconds: Number(seconds) };
}

function sumOf(rows: readonly Row[], field: 'passed' | 'failed' | 'seconds'): number {
  return rows.reduce((sum, row) => sum + row[field], 0);
}

function tableOf(rows: readonly Row[]): string {
  const cells = rows.map(({ group, mode, passed, failed, seconds }) => [
    group,
    mode,
    passed + failed,
    passed,
    failed,
    seconds.toFixed(1),
  ]);
  const [passed, failed] = [sumOf(rows, 'passed'), sumOf(rows, 'failed')];
  const all = [...cells, ['all', '', passed + failed, passed, failed, sumOf(rows, 'seconds').toFixed(1)]].map((row) =>
    row.map(String),
  );
  const head = ['group', 'mode', 'cases', 'passed', 'failed', 'seconds'];
  const widths = head.map((name, at) => Math.max(name.length, ...all.map((row) => row[at]?.length ?? 0)));
  const lineOf = (row: readonly string[]) =>
    `| ${row.map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, at) => (at < 2 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [lineOf(head), rule, ...all.map(lineOf), ''].join('\n');
}

function commit(): string {
  const git = (...words: string[]) => execFileSync('git', words, { cwd: ROOT, encoding: 'utf8' }).trim();
  try {
    return (
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', '--', 'src', 'test') === '' ? '' : ', changed since')
    );
  } catch {
    return 'unknown';
  }
}

function page(table: string, words: readonly string[]): string {
  const command = `npm run abuse -- ${words.join(' ')}`;
  return `# Bad input: the last run that was kept

Commit ${commit()}; ${new Date().toISOString().slice(0, 10)}; Node ${process.version}; \`${command}\`.
What the groups are is said at the top of their files; which line of the list each stands for, in test/abuse/list.ts.

${table}`;
}

/** In a folder for all they leave, and they leave some where they are broken off. */
async function runAll(modes: readonly Mode[], seed: number): Promise<Ended> {
  const folder = await mkdtemp(join(tmpdir(), 'chatterbox-abuse-'));
  const rows: Row[] = [];
  let isGood = true;
  for (const mode of modes) {
    if (isBrokenOff) break;
    process.stdout.write(`\n${mode}\n`);
    const ended = await runIn(mode, seed, folder);
    rows.push(...ended.rows);
    isGood &&= ended.isGood;
  }
  // Servers whose test has just been ended are still ending.
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 300 });
  return { rows, isGood };
}

async function main(): Promise<void> {
  const { modes, seed, isKept } = readOptions();
  process.on('SIGINT', breakOff).on('SIGTERM', breakOff);
  process.stdout.write(`seed ${seed}\n`);
  const { rows, isGood } = await runAll(modes, seed);
  const table = tableOf(rows);
  process.stdout.write(`\n${table}\n`);
  const words = ['--mode', modes.length > 1 ? 'both' : (modes[0] ?? ''), '--seed', String(seed)];
  if (isKept && !isBrokenOff) await writeFile(RESULTS, page(table, words));
  process.exitCode = isGood && !isBrokenOff && rows.length > 0 ? 0 : 1;
}

await main();
