// Runs the tests (all, or those of the files and folders given), several files at a time, and shows each as soon as it has
// ended. The last line is always `N passed, N failed`, asserts as tap counts them; the exit code is 0 only when something ran
// and nothing failed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { Screen } from './runner/screen.ts';
import { TapReader } from './runner/tap-reader.ts';

/** Tests start servers, and more of them than this at once only wait for each other. */
const MAX_JOBS = 4;
/** Most a test may take, seconds, where it does not set another time; generous, since it only has to end a run that hangs. */
const TEST_TIMEOUT_S = 600;
/** A file that has not ended itself by then is stuck. */
const FILE_TIMEOUT_MS = 1_000 * (TEST_TIMEOUT_S + 60);
const ROOT = join(import.meta.dirname, '..');

/** What the files of a run have together: from before the first until after the last. */
interface Shared {
  /** How they find it. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** One file, once for each mode it is run in. */
interface Job {
  readonly file: string;
  /** As results and the status line show it. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
}

const MODES = ['embedded', 'cluster'];
/**
 * Promises to clients hold in both modes: each of these files runs in each. Of abuse those that reach what differs; what is
 * refused at the door never gets there.
 */
const IN_BOTH_MODES =
  /^(?:.*\/)?test\/(?:e2e\/|client\/server\.|abuse\/(?:accounts|anything|content|opening|operators|rights|secrets|texts)\.)/;

function jobsOf(file: string): readonly Job[] {
  if (process.env.CHAT_TEST_MODE !== undefined || !IN_BOTH_MODES.test(file)) return [{ file, name: file, env: {} }];
  return MODES.map((mode) => ({ file, name: `${file} (${mode})`, env: { CHAT_TEST_MODE: mode } }));
}

async function startShared(jobs: readonly Job[]): Promise<Shared> {
  const needsMongo = process.env.CHAT_TEST_MONGO_URL === undefined && jobs.some(usesServices);
  if (!needsMongo) return { env: {}, stop: async () => {} };
  const { sharedMongo } = await import('./kit/services.ts');
  const mongo = await sharedMongo();
  return { env: { CHAT_TEST_MONGO_URL: mongo.url }, stop: () => mongo.stop() };
}

const found = (path: string) => statSync(resolve(ROOT, path), { throwIfNoEntry: false });

function usesServices({ file, env }: Job): boolean {
  if ((env.CHAT_TEST_MODE ?? process.env.CHAT_TEST_MODE) === 'cluster') return true;
  return found(file)?.isFile() === true && readFileSync(resolve(ROOT, file), 'utf8').includes('kit/services.ts');
}

class Run {
  passed = 0;
  failed = 0;
  private readonly total: number;
  private readonly waiting: Job[];
  private readonly env: NodeJS.ProcessEnv;
  private readonly running = new Map<string, { readonly child: ChildProcess; readonly startedMs: number }>();
  private readonly screen = new Screen(() => this.status());
  private done = 0;

  constructor(jobs: readonly Job[], env: Shared['env']) {
    this.total = jobs.length;
    this.waiting = [...jobs];
    // As `tap` sets it, by .taprc.
    this.env = { ...process.env, ...env, TAP_TIMEOUT: String(TEST_TIMEOUT_S), TAP_TYPE_STRIP_ONLY: '1' };
  }

  async all(): Promise<void> {
    const jobs = Math.min(MAX_JOBS, availableParallelism());
    await Promise.all(Array.from({ length: jobs }, () => this.oneAfterTheOther()));
    this.screen.close();
  }

  /** Ends the files that run, and starts no other. What they have started ends with them. */
  breakOff(signal: NodeJS.Signals): void {
    this.failed += this.waiting.splice(0).length;
    for (const { child } of this.running.values()) child.kill(signal);
  }

  private async oneAfterTheOther(): Promise<void> {
    for (let job = this.waiting.shift(); job !== undefined; job = this.waiting.shift()) await this.job(job);
  }

  private async job({ file, name, env }: Job): Promise<void> {
    const startedMs = performance.now();
    const options = { cwd: ROOT, env: { ...this.env, ...env } };
    const child = spawn(process.execPath, [file], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    this.running.set(name, { child, startedMs });
    const reader = new TapReader(name);
    const lines = createInterface({ input: child.stdout }).on('line', (line) => reader.readLine(line));
    const [fault, errors] = await Promise.all([endOf(child), text(child.stderr), once(lines, 'close')]);
    this.running.delete(name);
    this.done += 1;
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    reader.end(fault, `${seconds} s, file ${this.done} of ${this.total}`);
    this.passed += reader.passed;
    this.failed += reader.failed;
    this.screen.show(reader.lines, errors);
  }

  private status(): string {
    const nowMs = performance.now();
    const files = [...this.running].map(([name, { startedMs }]) => {
      return `${name.replace(/^test\/|\.test\.ts/g, '')} (${Math.round((nowMs - startedMs) / 1_000)} s)`;
    });
    return `${this.done}/${this.total} files, ${this.passed} passed, ${this.failed} failed; ${files.join(', ')}`;
  }
}

/** @returns what is wrong with how it ended, or null */
function endOf(child: ChildProcess): Promise<string | null> {
  const timer = setTimeout(() => child.kill('SIGKILL'), FILE_TIMEOUT_MS);
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (signal !== null) resolve(`ended by ${signal}`);
      else resolve(code === 0 ? null : `exit code ${code}`);
    });
  });
}

/** A folder stands for the tests in it: what they share stands beside them and is no test. */
function testsOf(path: string): readonly string[] {
  const isFolder = found(path)?.isDirectory() === true;
  return isFolder ? globSync(`${path}/**/*.test.ts`, { cwd: ROOT }).sort() : [path];
}

async function main(paths: readonly string[]): Promise<void> {
  const files = [...new Set((paths.length === 0 ? ['test'] : paths).flatMap(testsOf))];
  const jobs = files.flatMap(jobsOf);
  const shared = await startShared(jobs);
  const run = new Run(jobs, shared.env);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => run.breakOff(signal));
  await run.all();
  await shared.stop();
  const failed = run.passed + run.failed === 0 ? 1 : run.failed;
  process.stdout.write(`${run.passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 && run.passed > 0 ? 0 : 1;
}

await main(process.argv.slice(2));
