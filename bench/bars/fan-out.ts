// P1 and P2: what a delivery costs the server, against F1. At one rate of messages a wider room only adds deliveries: the
// slope over fan-outs at equal rates of messages is the cost of a delivery, whatever a message itself costs at that rate.
// P1C and P2C: the same of one node in cluster mode; Redis and MongoDB are not on its core, and Redis' share is told apart.
import {
  type Bar,
  type BarResult,
  type Context,
  EMBEDDED_DURABILITY,
  pairedRow,
  plainRow,
  type Row,
} from '../kit/bar.ts';
import { PARTS } from '../kit/cluster-world.ts';
import { addToAudit, type Cell, measure, measureIdle, newAudit, type Timing } from '../kit/measure.ts';
import { RedisFloor } from '../kit/redis-floor.ts';
import { rooms, type Scene } from '../kit/scene.ts';
import { SqliteFloor } from '../kit/sqlite-floor.ts';
import { connectUsers, type Stage, type SubjectName, stage } from '../kit/stage.ts';
import { mean } from '../kit/stats.ts';

const USERS = 1_000;
const NARROW = 10;
const WIDE = 1_000;
const FANS = [NARROW, 100, WIDE] as const;
const SHORT_TEXT_BYTES = 24;
const LONG_TEXT_BYTES = 840;
const BURST = 10;
/** Deliveries a second with which all fan-outs are shown. */
const SHOWN_RATE = 40_000;

/** Rooms of every size, each person in one of each. */
export const SCENE: Scene = { name: 'fan-out', users: USERS, convs: FANS.flatMap((fan) => rooms(USERS, fan)) };

export interface Run {
  readonly fan: number;
  /** Messages a second. */
  readonly rate: number;
  readonly burst: number;
  readonly textBytes: number;
}

export interface Sample extends Run {
  readonly cell: Cell;
}

type Sides<Each> = readonly [Each, Each];

/** Microseconds a delivery: least squares within each rate of messages. */
export function slopeOf(samples: readonly Sample[]): number {
  let covariance = 0;
  let variance = 0;
  for (const group of Map.groupBy(samples, ({ rate }) => rate).values()) {
    const delivered = group.map(({ cell }) => cell.delivered / cell.seconds);
    const cpu = group.map(({ cell }) => cell.cpuUs / cell.seconds);
    const [meanDelivered, meanCpu] = [mean(delivered), mean(cpu)];
    delivered.forEach((value, index) => {
      covariance += (value - meanDelivered) * ((cpu[index] ?? 0) - meanCpu);
      variance += (value - meanDelivered) ** 2;
    });
  }
  return covariance / variance;
}

/** The log that a mode appends to, alone. */
interface AppendFloor {
  readonly name: 'F4' | 'F5';
  atRate(perSecond: number, timing: Timing): Promise<{ cpuUs: number; seconds: number; rows: number }>;
  stop(): Promise<void>;
}

interface Mode {
  readonly subject: SubjectName;
  readonly durability: string;
  appendFloor(): Promise<AppendFloor>;
}

const EMBEDDED: Mode = {
  subject: 'server',
  durability: EMBEDDED_DURABILITY,
  async appendFloor() {
    const floor = await SqliteFloor.start();
    return {
      name: 'F5',
      atRate: (perSecond, timing) => floor.atRate(perSecond, timing),
      stop: () => floor.stop(),
    };
  },
};

const CLUSTER: Mode = {
  subject: 'cluster',
  durability: 'Redis appendfsync always; MongoDB majority + journal',
  async appendFloor() {
    const floor = await RedisFloor.start({ format: 'packed', parts: PARTS });
    return {
      name: 'F4',
      atRate: (perSecond, timing) => floor.atRate(perSecond, timing),
      stop: () => floor.stop(),
    };
  },
};

class FanOut {
  readonly #context: Context;
  readonly #mode: Mode;
  readonly #stages: Sides<Stage>;
  readonly timing: Timing;
  loadCpu = 0;

  constructor(context: Context, mode: Mode, stages: Sides<Stage>) {
    this.#context = context;
    this.#mode = mode;
    this.#stages = stages;
    this.timing = context.quick ? { warmMs: 150, windowMs: 450 } : { warmMs: 500, windowMs: 2_000 };
  }

  /** Each run at the floor, then at the server. */
  async interleaved(runs: readonly Sides<Run>[]): Promise<Sides<Sample[]>> {
    const samples: Sides<Sample[]> = [[], []];
    for (const pair of runs) {
      for (const side of [0, 1] as const) samples[side].push(await this.#sample(this.#stages[side], pair[side]));
    }
    return samples;
  }

  /** CPU a second of the server when nothing is sent. */
  idleCpu(): Promise<number> {
    return measureIdle(this.#stages[1], this.timing.windowMs);
  }

  async #sample(stage: Stage, run: Run): Promise<Sample> {
    const { fan, rate, burst, textBytes } = run;
    const sources = SCENE.convs.flatMap(({ members }, conv) => (members.length === fan ? [stage.source(conv)] : []));
    const cell = await measure(stage, { kind: 'open', rate, burst, textBytes, sources }, this.timing);
    this.loadCpu = Math.max(this.loadCpu, cell.loadCpu);
    // One burst may fall on either side of the window's end.
    const kept = (cell.delivered + burst * fan) / cell.seconds / rate / fan;
    const lag = kept < 0.95 ? `; only ${Math.round(kept * 100)} % of the rate` : '';
    this.#context.say(`${stage.name}, ${rate} messages/s to ${fan}: ${describe(cell)}${lag}`);
    return { ...run, cell };
  }

  async end(rows: readonly Row[]): Promise<BarResult> {
    const audit = newAudit();
    for (const stage of this.#stages) {
      addToAudit(audit, await stage.load.settle());
      await stage.stop();
    }
    return { rows, audit, loadCpu: this.loadCpu, durability: this.#mode.durability };
  }
}

function describe({ cpuUs, delivered, threads, loadCpu }: Cell): string {
  const shares = threads.map(({ name, share }) => `${name} ${Math.round(share * 100)} %`);
  return `${(cpuUs / delivered).toFixed(2)} µs a delivery (${shares.join(', ')}; generator ${Math.round(loadCpu * 100)} %)`;
}

async function start(context: Context, mode: Mode): Promise<FanOut> {
  const { say, subject } = context;
  const stages = [
    await stage('F1', { scene: SCENE, say }),
    await stage(subject === 'server' ? mode.subject : subject, { scene: SCENE, say }),
  ] as const;
  for (const each of stages) await connectUsers(each, 0, USERS);
  return new FanOut(context, mode, stages);
}

/** The cells a slope is made of; the floor always gets one message at a time. */
function slopeRuns({ quick }: Context, factor: number, burst: number, textBytes: number): Sides<Run>[] {
  const rates = quick ? [10, 20, 40] : [10, 20, 30, 40];
  const fans = quick ? [NARROW, WIDE] : FANS;
  return rates.flatMap((rate) =>
    fans.map(
      (fan): Sides<Run> => [
        { fan, rate, burst: 1, textBytes },
        { fan, rate: rate * factor, burst, textBytes },
      ],
    ),
  );
}

const MESSAGE_RATES = [1_000, 2_000, 4_000];

function evenly(fan: number, rate: number): Sides<Run> {
  const run = { fan, rate, burst: 1, textBytes: SHORT_TEXT_BYTES };
  return [run, run];
}

/** Small rooms at rates at which messages are what costs, then all fan-outs at one rate of deliveries. */
function messageRuns(): Sides<Run>[] {
  return [
    ...MESSAGE_RATES.map((rate) => evenly(NARROW, rate)),
    ...FANS.slice(1).map((fan) => evenly(fan, SHOWN_RATE / fan)),
  ];
}

/** What a message costs beside its deliveries and the idle server, on average over the rates. */
function messageCost(samples: readonly Sample[], perDeliveryUs: number, idleUs: number): number {
  const frequent = samples.filter(({ fan }) => fan === NARROW);
  return mean(
    frequent.map(({ cell: { cpuUs, seconds, acked, delivered } }) => {
      return (cpuUs - idleUs * seconds - perDeliveryUs * delivered) / acked;
    }),
  );
}

/** What an append costs its floor at the same rates, the floor's timer taken off. */
async function appendCost(floor: AppendFloor, timing: Timing): Promise<number> {
  const idle = await floor.atRate(0, timing);
  const costs: number[] = [];
  for (const rate of MESSAGE_RATES) {
    const { cpuUs, seconds, rows } = await floor.atRate(rate, timing);
    costs.push((cpuUs - (idle.cpuUs / idle.seconds) * seconds) / rows);
  }
  return mean(costs);
}

async function runP1(context: Context, mode: Mode): Promise<BarResult> {
  const fanOut = await start(context, mode);
  const floor = await mode.appendFloor();
  const slopes: Sides<number[]> = [[], []];
  const shown: Sides<Sample[]> = [[], []];
  const appends: number[] = [];
  const messages: number[] = [];
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const slanted = await fanOut.interleaved(slopeRuns(context, 1, 1, SHORT_TEXT_BYTES));
    const level = await fanOut.interleaved(messageRuns());
    for (const side of [0, 1] as const) {
      slopes[side].push(slopeOf(slanted[side]));
      shown[side].push(...level[side]);
    }
    messages.push(messageCost(level[1], slopes[1].at(-1) ?? 0, await fanOut.idleCpu()));
    appends.push(await appendCost(floor, fanOut.timing));
  }
  const rows = [
    slopeRow('short frame', slopes),
    messageRow(floor.name, appends, messages),
    ...besideRows(shown[1], `at ${MESSAGE_RATES.join(', ')}/s`),
    ...FANS.map((fan) => fanRow(fan, shown)),
  ];
  if (!context.quick) rows.push(await longFrameRow(context, fanOut));
  await floor.stop();
  return fanOut.end(rows);
}

function slopeRow(frame: string, [floors, servers]: Sides<number[]>): Row {
  return pairedRow({
    what: `CPU per delivery, slope over fan-outs, ${frame}`,
    unit: 'µs',
    floorName: 'F1',
    floors,
    servers,
    limit: '≤ 1.10 ×',
    isMet: (ratio) => ratio <= 1.1,
  });
}

function messageRow(floorName: AppendFloor['name'], appends: readonly number[], messages: readonly number[]): Row {
  return pairedRow({
    what: `CPU per message: in, appended, acknowledged, stored; mean of ${MESSAGE_RATES.join(', ')}/s`,
    unit: 'µs',
    floorName,
    floors: appends,
    servers: messages,
    as: 'excess',
    limit: `≤ ${floorName} + 30 µs`,
    isMet: (excess) => excess <= 30,
  });
}

/** What the processes beside the server spend on a message, in the same runs. */
function besideRows(samples: readonly Sample[], when: string): Row[] {
  const frequent = samples.filter(({ fan }) => fan === NARROW).map(({ cell }) => cell);
  const names = Object.keys(frequent[0]?.besideUs ?? {});
  return names.map((name) =>
    plainRow({
      what: `CPU of ${name} per message; ${when}`,
      unit: 'µs',
      servers: frequent.map(({ besideUs, acked }) => (besideUs[name] ?? 0) / acked),
    }),
  );
}

/** All that a delivery costs, its share of the message and of the idle server included. */
function fanRow(fan: number, [floors, servers]: Sides<Sample[]>): Row {
  const costs = (samples: readonly Sample[]) =>
    samples
      .filter((sample) => sample.fan === fan && sample.rate * fan === SHOWN_RATE)
      .map(({ cell }) => cell.cpuUs / cell.delivered);
  return pairedRow({
    what: `CPU per delivery, all in, fan-out ${fan} at ${SHOWN_RATE}/s`,
    unit: 'µs',
    floorName: 'F1',
    floors: costs(floors),
    servers: costs(servers),
  });
}

async function longFrameRow(context: Context, fanOut: FanOut): Promise<Row> {
  const slopes: Sides<number[]> = [[], []];
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const samples = await fanOut.interleaved(slopeRuns(context, 1, 1, LONG_TEXT_BYTES));
    for (const side of [0, 1] as const) slopes[side].push(slopeOf(samples[side]));
  }
  return slopeRow('1 kB frame', slopes);
}

/** Ten messages of one sender at one instant, at five times the rate; the floor gets one at a time. */
async function runP2(context: Context, mode: Mode): Promise<BarResult> {
  const fanOut = await start(context, mode);
  const slopes: Sides<number[]> = [[], []];
  const wide: number[] = [];
  const shown: Sample[] = [];
  for (let repeat = 0; repeat < (context.quick ? 1 : context.repeats); repeat++) {
    const samples = await fanOut.interleaved(slopeRuns(context, 5, BURST, SHORT_TEXT_BYTES));
    for (const side of [0, 1] as const) slopes[side].push(slopeOf(samples[side]));
    shown.push(...samples[1]);
    const busiest = samples[1].at(-1)?.cell;
    if (busiest !== undefined) wide.push(busiest.cpuUs / busiest.delivered);
  }
  return fanOut.end([
    pairedRow({
      what: 'CPU per delivery, slope over fan-outs, ten messages in one turn (F1: one at a time)',
      unit: 'µs',
      floorName: 'F1',
      floors: slopes[0],
      servers: slopes[1],
      limit: '≤ 0.15 ×',
      isMet: (ratio) => ratio <= 0.15,
    }),
    plainRow({ what: `CPU per delivery, all in, ten in one turn to ${WIDE} at 200000/s`, unit: 'µs', servers: wide }),
    ...besideRows(shown, 'ten in one turn'),
  ]);
}

export const p1: Bar = {
  id: 'P1',
  title: 'fan-out, one message at a time',
  fullSeconds: 900,
  run: (context) => runP1(context, EMBEDDED),
};
export const p1c: Bar = {
  id: 'P1C',
  title: 'fan-out, one message at a time, a node of a cluster',
  fullSeconds: 900,
  run: (context) => runP1(context, CLUSTER),
};
export const p2: Bar = {
  id: 'P2',
  title: 'fan-out, ten messages in one turn',
  fullSeconds: 350,
  run: (context) => runP2(context, EMBEDDED),
};
export const p2c: Bar = {
  id: 'P2C',
  title: 'fan-out, ten messages in one turn, a node of a cluster',
  fullSeconds: 350,
  run: (context) => runP2(context, CLUSTER),
};
