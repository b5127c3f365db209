// The process: its command line, its one line of output, its log, its exit code, its end. What it serves is app.ts's.
// One process serves, or supervises several that do. Exit codes: 0 after a drain, 1 on a failure, 2 on wrong use or
// environment.
import { fork } from 'node:child_process';
import { type Logger, pino } from 'pino';
import manifest from '../package.json' with { type: 'json' };
import { startApp } from './app.ts';
import { helpText } from './config/pages.ts';
import { type ClusterConfig, type Config, readConfig } from './config.ts';
import { StartError } from './errors.ts';
import { refusePortInUse } from './main/free-port.ts';
import { Supervisor } from './main/supervisor.ts';
import { verifyCommand } from './main/verify.ts';
import { type Worker, workerOf, workerWords } from './main/worker.ts';

/** How long after the drain time a process that still hangs is ended. */
const HANG_MS = 5_000;
/** How much longer a supervisor waits for its workers: they know better what hangs. */
const WORKER_MS = 2_000;

async function main(words: readonly string[]): Promise<void> {
  const worker = workerOf(words);
  if (worker !== null) return work(worker);
  if (words.length === 0) return start(readConfig());
  if (words[0] === 'verify') return verifyCommand(words.slice(1));
  if (words.length > 1 || (words[0] !== '--help' && words[0] !== '--version')) {
    throw new StartError(`there is no "${words.join(' ')}"; --help tells what there is`);
  }
  process.stdout.write(words[0] === '--help' ? helpText() : `${manifest.version}\n`);
}

function start(config: Config): Promise<void> {
  return config.mode === 'cluster' && config.workers > 1 ? supervise(config) : serve(config, null);
}

async function serve(config: Config, worker: Worker | null): Promise<void> {
  // All it writes holds people's messages or secrets: for its owner only, whatever the folder allows.
  process.umask(0o077);
  const log = openLog(config.logLevel, worker === null ? {} : { worker: worker.index });
  endAtDefects(log);
  const asked = stopAsked(log, worker);
  void asked.then(() => setTimeout(() => endHung(log), config.drainTimeMs + HANG_MS));
  const app = await startApp(config, log, worker);
  if (worker === null) process.stdout.write(`listening on ${app.address}\n`);
  else worker.tellListening(app.address);
  await asked;
  await app.stop();
  log.info('stopped');
  process.exit(0);
}

/** One of several: what a single process prints its supervisor does. */
async function work(worker: Worker): Promise<void> {
  try {
    await serve({ ...readConfig(), port: worker.port }, worker);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    await worker.tellRefused(error.message);
    process.exit(2);
  }
}

async function supervise({ workers, host, port, metricsPort, drainTimeMs, logLevel }: ClusterConfig): Promise<void> {
  const log = openLog(logLevel, {});
  endAtDefects(log);
  const asked = stopAsked(log, null);
  if (port !== 0) await refusePortInUse('CHAT_PORT', host, port);
  if (metricsPort !== null) await refusePortInUse('CHAT_METRICS_PORT', host, metricsPort);
  const supervisor = new Supervisor({ workers, port, log, killAfterMs: drainTimeMs + HANG_MS + WORKER_MS, spawn });
  const address = await Promise.race([supervisor.start(), asked]);
  if (address === null) process.exit(1);
  if (address !== undefined) process.stdout.write(`listening on ${address}\n`);
  await asked;
  const allDrained = await supervisor.stop();
  log.info('stopped');
  process.exit(allDrained ? 0 : 1);
}

function spawn(index: number, port: number) {
  return fork(import.meta.filename, workerWords(index, port), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

/** Resolves at the first SIGINT or SIGTERM, while starting too; further ones change nothing. */
function stopAsked(log: Logger, worker: Worker | null): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<string>();
  process.on('SIGINT', resolve);
  process.on('SIGTERM', resolve);
  void worker?.orphaned.then(() => resolve('the supervisor is gone'));
  return promise.then((reason) => log.info({ reason }, 'stopping'));
}

/** From the first signal on the end is certain. */
function endHung(log: Logger): void {
  log.fatal('the drain hangs');
  process.exit(1);
}

/**
 * JSON lines on standard error; on a terminal lines for people. Written at once: what waits in a buffer comes after the line
 * about the crash, or never.
 */
function openLog(level: string, labels: object): Logger {
  const destination = process.stderr.isTTY ? { write: writeForPeople } : pino.destination({ dest: 2, sync: true });
  return pino({ level }, destination).child(labels);
}

function endAtDefects(log: Logger): void {
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'failed');
    process.exit(1);
  });
}

function writeForPeople(line: string): void {
  const { level, time, msg, err, pid: _pid, hostname: _hostname, ...rest } = JSON.parse(line);
  const details = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : '';
  const stack = err?.stack === undefined ? '' : `\n${err.stack}`;
  const clock = new Date(time).toISOString().slice(11, 19);
  process.stderr.write(`${clock} ${pino.levels.labels[level]} ${msg ?? ''}${details}${stack}\n`);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof StartError)) throw error;
  process.stderr.write(error.message.replace(/^/gm, 'chatterbox: ').concat('\n'));
  process.exit(2);
});
