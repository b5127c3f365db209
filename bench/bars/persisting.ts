// P9: how fast the log is carried into the store, against the same documents in batches of the same size written by the bare
// driver (F6) and by bare SQLite (F5), and whether the lag stays where it is when messages come at 70 % of F6.
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoAnswer, MongoOrder } from '../floor/mongo.ts';
import { type Bar, type BarResult, type Context, pairedRow, plainRow, type Row } from '../kit/bar.ts';
import type { Child } from '../kit/child.ts';
import { PARTS, PERSIST_BATCH } from '../kit/cluster-world.ts';
import { cpuBetween, markCpu } from '../kit/cpu.ts';
import { newAudit } from '../kit/measure.ts';
import { startBenchProgram, startFloor } from '../kit/programs.ts';
import { clusterDurability, type Service, startMongo, startRedis } from '../kit/services.ts';
import { SqliteFloor } from '../kit/sqlite-floor.ts';
import { mean } from '../kit/stats.ts';
import { makeTemporary, removeTemporary } from '../kit/temporary.ts';
import type { CarrierAnswer, CarrierOrder } from '../subject/carrier.ts';

const SHARE_OF_FLOOR = 0.7;
/** A lag that grows by less than this share of the rate is flat: it is about the noise of two thirds of a window. */
const FLAT_SHARE = 0.02;
const LOOK_EVERY_MS = 200;

class Carrier {
  readonly child: Child;

  private constructor(child: Child) {
    this.child = child;
  }

  static async start(words: readonly string[]): Promise<Carrier> {
    const child = startBenchProgram('subject/carrier.ts', words, null);
    await child.listening();
    return new Carrier(child);
  }

  async ask(order: CarrierOrder): Promise<CarrierAnswer> {
    return (await this.child.ask(order)) as CarrierAnswer;
  }
}

interface Carried {
  readonly perSecond: number;
  /** Of the process that carries, per row. */
  readonly cpuUs: number;
  /** Of mongod, where there is one. */
  readonly mongoUs: number;
}

async function carried(carrier: Carrier, changes: number, mongo: Service | null): Promise<Carried> {
  await carrier.ask({ do: 'rest' });
  await carrier.ask({ do: 'fill', changes });
  const { pid } = carrier.child;
  const before = markCpu(pid);
  const mongoBefore = mongo === null ? null : markCpu(mongo.pid);
  const start = performance.now();
  await carrier.ask({ do: 'carry' });
  const seconds = (performance.now() - start) / 1_000;
  const cpuUs = cpuBetween(before, markCpu(pid)) / changes;
  const mongoUs = mongo === null || mongoBefore === null ? 0 : cpuBetween(mongoBefore, markCpu(mongo.pid)) / changes;
  await carrier.ask({ do: 'rest' });
  return { perSecond: changes / seconds, cpuUs, mongoUs };
}

interface Lag {
  /** Changes, on average over the window. */
  readonly changes: number;
  /** By how much it grew, as a share of what came. */
  readonly growth: number;
}

/** The first third of the window is not looked at: the lag has to arrive where it stays. */
async function lagAt(carrier: Carrier, perSecond: number, windowMs: number): Promise<Lag> {
  await carrier.ask({ do: 'flow', perSecond });
  await delay(windowMs / 3);
  const lags: number[] = [];
  const start = performance.now();
  while (performance.now() - start < (windowMs * 2) / 3) {
    const { appended, stored } = await carrier.ask({ do: 'look' });
    lags.push(appended - stored);
    await delay(LOOK_EVERY_MS);
  }
  await carrier.ask({ do: 'rest' });
  const half = lags.length >> 1;
  // The middles of the two halves are a third of the window apart.
  const grown = mean(lags.slice(half)) - mean(lags.slice(0, half));
  return { changes: mean(lags), growth: grown / ((perSecond * windowMs) / 3_000) };
}

interface Figures {
  readonly floors: number[];
  readonly carried: number[];
  readonly cpu: number[];
}

const figures = (): Figures => ({ floors: [], carried: [], cpu: [] });

function rowsOf(what: string, floorName: string, { floors, carried, cpu }: Figures): Row[] {
  return [
    pairedRow({
      what: `rows/s, log → ${what}, batches of ${PERSIST_BATCH}`,
      unit: '/s',
      floorName,
      floors,
      servers: carried,
      limit: '≥ 0.7 ×',
      isMet: (ratio) => ratio >= SHARE_OF_FLOOR,
    }),
    plainRow({ what: `CPU of the carrying process per row, log → ${what}`, unit: 'µs', servers: cpu }),
  ];
}

/** F6 and the carrier take turns on one mongod, in databases of their own. */
async function mongoFloor(mongo: Service) {
  const child = startFloor('mongo.ts', [mongo.url], null);
  await child.listening();
  const ask = async (order: MongoOrder) => (await child.ask(order)) as MongoAnswer;
  return {
    flatOut: async (inFlight: number, ms: number) => {
      const { rows: before } = await ask({ do: 'look' });
      const cpu = markCpu(mongo.pid);
      const start = performance.now();
      const { rows } = await ask({ do: 'flat-out', batch: PERSIST_BATCH, inFlight, ms });
      const perSecond = ((rows - before) * 1_000) / (performance.now() - start);
      return { perSecond, mongoUs: cpuBetween(cpu, markCpu(mongo.pid)) / (rows - before) };
    },
    stop: () => child.stop(),
  };
}

async function intoMongo(context: Context, redis: Service, mongo: Service): Promise<Row[]> {
  const { quick, repeats, say } = context;
  const changes = quick ? 10_000 : 100_000;
  const floor = await mongoFloor(mongo);
  const carrier = await Carrier.start(['cluster', redis.url, mongo.url, String(PARTS)]);
  const all = figures();
  const mongoCpu = { floors: [] as number[], servers: [] as number[] };
  const lags: Lag[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const { perSecond: floorPerSecond, mongoUs: floorMongoUs } = await floor.flatOut(PARTS, quick ? 1_000 : 5_000);
    const { perSecond, cpuUs, mongoUs } = await carried(carrier, changes, mongo);
    mongoCpu.floors.push(floorMongoUs);
    mongoCpu.servers.push(mongoUs);
    all.floors.push(floorPerSecond);
    all.carried.push(perSecond);
    all.cpu.push(cpuUs);
    const lag = await lagAt(carrier, floorPerSecond * SHARE_OF_FLOOR, quick ? 3_000 : 15_000);
    lags.push(lag);
    say(
      `MongoDB: F6 ${Math.round(floorPerSecond)}/s, carried ${Math.round(perSecond)}/s; at 70 % of F6 the lag is ` +
        `${Math.round(lag.changes)} and grows by ${(lag.growth * 100).toFixed(1)} % of what comes`,
    );
  }
  await carrier.child.stop();
  await floor.stop();
  return [
    ...rowsOf(`MongoDB, ${PARTS} at a time`, 'F6', all),
    pairedRow({ what: 'CPU of mongod per row', unit: 'µs', floorName: 'F6', ...mongoCpu }),
    plainRow({
      what: 'growth of the lag at 70 % of F6, share of what comes',
      unit: '%',
      servers: lags.map(({ growth }) => growth * 100),
      limit: 'flat',
      isMet: (percent) => percent <= FLAT_SHARE * 100,
    }),
    plainRow({ what: 'the lag at 70 % of F6', unit: 'rows', servers: lags.map((lag) => lag.changes) }),
  ];
}

async function intoSqlite({ quick, repeats, say }: Context): Promise<Row[]> {
  const changes = quick ? 20_000 : 200_000;
  const folder = makeTemporary();
  const floor = await SqliteFloor.start(null, 'changes');
  const carrier = await Carrier.start(['embedded', folder]);
  const all = figures();
  for (let repeat = 0; repeat < repeats; repeat++) {
    const flatOut = await floor.flatOut(PERSIST_BATCH, quick ? 500 : 3_000);
    const { perSecond, cpuUs } = await carried(carrier, changes, null);
    all.floors.push(flatOut.rows / flatOut.seconds);
    all.carried.push(perSecond);
    all.cpu.push(cpuUs);
    say(`SQLite: F5 ${Math.round(all.floors.at(-1) ?? 0)}/s, carried ${Math.round(perSecond)}/s`);
  }
  await carrier.child.stop();
  await floor.stop();
  removeTemporary(folder);
  return rowsOf('SQLite', 'F5', all);
}

async function run(context: Context): Promise<BarResult> {
  const [redis, mongo] = await Promise.all([startRedis(null), startMongo(null)]);
  const rows = [...(await intoMongo(context, redis, mongo)), ...(await intoSqlite(context))];
  await Promise.all([redis.stop(), mongo.stop()]);
  return { rows, audit: newAudit(), loadCpu: 0, durability: clusterDurability(redis, mongo) };
}

export const p9: Bar = { id: 'P9', title: 'from the log into the store', fullSeconds: 240, run };
