// A load test for any deployment: WebSocket load by the bench's own generator, which counts every delivery, then HTTP load by
// autocannon. Uses the public interface alone. Exit codes: 0 nothing lost, 1 something was or it failed, 2 wrong use.
import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { killChildren } from '../kit/child.ts';
import { Load, type LoopSpec, type Totals } from '../kit/load.ts';
import { attackHttp, type HttpAnswer } from '../load/http.ts';
import { checkGenerator } from '../load/self-check.ts';
import { Deployment, type Group, type Person } from './people.ts';

const HELP = `npx chatterbox-attack --url URL [options]

  --url URL          http://, https://, ws:// or wss:// of the deployment, e.g. http://localhost:3000
  --users N          accounts, registered for this (10)
  --accounts FILE    keep them there, and use them again
  --members N        people in a conversation; users are cut into such groups (2)
  --devices N        connections each of them opens (1): every message goes to members × devices
  --rate N           messages a second, all together, at fixed instants (20); 0 = a window of unanswered ones instead
  --window N         with --rate 0: unanswered messages each sender keeps under way (4)
  --bytes N          length of a message's text (64)
  --seconds N        how long, sockets and HTTP each (10)
  --http N           then N HTTP connections by autocannon, GET and POST of messages (0)
  --http-rate N      their requests a second, all together (0 = as many as they can)
  --processes N      generator processes (cores - 1)

A server as it comes is guarded: an address may register 10 accounts a minute (CHAT_AUTH_RATE), a user may send 10
messages a second in the long run (CHAT_MESSAGE_RATE) and make 100 HTTP requests a minute (CHAT_HTTP_RATE). Refusals are
counted; to find the limits of the machine rather than these, set them to 0 on a server that nobody else can reach.
`;

const NUMBERS = { users: 10, members: 2, devices: 1, rate: 20, window: 4, bytes: 64, seconds: 10, http: 0 } as const;
const MORE_NUMBERS = { 'http-rate': 0, processes: Math.max(1, availableParallelism() - 1) } as const;
const DEFAULTS = { ...NUMBERS, ...MORE_NUMBERS };
/** The instant a message is due is told in its text. */
const MIN_BYTES = 24;
const WARM_MS = 1_000;

type Numbers = { readonly [Name in keyof typeof DEFAULTS]: number };

interface Options extends Numbers {
  readonly target: URL;
  readonly accounts: string | null;
}

function usage(problem: string): never {
  process.stderr.write(`${problem}\n\n${HELP}`);
  process.exit(2);
}

function readOptions(): Options {
  const text = { type: 'string' } as const;
  const names = Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[];
  const given = (() => {
    try {
      const options = Object.fromEntries([...names, 'url', 'accounts'].map((name) => [name, text]));
      return parseArgs({ options: { ...options, help: { type: 'boolean' } } }).values as Record<string, string | true>;
    } catch (error) {
      return usage((error as Error).message);
    }
  })();
  if (given.help === true) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const numbers = Object.fromEntries(names.map((name) => [name, Number(given[name] ?? DEFAULTS[name])])) as Numbers;
  const wrong = names.find((name) => !(numbers[name] >= 0));
  if (wrong !== undefined) usage(`--${wrong} is a number`);
  if (numbers.members < 2 || numbers.users < numbers.members) usage('--members is from 2 to --users');
  const { url, accounts } = given;
  if (typeof url !== 'string' || !URL.canParse(url)) usage('--url is missing, or is none');
  return { ...numbers, target: new URL(url), accounts: typeof accounts === 'string' ? accounts : null };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

interface Scene {
  readonly people: readonly Person[];
  readonly groups: readonly Group[];
}

async function attackSockets({ people, groups }: Scene, options: Options): Promise<boolean> {
  const { target, devices, members, seconds } = options;
  const isSecure = target.protocol === 'https:';
  const port = Number(target.port === '' ? (isSecure ? 443 : 80) : target.port);
  const load = new Load({ processes: options.processes, cores: null });
  const count = groups.length * members;
  const tokens = Array.from({ length: count * devices }, (_, index) => people[index % count]?.token ?? '');
  const startedAt = performance.now();
  await load.connect([port], tokens, { host: target.hostname, isSecure });
  say(`${tokens.length} connections in ${inSeconds(performance.now() - startedAt)} s`);
  await load.begin(loopOf(groups, options), 2 * WARM_MS + seconds * 1_000);
  await delay(WARM_MS);
  await load.takeLatencies();
  const before = await load.counts();
  await delay(seconds * 1_000);
  const after = await load.counts();
  const { ack, delivery } = await load.takeLatencies();
  const totals = await load.settle();
  await load.close();
  const line = (name: string, value: string) => process.stdout.write(`${name.padEnd(34)} ${value}\n`);
  const perSecond = (name: keyof Totals & ('acked' | 'delivered')) =>
    Math.round((after[name] - before[name]) / seconds);
  line('messages acknowledged a second', `${perSecond('acked')}${options.rate > 0 ? ` of ${options.rate}` : ''}`);
  line('deliveries a second', `${perSecond('delivered')}`);
  line('acknowledged after, p50 and p99', `${ms(ack.quantile(0.5))} and ${ms(ack.quantile(0.99))}`);
  line('delivered after, p50 and p99', `${ms(delivery.quantile(0.5))} and ${ms(delivery.quantile(0.99))}`);
  line('lost, repeated, reordered', `${totals.lost}, ${totals.repeated}, ${totals.reordered}`);
  line('refused, connections dropped', `${totals.refused}, ${totals.dropped}`);
  line('pulled instead of pushed', `${totals.pulled}`);
  if (Object.keys(totals.trouble).length > 0) line('troubles', JSON.stringify(totals.trouble));
  line('generator', `${Math.round((after.cpuUs - before.cpuUs) / seconds / 1e4)} % of a core, all processes together`);
  return totals.lost + totals.repeated + totals.reordered === 0;
}

/** Everyone's first device writes. */
function loopOf(groups: readonly Group[], { rate, window, bytes }: Options): LoopSpec {
  const sources = groups.flatMap(({ conv, members }) => members.map((client) => ({ client, conv })));
  const textBytes = Math.max(MIN_BYTES, bytes);
  if (rate === 0) return { kind: 'closed', window, textBytes, sources };
  return { kind: 'open', rate, textBytes, sources };
}

async function attackRoutes({ people, groups }: Scene, options: Options): Promise<void> {
  const { target, seconds, http: connections } = options;
  const paths = groups.flatMap(({ conv, members }) =>
    members.map((member) => ({
      token: people[member]?.token ?? '',
      path: `/api/v1/conversations/${conv}/messages`,
    })),
  );
  const text = 'x'.repeat(options.bytes);
  const common = { url: target.origin, people: paths, connections, perSecond: options['http-rate'], seconds, text };
  for (const method of ['GET', 'POST'] as const) {
    const answer = await attackHttp({ ...common, method });
    process.stdout.write(`${`${method} messages, ${connections} connections`.padEnd(34)} ${told(answer)}\n`);
  }
}

function told({ perSecond, p50Ms, p99Ms, statuses, errors }: HttpAnswer): string {
  const counts = Object.entries(statuses).map(([status, count]) => `${count} × ${status}`);
  return `${Math.round(perSecond)}/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms; ${counts.join(', ')}; ${errors} errors`;
}

const inSeconds = (milliseconds: number) => (milliseconds / 1_000).toFixed(1);
const ms = (us: number) => `${(us / 1_000).toFixed(1)} ms`;

async function main(): Promise<void> {
  const options = readOptions();
  const { target } = options;
  target.protocol = target.protocol.replace('ws', 'http');
  checkGenerator();
  const deployment = new Deployment(target.origin, say);
  const people = await deployment.people(options.users, options.accounts);
  const groups = await deployment.groups(people, options.members);
  say(`${people.length} accounts, ${groups.length} conversations of ${options.members}`);
  const isWhole = await attackSockets({ people, groups }, options);
  if (options.http > 0) await attackRoutes({ people, groups }, options);
  process.exitCode = isWhole ? 0 : 1;
}

process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));
process.on('exit', killChildren);
try {
  await main();
} catch (error) {
  say(`failed: ${(error as Error).message}`);
  process.exitCode = 1;
}
process.exit();
