// The command `npm run cluster`: reads the words, serves until a signal, answers by exit code. One line on standard
// output says that all is ready; progress and faults go to standard error.
import { Cluster } from './cluster/cluster.ts';
import { Failure } from './service/failure.ts';

const HELP = `Usage: npm run cluster [-- [--nodes N] [--port P]]

A ChatterBox cluster on the loopback of this machine: Redis and MongoDB as "ops/services up" brings them, several nodes,
nginx in front of them. Ctrl-C or SIGTERM drains the nodes and stops what was started here; services that were up before
stay up. Accounts and messages stay too: until "ops/services down", or until the temporary folder is emptied.

  --nodes N  how many nodes, 1 to 16 (2)
  --port P   where nginx listens on 127.0.0.1; 0 = any free port (3000)

CHAT_ settings in the environment go to every node, except where it listens and whom it trusts: that is decided here.
A node that dies is started again. Each has a log file; its path is told.
Exit codes: 0 stopped in order, 1 failed, 2 wrong use or something is missing here.
`;

interface Options {
  readonly nodes: number;
  readonly port: number;
}

const RANGES = { '--nodes': { least: 1, most: 16 }, '--port': { least: 0, most: 65_535 } } as const;

function readWords(words: readonly string[]): Options {
  const options = { '--nodes': 2, '--port': 3000 };
  // `--port=3000` is `--port 3000`.
  const parts = words.flatMap((word) => (/^--\w+=/.test(word) ? word.split(/=(.*)/s, 2) : [word]));
  for (let i = 0; i < parts.length; i += 2) {
    const name = parts[i];
    if (name !== '--nodes' && name !== '--port') throw wrongUse(`there is no "${name}"`);
    options[name] = readNumber(name, parts[i + 1] ?? '');
  }
  return { nodes: options['--nodes'], port: options['--port'] };
}

function readNumber(name: keyof typeof RANGES, text: string): number {
  const { least, most } = RANGES[name];
  const number = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (number < least || number > most) throw wrongUse(`${name} wants a number from ${least} to ${most}`);
  return number;
}

function wrongUse(reason: string): Failure {
  return new Failure(2, `${reason} (npm run cluster -- --help)`);
}

/** @returns the exit code */
async function serve(options: Options): Promise<number> {
  const asked = stopAsked();
  const cluster = new Cluster({ ...options, say });
  const started = cluster.start();
  try {
    const url = await Promise.race([started, asked]);
    if (url === null) return (await cluster.stop()) ? 0 : 1;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  const nodes = options.nodes === 1 ? '1 node' : `${options.nodes} nodes`;
  process.stdout.write(`listening on ${await started} (${nodes} behind nginx)\n`);
  await asked;
  return (await cluster.stop()) ? 0 : 1;
}

/** Resolves at the first signal, while starting too; further ones change nothing. */
function stopAsked(): Promise<null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(null));
  return promise;
}

/** Whoever listened may be gone, as with a closed terminal: that is no reason to leave without stopping what runs. */
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(words: readonly string[]): Promise<number> {
  if (words.some((word) => word === '--help' || word === '-h' || word === 'help')) {
    process.stdout.write(HELP);
    return 0;
  }
  return serve(readWords(words));
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  say(error.message.replace(/^/gm, 'cluster: '));
  process.exitCode = error.exitCode;
}
// What was under way when the signal came may still wait for something.
process.exit();
