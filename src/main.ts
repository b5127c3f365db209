// The process: its command line, its one line of output, its log, its exit code, its end. What it serves is app.ts's.
// Exit codes: 0 after a drain, 1 on a failure, 2 on wrong use or environment.
import { type Logger, pino } from 'pino';
import manifest from '../package.json' with { type: 'json' };
import { startApp } from './app.ts';
import { helpText } from './config/pages.ts';
import { type Config, readConfig } from './config.ts';
import { StartError } from './errors.ts';

/** How long after the drain time a process that still hangs is ended. */
const HANG_MS = 5_000;

async function main(words: readonly string[]): Promise<void> {
  if (words.length === 0) return serve(readConfig());
  if (words.length > 1 || (words[0] !== '--help' && words[0] !== '--version')) {
    throw new StartError(`there is no "${words.join(' ')}"; --help tells what there is`);
  }
  process.stdout.write(words[0] === '--help' ? helpText() : `${manifest.version}\n`);
}

async function serve(config: Config): Promise<void> {
  // All it writes holds people's messages or secrets: for its owner only, whatever the folder allows.
  process.umask(0o077);
  const log = openLog(config.logLevel);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'failed');
    process.exit(1);
  });
  const asked = stopAsked(config, log);
  const app = await startApp(config, log);
  process.stdout.write(`listening on ${app.address}\n`);
  await asked;
  await app.stop();
  log.info('stopped');
  process.exit(0);
}

/** Resolves at the first SIGINT or SIGTERM, while starting too; further ones change nothing. From then on the end is certain. */
function stopAsked(config: Config, log: Logger): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (asked) return;
    asked = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.fatal('the drain hangs');
      process.exit(1);
    }, config.drainTimeMs + HANG_MS);
    resolve();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return promise;
}

/**
 * JSON lines on standard error; on a terminal lines for people. Written at once: what waits in a buffer comes after the line
 * about the crash, or never.
 */
function openLog(level: string): Logger {
  return pino({ level }, process.stderr.isTTY ? { write: writeForPeople } : pino.destination({ dest: 2, sync: true }));
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
