// npm run bench: runs the bars one after the other, prints one table, keeps it. Ends by itself and takes its children along.
import { parseArgs } from 'node:util';
import { p10 } from './bars/cell.ts';
import { p3 } from './bars/cluster-durable.ts';
import { p15 } from './bars/connect.ts';
import { p4 } from './bars/durable.ts';
import { p1, p1c, p2, p2c } from './bars/fan-out.ts';
import { p7 } from './bars/flatness.ts';
import { p12 } from './bars/history.ts';
import { p14 } from './bars/http.ts';
import { p5, p6 } from './bars/idle.ts';
import { peers } from './bars/peers.ts';
import { p9 } from './bars/persisting.ts';
import { p11 } from './bars/slow-readers.ts';
import { p13 } from './bars/start.ts';
import { p8 } from './bars/storm.ts';
import type { Bar, Context } from './kit/bar.ts';
import { killChildren } from './kit/child.ts';
import { markSteal, stolenSince } from './kit/cpu.ts';
import { profileServers } from './kit/programs.ts';
import {
  auditLine,
  describeEnvironment,
  type Environment,
  isSaid,
  type Kept,
  keep,
  stolenText,
  table,
  writePage,
} from './kit/report.ts';
import type { SubjectName } from './kit/stage.ts';
import { removeTemporaries } from './kit/temporary.ts';
import { forgetWorlds } from './kit/world.ts';
import { checkGenerator } from './load/self-check.ts';

const BARS: readonly Bar[] = [p1, p1c, p2, p2c, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, peers];
/** Of `--quick` without names: one of each kind, and no more than fits into three minutes. */
const QUICK_BARS: readonly Bar[] = [p1, p2, p3, p4, p5, p9, p12, p13];
const SUBJECTS: readonly string[] = ['server', 'F1', 'F2', 'F3'];

const HELP = `npm run bench -- [BAR ...] [--quick] [--repeats N] [--subject server|F1|F2|F3] [--profile DIR] [--page] [--forget]

${BARS.map(({ id, title, fullSeconds }) => `  ${id.padEnd(4)} ${title} (about ${fullSeconds} s)`).join('\n')}

  --quick     smaller counts, fewer repeats, an indication only. Without names ${QUICK_BARS.map(({ id }) => id).join(' ')}, in under three minutes
  --repeats   interleaved repeats (5; quick: 2)
  --subject   measure a floor in the server's place, to try the bench itself; nothing is kept
  --profile   the server leaves CPU profiles in this folder; nothing is kept
  --page      write bench/RESULTS.md anew from what is kept and from bench/notes, and end
  --forget    remove the prepared data folders from the temporary folder, and end
`;

function usage(problem: string): never {
  process.stderr.write(`${problem}\n\n${HELP}`);
  process.exit(2);
}

function parsedOrUsage() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        repeats: { type: 'string' },
        subject: { type: 'string', default: 'server' },
        profile: { type: 'string' },
        forget: { type: 'boolean', default: false },
        page: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    return usage((error as Error).message);
  }
}

function readArguments() {
  const { values, positionals } = parsedOrUsage();
  const wanted = positionals.map((name) => name.toUpperCase());
  const unknown = wanted.find((name) => !BARS.some(({ id }) => id === name));
  if (unknown !== undefined) usage(`there is no bar ${unknown}`);
  if (!SUBJECTS.includes(values.subject)) usage(`there is no subject ${values.subject}`);
  const repeats = Number(values.repeats ?? (values.quick ? 2 : 5));
  if (!Number.isInteger(repeats) || repeats < 1) usage('--repeats is a number from 1');
  const everything = values.quick ? QUICK_BARS : BARS;
  const bars = wanted.length === 0 ? everything : BARS.filter(({ id }) => wanted.includes(id));
  return { ...values, subject: values.subject as SubjectName, repeats, bars };
}

function say(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

async function runBar(bar: Bar, context: Omit<Context, 'say'>, environment: Environment): Promise<Kept> {
  const began = performance.now();
  const steal = markSteal();
  say(`${bar.id}: ${bar.title}`);
  const result = await bar.run({ ...context, say: (text) => say(`${bar.id}   ${text}`) });
  const stolen = stolenSince(steal);
  say(`${bar.id}: ${Math.round((performance.now() - began) / 1_000)} s, ${stolenText(stolen)}`);
  const { quick, repeats } = context;
  const date = new Date().toISOString();
  return { bar: bar.id, title: bar.title, quick, repeats, date, stolen, environment, ...result };
}

async function main(): Promise<void> {
  const { bars, quick, repeats, subject, profile, forget, page, help } = readArguments();
  if (help) return void process.stdout.write(HELP);
  if (forget) return forgetWorlds();
  if (page) return writePage();
  checkGenerator();
  if (profile !== undefined) profileServers(profile);
  const environment = describeEnvironment();
  say(Object.values(environment).join('; '));
  const results: Kept[] = [];
  for (const bar of bars) {
    try {
      const result = await runBar(bar, { quick, repeats, subject }, environment);
      results.push(result);
      if (subject === 'server' && profile === undefined) keep(result);
    } catch (error) {
      say(`${bar.id} failed: ${error instanceof Error ? error.stack : String(error)}`);
      process.exitCode = 1;
      killChildren();
    }
  }
  process.stdout.write(`\n${table(results)}\n\n${results.map(auditLine).filter(isSaid).join('\n')}\n`);
}

function onEnd(): void {
  killChildren();
  removeTemporaries();
}

process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));
process.on('exit', onEnd);
await main();
process.exit();
