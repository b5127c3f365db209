// P1 and P2: what a delivery costs the server, against F1, at three fan-outs and several rates below saturation. CPU is
// fitted as base + a × messages + b × deliveries: b is the slope; what base and b leave is the messages' own.
import {
  type Bar,
  type BarResult,
  type Context,
  EMBEDDED_DURABILITY,
  pairedRow,
  plainRow,
  type Row,
} from '../kit/bar.ts';
import { addToAudit, type Cell, measure, newAudit, type Timing } from '../kit/measure.ts';
import { rooms, type Scene } from '../kit/scene.ts';
import { SqliteFloor } from '../kit/sqlite-floor.ts';
import { connectUsers, type Stage, stage } from '../kit/stage.ts';
import { fit, mean } from '../kit/stats.ts';

const USERS = 1_000;
const FANS = [10, 100, 1_000] as const;
const SHORT_TEXT_BYTES = 24;
const LONG_TEXT_BYTES = 840;
const BURST = 10;

/** Rooms of every size, each person in one of each. */
const SCENE: Scene = { name: 'fan-out', users: USERS, convs: FANS.flatMap((fan) => rooms(USERS, fan)) };

interface Run {
  readonly fan: number;
  /** Deliveries a second. */
  readonly rate: number;
  readonly burst: number;
  readonly textBytes: number;
}

interface Sample extends Run {
  readonly cell: Cell;
}

interface Slope {
  readonly baseUsPerSecond: number;
  readonly perDeliveryUs: number;
}

function slopeOf(samples: readonly Sample[]): Slope {
  const rows = samples.map(({ cell }) => [1, cell.acked / cell.seconds, cell.delivered / cell.seconds]);
  const cpu = samples.map(({ cell }) => cell.cpuUs / cell.seconds);
  const [baseUsPerSecond = Number.NaN, , perDeliveryUs = Number.NaN] = fit(rows, cpu);
  return { baseUsPerSecond, perDeliveryUs };
}

/** What a message costs beside its deliveries where messages are most frequent, one figure a rate. */
function messageCosts(samples: readonly Sample[], { baseUsPerSecond, perDeliveryUs }: Slope): number[] {
  const frequent = samples.filter(({ fan }) => fan === FANS[0]);
  return frequent.map(({ cell: { cpuUs, seconds, acked, delivered } }) => {
    return (cpuUs - baseUsPerSecond * seconds - perDeliveryUs * delivered) / acked;
  });
}

function loopOf(stage: Stage, { fan, rate, burst, textBytes }: Run) {
  const sources = SCENE.convs.flatMap(({ members }, conv) => (members.length === fan ? [stage.source(conv)] : []));
  return { kind: 'open', rate: rate / fan, burst, textBytes, sources } as const;
}

class FanOut {
  readonly #context: Context;
  readonly #stages: readonly [Stage, Stage];
  readonly #timing: Timing;
  loadCpu = 0;

  constructor(context: Context, stages: readonly [Stage, Stage]) {
    this.#context = context;
    this.#stages = stages;
    this.#timing = context.quick ? { warmMs: 250, windowMs: 700 } : { warmMs: 1_000, windowMs: 3_000 };
  }

  get timing(): Timing {
    return this.#timing;
  }

  /** Each cell at the floor, then at the server. */
  async interleaved(runs: readonly (readonly [Run, Run])[]): Promise<readonly [Sample[], Sample[]]> {
    const samples: readonly [Sample[], Sample[]] = [[], []];
    for (const pair of runs) {
      for (const side of [0, 1] as const) samples[side].push(await this.#sample(this.#stages[side], pair[side]));
    }
    return samples;
  }

  async #sample(stage: Stage, run: Run): Promise<Sample> {
    const cell = await measure(stage, loopOf(stage, run), this.#timing);
    this.loadCpu = Math.max(this.loadCpu, cell.loadCpu);
    const perDelivery = (cell.cpuUs / cell.delivered).toFixed(2);
    const shares = `${Math.round(cell.subjectCpu * 100)} % of a core, generator ${Math.round(cell.loadCpu * 100)} %`;
    this.#context.say(`${stage.name} fan ${run.fan} at ${run.rate}/s: ${perDelivery} µs a delivery (${shares})`);
    return { ...run, cell };
  }

  async end(rows: readonly Row[]): Promise<BarResult> {
    const audit = newAudit();
    for (const stage of this.#stages) {
      addToAudit(audit, await stage.load.settle());
      await stage.stop();
    }
    return { rows, audit, loadCpu: this.loadCpu, durability: EMBEDDED_DURABILITY };
  }
}

async function start(context: Context): Promise<FanOut> {
  const { say } = context;
  const stages = [
    await stage('F1', { scene: SCENE, say }),
    await stage(context.subject, { scene: SCENE, say }),
  ] as const;
  for (const each of stages) await connectUsers(each, 0, USERS);
  return new FanOut(context, stages);
}

function ratesOf({ quick }: Context): readonly number[] {
  return quick ? [10_000, 20_000, 40_000] : [10_000, 20_000, 30_000, 40_000];
}

function oneAtATime(context: Context, textBytes: number): (readonly [Run, Run])[] {
  return FANS.flatMap((fan) =>
    ratesOf(context).map((rate) => {
      const run = { fan, rate, burst: 1, textBytes };
      return [run, run] as const;
    }),
  );
}

/** What an append costs F5 at the rates that messages come at with the smallest fan-out, its timer taken off. */
async function appendCosts(floor: SqliteFloor, rates: readonly number[], timing: Timing): Promise<number[]> {
  const idle = await floor.atRate(0, timing);
  const costs: number[] = [];
  for (const rate of rates) {
    const { cpuUs, seconds, rows } = await floor.atRate(rate / FANS[0], timing);
    costs.push((cpuUs - (idle.cpuUs / idle.seconds) * seconds) / rows);
  }
  return costs;
}

async function runP1(context: Context): Promise<BarResult> {
  const fanOut = await start(context);
  const sqlite = await SqliteFloor.start();
  const slopes: [Slope[], Slope[]] = [[], []];
  const appends: number[] = [];
  const messages: number[] = [];
  const all: [Sample[], Sample[]] = [[], []];
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const samples = await fanOut.interleaved(oneAtATime(context, SHORT_TEXT_BYTES));
    appends.push(mean(await appendCosts(sqlite, ratesOf(context), fanOut.timing)));
    messages.push(mean(messageCosts(samples[1], slopeOf(samples[1]))));
    for (const side of [0, 1] as const) {
      slopes[side].push(slopeOf(samples[side]));
      all[side].push(...samples[side]);
    }
  }
  const rows = [...slopeRows(slopes), interceptRow(messages, appends), ...fanRows(context, all)];
  if (!context.quick) rows.push(await longFrameRow(context, fanOut));
  await sqlite.stop();
  return fanOut.end(rows);
}

function slopeRows([floors, servers]: readonly [Slope[], Slope[]], frame = 'short frame'): Row[] {
  return [
    pairedRow({
      what: `CPU per delivery, slope, ${frame}`,
      unit: 'µs',
      floorName: 'F1',
      floors: floors.map((slope) => slope.perDeliveryUs),
      servers: servers.map((slope) => slope.perDeliveryUs),
      limit: '≤ 1.10 ×',
      isMet: (ratio) => ratio <= 1.1,
    }),
  ];
}

function interceptRow(messages: readonly number[], appends: readonly number[]): Row {
  return pairedRow({
    what: 'CPU per message: in, appended, acknowledged',
    unit: 'µs',
    floorName: 'F5',
    floors: appends,
    servers: messages,
    as: 'excess',
    limit: '≤ F5 + 30 µs',
    isMet: (excess) => excess <= 30,
  });
}

/** All that a delivery costs, its share of the message included, at the highest rate. */
function fanRows(context: Context, [floors, servers]: readonly [Sample[], Sample[]]): Row[] {
  const rate = ratesOf(context).at(-1);
  const costs = (samples: readonly Sample[], fan: number) =>
    samples
      .filter((sample) => sample.fan === fan && sample.rate === rate)
      .map(({ cell }) => cell.cpuUs / cell.delivered);
  return FANS.map((fan) =>
    pairedRow({
      what: `CPU per delivery at fan-out ${fan}, ${rate}/s`,
      unit: 'µs',
      floorName: 'F1',
      floors: costs(floors, fan),
      servers: costs(servers, fan),
    }),
  );
}

async function longFrameRow(context: Context, fanOut: FanOut): Promise<Row> {
  const slopes: [Slope[], Slope[]] = [[], []];
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const samples = await fanOut.interleaved(oneAtATime(context, LONG_TEXT_BYTES));
    for (const side of [0, 1] as const) slopes[side].push(slopeOf(samples[side]));
  }
  return slopeRows(slopes, '1 kB frame')[0] as Row;
}

/** Ten messages of one sender at one instant, at the server; one at a time at the floor. */
async function runP2(context: Context): Promise<BarResult> {
  const fanOut = await start(context);
  const burstRates = context.quick ? [50_000, 100_000, 150_000] : [50_000, 100_000, 150_000, 200_000];
  const singleRates = ratesOf(context);
  const runs = FANS.flatMap((fan) =>
    burstRates.map((rate, index) => {
      const single = { fan, rate: singleRates[index] ?? 0, burst: 1, textBytes: SHORT_TEXT_BYTES };
      return [
        single,
        { fan, rate: fan === FANS[0] ? rate / 2 : rate, burst: BURST, textBytes: SHORT_TEXT_BYTES },
      ] as const;
    }),
  );
  const slopes: [number[], number[]] = [[], []];
  const busiest: number[] = [];
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const samples = await fanOut.interleaved(runs);
    for (const side of [0, 1] as const) slopes[side].push(slopeOf(samples[side]).perDeliveryUs);
    const wide = samples[1].filter(({ fan }) => fan === 1_000).at(-1);
    if (wide !== undefined) busiest.push(wide.cell.cpuUs / wide.cell.delivered);
  }
  return fanOut.end([
    pairedRow({
      what: 'CPU per delivery, slope, ten messages in one turn (F1: one at a time)',
      unit: 'µs',
      floorName: 'F1',
      floors: slopes[0],
      servers: slopes[1],
      limit: '≤ 0.15 ×',
      isMet: (ratio) => ratio <= 0.15,
    }),
    plainRow({ what: `all in, at fan-out 1000, ${burstRates.at(-1)}/s`, unit: 'µs', servers: busiest }),
  ]);
}

export const p1: Bar = { id: 'P1', title: 'fan-out, one message at a time', fullSeconds: 900, run: runP1 };
export const p2: Bar = { id: 'P2', title: 'fan-out, ten messages in one turn', fullSeconds: 500, run: runP2 };
