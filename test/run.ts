// Runs the tests (all, or those of the files and folders given) and shows what failed. The last line is always
// `N passed, N failed`, asserts as tap counts them; the exit code is 0 only when something ran and nothing failed.
// A file that asserts nothing has failed.
import { type ChildProcess, spawn } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Tests start servers, and more of them than this at once only wait for each other. */
const MAX_JOBS = 4;
/** Most a file may take, seconds; generous, since it only has to end a run that hangs. */
const FILE_TIMEOUT_S = 600;
const ROOT = join(import.meta.dirname, '..');

const RESULT = /^ *(?<status>(?:not )?ok) \d+(?: - (?<name>.*?))?(?<remark> # .*)?$/;
const SUBTEST = /^ *# Subtest: (?<name>.*)$/;
const TOTALS = /^# \{ total: \d+(?:, pass: (?<pass>\d+))?(?:, fail: (?<fail>\d+))?/;

/** Reads TAP line by line: prints a line for each file, and what failed or was left out, each with its details once. */
class Report {
  passed = 0;
  failed = 0;
  /** The names of the tests a line is in, by depth. */
  private path: readonly string[] = [];
  /** What was told last; a failed test that contains it needs no words of its own. */
  private told = '';
  /** The end of the block of details being read, and whether it is shown. */
  private detailsEnd: string | null = null;
  private showDetails = false;

  readLine(line: string): void {
    const depth = Math.floor(line.search(/\S/) / 4);
    const subtest = SUBTEST.exec(line)?.groups;
    const result = RESULT.exec(line)?.groups;
    if (this.detailsEnd !== null) this.readDetail(line);
    else if (subtest !== undefined) this.path = [...this.path.slice(0, depth), subtest.name ?? ''];
    else if (result !== undefined) this.readResult(result, depth);
    else if (line.trim() === '---') this.detailsEnd = line.replace('---', '...');
    else if (line.startsWith('Bail out!')) this.show(line);
    else this.readTotals(line);
  }

  private readDetail(line: string): void {
    if (this.showDetails) this.show(line);
    if (line === this.detailsEnd) this.detailsEnd = null;
  }

  private readResult(result: Record<string, string | undefined>, depth: number): void {
    const { status = '', name = '', remark = '' } = result;
    const path = [...this.path.slice(0, depth), name].join(' > ');
    const isDone = status === 'ok' && !/# (?:SKIP|TODO)/.test(remark);
    const isTold = this.told.startsWith(`${path} > `);
    this.showDetails = !isDone && !isTold;
    if (depth === 0 && remark === ' # SKIP no tests found') this.failed += 1;
    if (depth > 0 && (isDone || isTold)) return;
    this.show(`${status} ${path}${remark}`);
    this.told = path;
  }

  private readTotals(line: string): void {
    const totals = TOTALS.exec(line)?.groups;
    if (totals === undefined) return;
    this.passed += Number(totals.pass ?? 0);
    this.failed += Number(totals.fail ?? 0);
  }

  private show(line: string): void {
    process.stdout.write(`${line}\n`);
  }
}

/** A folder stands for the tests in it: what they share stands beside them and is no test. */
function testsOf(path: string): readonly string[] {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isFolder ? globSync(`${path}/**/*.test.ts`) : [path];
}

function startTap(files: readonly string[]): ChildProcess {
  const tap = join(ROOT, 'node_modules/.bin/tap');
  const jobs = Math.min(MAX_JOBS, availableParallelism());
  const options = ['--reporter=tap', '--no-color', `--jobs=${jobs}`, `--timeout=${FILE_TIMEOUT_S}`];
  return spawn(process.execPath, [tap, 'run', ...options, ...files], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function main(paths: readonly string[]): Promise<void> {
  const report = new Report();
  const tap = startTap(paths.flatMap(testsOf));
  if (tap.stdout === null) throw new Error('tap has no output');
  // tap ends its tests, and they what they started; without this they would go on alone.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tap.kill(signal));
  createInterface({ input: tap.stdout }).on('line', (line) => report.readLine(line));
  const code = await new Promise((resolve) => tap.once('close', resolve));
  const isGreen = code === 0 && report.failed === 0 && report.passed > 0;
  if (!isGreen && report.failed === 0) report.failed = 1;
  process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
  process.exitCode = isGreen ? 0 : 1;
}

await main(process.argv.slice(2));
