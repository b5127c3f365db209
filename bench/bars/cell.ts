// P10: what one more node costs, per message: every node reads the whole log. First of real nodes of which only the first has
// connections; then of the stream alone, where entries of one change each stand against entries of one call each (`packed`,
// as the log writes them), with readers that do no more than read. Last the rate at which reading alone fills a core.
import { setTimeout as delay } from 'node:timers/promises';
import type { ReaderAnswer } from '../floor/redis-reader.ts';
import { type Bar, type BarResult, type Context, pairedRow, plainRow, type Row } from '../kit/bar.ts';
import type { Child } from '../kit/child.ts';
import { PARTS } from '../kit/cluster-world.ts';
import { type CpuMark, cpuBetween, markCpu } from '../kit/cpu.ts';
import { type Audit, addToAudit, type Cell, measure, newAudit, type Timing } from '../kit/measure.ts';
import { startFloor } from '../kit/programs.ts';
import { type RedisCell, RedisFloor } from '../kit/redis-floor.ts';
import { pairs, type Scene } from '../kit/scene.ts';
import { type ClusterStage, connectUsers, stageCluster, WITHOUT_PERSISTING } from '../kit/stage.ts';
import { mean } from '../kit/stats.ts';

const USERS = 400;
const TEXT_BYTES = 24;
const MANY_NODES = 4;
const READERS = 4;
const SCENE: Scene = { name: 'pairs', users: USERS, convs: pairs(USERS) };
/** Entries of one reply and part: packed ones as the log's reader asks for, single ones as many as a packed one may hold. */
const MAX_ENTRIES = { packed: 16, each: 512 } as const;
const FLAT_OUT_BATCH = 64;

type Format = keyof typeof MAX_ENTRIES;

/** Of one node more, per message, microseconds. */
interface Added {
  readonly redis: number;
  readonly node: number;
  /** Of Redis with one node. */
  readonly redisBase: number;
}

class Nodes {
  readonly #stages: readonly [ClusterStage, ClusterStage];
  readonly #timing: Timing;
  loadCpu = 0;

  private constructor(stages: readonly [ClusterStage, ClusterStage], timing: Timing) {
    this.#stages = stages;
    this.#timing = timing;
  }

  static async start({ say }: Context, timing: Timing): Promise<Nodes> {
    const options = { scene: SCENE, roles: WITHOUT_PERSISTING, allCores: true, say };
    const stages = [await stageCluster(options), await stageCluster({ ...options, nodes: MANY_NODES })] as const;
    for (const each of stages) await connectUsers(each, 0, USERS, { ports: each.ports.slice(0, 1) });
    return new Nodes(stages, timing);
  }

  get durability(): string {
    return this.#stages[0].durability;
  }

  async addedAt(rate: number): Promise<Added> {
    const [one, many] = this.#stages;
    const alone = await this.#cell(one, rate);
    const together = await this.#cell(many, rate);
    const redis = ({ besideUs, acked }: Cell) => (besideUs.Redis ?? 0) / acked;
    const others = Object.entries(together.besideUs).filter(([name]) => name.startsWith('node'));
    return {
      redisBase: redis(alone),
      redis: (redis(together) - redis(alone)) / (MANY_NODES - 1),
      node: mean(others.map(([, us]) => us / together.acked)),
    };
  }

  async #cell(each: ClusterStage, rate: number): Promise<Cell> {
    const sources = SCENE.convs.map((_, conv) => each.source(conv));
    const cell = await measure(each, { kind: 'open', rate, textBytes: TEXT_BYTES, sources }, this.#timing);
    this.loadCpu = Math.max(this.loadCpu, cell.loadCpu);
    return cell;
  }

  async end(audit: Audit): Promise<void> {
    for (const each of this.#stages) {
      addToAudit(audit, await each.load.settle());
      await each.stop();
    }
  }
}

interface StreamCell {
  /** Per change, microseconds. */
  readonly redis: number;
  readonly reader: number;
  readonly perEntry: number;
}

/** A writer and readers on a Redis of their own, with one format. */
class Stream {
  readonly #floor: RedisFloor;
  readonly #readers: readonly Child[];

  private constructor(floor: RedisFloor, readers: readonly Child[]) {
    this.#floor = floor;
    this.#readers = readers;
  }

  static async start(format: Format, readers: number): Promise<Stream> {
    const floor = await RedisFloor.start({ format, parts: PARTS, allCores: true });
    const words = [String(floor.redis.port), String(PARTS), String(MAX_ENTRIES[format])];
    const children = Array.from({ length: readers }, () => startFloor('redis-reader.ts', words, null));
    for (const child of children) await child.listening();
    return new Stream(floor, children);
  }

  async atRate(rate: number, { warmMs, windowMs }: Timing): Promise<StreamCell> {
    await this.#floor.begin(rate);
    await delay(warmMs);
    const cell = await this.#cell(() => this.#floor.window(() => delay(windowMs)));
    await this.#floor.end();
    return cell;
  }

  flatOut(ms: number): Promise<StreamCell> {
    return this.#cell(async () => {
      const written = await this.#floor.flatOut(FLAT_OUT_BATCH, ms);
      await this.#caughtUp();
      return written;
    });
  }

  async #cell(pass: () => Promise<RedisCell>): Promise<StreamCell> {
    const before = await this.#look();
    const { redisUs, rows } = await pass();
    const after = await this.#look();
    const readers = after.map(({ cpu, answer }, index) => {
      const first = before[index] as Look;
      return cpuBetween(first.cpu, cpu) / (answer.changes - first.answer.changes);
    });
    const [first, last] = [before[0] as Look, after[0] as Look];
    const perEntry = (last.answer.changes - first.answer.changes) / (last.answer.entries - first.answer.entries);
    return { redis: redisUs / rows, reader: mean(readers), perEntry };
  }

  async #caughtUp(): Promise<void> {
    const rows = await this.#floor.rows();
    while ((await this.#look()).some(({ answer }) => answer.changes < rows)) await delay(20);
  }

  #look(): Promise<Look[]> {
    return Promise.all(
      this.#readers.map(async (reader) => ({
        answer: (await reader.ask({})) as ReaderAnswer,
        cpu: markCpu(reader.pid),
      })),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.stop()));
    await this.#floor.stop();
  }
}

interface Look {
  readonly answer: ReaderAnswer;
  readonly cpu: CpuMark;
}

async function runNodes(context: Context, rates: readonly number[], timing: Timing, audit: Audit) {
  const { repeats, say } = context;
  const nodes = await Nodes.start(context, timing);
  const added = new Map<number, Added[]>(rates.map((rate) => [rate, []]));
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const rate of rates) {
      const each = await nodes.addedAt(rate);
      added.get(rate)?.push(each);
      const { redis, node } = each;
      say(
        `${rate} messages/s: one node more costs ${node.toFixed(1)} µs in it and ${redis.toFixed(1)} µs in Redis each`,
      );
    }
  }
  await nodes.end(audit);
  const rows = [...added].flatMap(([rate, samples]) => nodeRows(rate, samples));
  return { rows, loadCpu: nodes.loadCpu, durability: nodes.durability };
}

function nodeRows(rate: number, samples: readonly Added[]): Row[] {
  const pick = (name: keyof Added) => samples.map((sample) => sample[name]);
  return [
    plainRow({ what: `CPU of one node more, per message, at ${rate}/s`, unit: 'µs', servers: pick('node') }),
    plainRow({ what: `CPU of Redis for one node more, per message, at ${rate}/s`, unit: 'µs', servers: pick('redis') }),
    plainRow({
      what: `CPU of Redis for the first node, per message, at ${rate}/s`,
      unit: 'µs',
      servers: pick('redisBase'),
    }),
  ];
}

async function runStreams({ quick, repeats, say }: Context, rates: readonly number[], timing: Timing): Promise<Row[]> {
  const readers = quick ? 1 : READERS;
  const formats = ['each', 'packed'] as const;
  const streams = [await Stream.start('each', readers), await Stream.start('packed', readers)] as const;
  const steps = [...rates, null];
  const cells = steps.map((): [StreamCell[], StreamCell[]] => [[], []]);
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [index, rate] of steps.entries()) {
      for (const side of [0, 1] as const) {
        const stream = streams[side];
        const cell = rate === null ? await stream.flatOut(timing.windowMs) : await stream.atRate(rate, timing);
        cells[index]?.[side].push(cell);
        const { redis, reader, perEntry } = cell;
        say(
          `${nameOf(rate)}, ${formats[side]}: Redis ${redis.toFixed(1)} µs, a reader ${reader.toFixed(1)} µs a change, ` +
            `${perEntry.toFixed(1)} changes an entry`,
        );
      }
    }
  }
  for (const stream of streams) await stream.stop();
  return steps.flatMap((rate, index) => streamRows(nameOf(rate), readers, cells[index] ?? [[], []]));
}

function nameOf(rate: number | null): string {
  return rate === null ? `flat out, ${PARTS} × ${FLAT_OUT_BATCH} a call` : `${rate}/s`;
}

function streamRows(when: string, readers: number, [each, packed]: [StreamCell[], StreamCell[]]): Row[] {
  const compared = (what: string, of: (cell: StreamCell) => number) =>
    pairedRow({
      what: `${what}, packed entries against one a change, ${when}`,
      unit: 'µs',
      floorName: 'each',
      floors: each.map(of),
      servers: packed.map(of),
    });
  const rows = [
    compared(`stream alone: Redis per change, ${readers} readers`, ({ redis }) => redis),
    compared('stream alone: a reader per change', ({ reader }) => reader),
    plainRow({ what: `changes a packed entry, ${when}`, unit: '', servers: packed.map(({ perEntry }) => perEntry) }),
  ];
  if (!when.startsWith('flat')) return rows;
  const ceiling = packed.map(({ reader }) => 1e6 / reader);
  return [
    ...rows,
    plainRow({ what: 'changes/s at which reading alone fills a core of every node', unit: '/s', servers: ceiling }),
  ];
}

async function run(context: Context): Promise<BarResult> {
  const { quick } = context;
  const rates = quick ? [1_000, 5_000] : [1_000, 5_000, 20_000];
  const timing = quick ? { warmMs: 300, windowMs: 1_000 } : { warmMs: 1_000, windowMs: 4_000 };
  const audit = newAudit();
  const nodes = await runNodes(context, rates, timing, audit);
  const streams = await runStreams(context, rates, timing);
  return { ...nodes, rows: [...nodes.rows, ...streams], audit };
}

export const p10: Bar = { id: 'P10', title: 'what one more node costs', fullSeconds: 420, run };
