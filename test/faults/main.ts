// npm run faults: breaks things on purpose. The rows of the matrix by their tests, and randomized schedules; ends by itself,
// with 0 where everything holds, 1 where something was found, 2 where it was used wrongly or has no services.
import { parseArgs } from 'node:util';
import { Campaign, type CampaignOptions, NoService } from './campaign.ts';
import { MATRIX, type Row } from './matrix.ts';
import { keep, partOf } from './results.ts';
import { Rows } from './rows.ts';
import { MODES, type Mode, schedule, told as toldStep } from './schedule.ts';
import { endAll } from './scope.ts';
import { noTally, told } from './tally.ts';

/** Beside the whole matrix. */
const FEW_SCHEDULES = 20;

const HELP = `npm run faults -- [--fault F5 ...] [--random K | --minutes M] [--seed N] [--mode embedded|cluster|both]

Without options: the tests of the whole matrix, then ${FEW_SCHEDULES} randomized schedules; some 40 minutes. Exit codes: 0 all holds, 1 something
was found, 2 wrong use or no services.

  --fault F5    only the tests of that row; may be repeated
  --random K    only K randomized schedules
  --minutes M   only randomized schedules, until so much time has passed
  --seed N      of the first schedule, the others follow; alone: that one schedule
  --mode        of the schedules; both where not told: seven embedded, three cluster of ten
  --lanes N     schedules at a time; as many as cores where not told
  --steps       show what the schedules would do, and do nothing
  --keep        add the outcome to test/faults/RESULTS.md
  --list        the rows of the matrix, and their tests
`;

function usage(problem: string): never {
  process.stderr.write(`${problem}\n\n${HELP}`);
  process.exit(2);
}

const OPTIONS = {
  fault: { type: 'string', multiple: true },
  random: { type: 'string' },
  minutes: { type: 'string' },
  seed: { type: 'string' },
  mode: { type: 'string', default: 'both' },
  lanes: { type: 'string' },
  steps: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

function parsedOrUsage() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    return usage((error as Error).message);
  }
}

type Values = ReturnType<typeof parsedOrUsage>;

function numberOf(values: Values, name: 'random' | 'minutes' | 'seed' | 'lanes'): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const least = name === 'seed' ? 0 : 1;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least) usage(`--${name} is a whole number from ${least}`);
  return value;
}

interface Plan {
  readonly rows: readonly Row[];
  readonly campaign: CampaignOptions | null;
}

function planOf(values: Values): Plan {
  const { fault = [], mode } = values;
  if (mode !== 'both' && !MODES.includes(mode as Mode)) usage(`there is no mode ${mode}`);
  const rows = fault.map(
    (name) => MATRIX.find((row) => row.fault === name.toUpperCase()) ?? usage(`there is no ${name}`),
  );
  const random = numberOf(values, 'random');
  const minutes = numberOf(values, 'minutes');
  const seed = numberOf(values, 'seed');
  const lanes = numberOf(values, 'lanes');
  const isEverything = rows.length === 0 && random === undefined && minutes === undefined && seed === undefined;
  const schedules = random ?? (minutes !== undefined ? undefined : seed !== undefined ? 1 : FEW_SCHEDULES);
  const isRandom = rows.length === 0 || random !== undefined || minutes !== undefined || seed !== undefined;
  const campaign: CampaignOptions = {
    seed: seed ?? Math.trunc(Math.random() * 2 ** 31),
    modes: mode as CampaignOptions['modes'],
    ...(schedules === undefined ? {} : { schedules }),
    ...(minutes === undefined ? {} : { untilMs: performance.now() + minutes * 60_000 }),
    ...(lanes === undefined ? {} : { lanes }),
  };
  return { rows: isEverything ? MATRIX : rows, campaign: isRandom ? campaign : null };
}

function list(): string {
  const lines = MATRIX.flatMap(({ fault, what, mustHold, files, schedules, comesWith }) => [
    `${fault.padEnd(4)} ${what}`,
    `     must hold: ${mustHold}`,
    ...files.map((file) => `     ${file}`),
    ...(schedules === undefined ? [] : [`     randomized schedules (${schedules})`]),
    ...(comesWith === undefined ? [] : [`     comes with ${comesWith}`]),
  ]);
  return `${lines.join('\n')}\n`;
}

/** What schedules would do. Of both modes each seed is told twice. */
function stepsOf({ seed, modes, schedules = 1 }: CampaignOptions): string {
  const seeds = Array.from({ length: schedules }, (_, index) => seed + index);
  const chosen = modes === 'both' ? MODES : [modes];
  const lines = seeds.flatMap((one) =>
    chosen.flatMap((mode) => {
      const { steps, warmUp, ...shape } = schedule(one, mode);
      return [`${JSON.stringify(shape)}, after ${warmUp} acks:`, ...steps.map((step) => `  ${toldStep(step)}`)];
    }),
  );
  return `${lines.join('\n')}\n`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function run({ rows, campaign }: Plan, isKept: boolean): Promise<number> {
  const beganMs = performance.now();
  const matrix = new Rows(rows);
  const random = campaign === null ? null : new Campaign(campaign);
  let isInterrupted = false;
  const onSignal = () => {
    isInterrupted = true;
    matrix.stop();
    random?.stop();
    void endAll();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  if (rows.length > 0) await matrix.run();
  if (random !== null && !isInterrupted) {
    say(`seeds from ${campaign?.seed}`);
    await random.run();
  }
  const tally = random?.tally ?? noTally();
  if (random !== null) for (const line of told(tally)) say(line);
  if (rows.length > 0) say(`${Object.keys(matrix.results).length} rows of the matrix, ${matrix.failed} asserts failed`);
  const minutes = Math.round((performance.now() - beganMs) / 60_000);
  if (isKept) say(`kept in ${keep(partOf(minutes, matrix.results, tally))}`);
  if (matrix.failed > 0 || tally.findings.length > 0) return 1;
  return isInterrupted ? 130 : 0;
}

async function main(): Promise<void> {
  const values = parsedOrUsage();
  if (values.help) return void process.stdout.write(HELP);
  if (values.list) return void process.stdout.write(list());
  const plan = planOf(values);
  if (values.steps && plan.campaign !== null) return void process.stdout.write(stepsOf(plan.campaign));
  try {
    process.exitCode = await run(plan, values.keep);
  } catch (error) {
    if (!(error instanceof NoService)) throw error;
    process.stderr.write(`faults: ${error.message}\n`);
    process.exitCode = 2;
  }
}

await main();
process.exit();
