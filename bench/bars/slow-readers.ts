// P11: one connection in a hundred stops reading while its room goes on. The others must not notice, the outbox stays within
// its bound, and when they read again they pull what they missed; afterwards the memory is what it was. Who has read nothing
// for two heartbeats is let go of (4005), as if it were gone: it comes back as clients do, and misses nothing either.
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Bar,
  type BarResult,
  type Context,
  EMBEDDED_DURABILITY,
  pairedRow,
  plainRow,
  type Row,
} from '../kit/bar.ts';
import { residentBytes } from '../kit/cpu.ts';
import { collectGarbage } from '../kit/gc.ts';
import { addToAudit, newAudit } from '../kit/measure.ts';
import { type Scene, scatteredRooms } from '../kit/scene.ts';
import { connectUsers, type Stage, stageServer } from '../kit/stage.ts';
import { median } from '../kit/stats.ts';
import type { Histogram } from '../load/histogram.ts';

const LOADS = 2;
const ROOM_SIZE = 100;
const SLOW_SHARE = 0.01;
const DELIVERIES_PER_SECOND = 10_000;
const TEXT_BYTES = 24;
/** What the slow ones do not read: enough to fill the buffers of the system, then the outbox, within seconds. */
const FLOOD_RATE = 100;
const FLOOD_BYTES = 3_900;
const FULL_WITHIN_MS = 60_000;
const WINDOWS = 9;
const LOOK_MS = 250;
const BACK_WITHIN_MS = 1_000;

/** What the server keeps in memory for resumes has to be full before memory is compared (KEEP_TAIL_BYTES in src/app.ts). */
const FILL_RATE = 1_000;
const FILL_MS = 6_000;

/** Everyone in a room of a hundred; the slow ones in another one too, where one more person writes; last a pair. */
function sceneOf(users: number): Scene {
  const slow = Array.from({ length: users * SLOW_SHARE }, (_, index) => index);
  const flood = { kind: 'room', members: [users, ...slow] } as const;
  const pair = { kind: 'direct', members: [users, users - 1] } as const;
  return { name: `slow-${users}`, users: users + 1, convs: [...scatteredRooms(users, ROOM_SIZE, 7), flood, pair] };
}

async function metric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function restingBytes({ child }: Stage, quick: boolean): Promise<number> {
  await delay(quick ? 500 : 2_000);
  await collectGarbage(child);
  await delay(quick ? 300 : 1_000);
  return residentBytes(child.pid);
}

class SlowReaders {
  readonly #stage: Stage;
  readonly #scene: Scene;
  readonly #slow: readonly number[];
  readonly #windowMs: number;

  constructor(stage: Stage, scene: Scene, windowMs: number) {
    this.#stage = stage;
    this.#scene = scene;
    this.#windowMs = windowMs;
    this.#slow = scene.convs.at(-2)?.members.slice(1) ?? [];
  }

  async begin(): Promise<void> {
    const { load } = this.#stage;
    const flood = this.#scene.convs.length - 2;
    const sources = this.#scene.convs.slice(0, flood).map((_, conv) => this.#stage.source(conv, ROOM_SIZE - 1));
    const rate = DELIVERIES_PER_SECOND / ROOM_SIZE;
    await load.begin({ kind: 'open', rate, textBytes: TEXT_BYTES, sources });
    const floodSource = [this.#stage.source(flood)];
    await load.begin({ kind: 'open', rate: FLOOD_RATE, textBytes: FLOOD_BYTES, sources: floodSource, untimed: true });
    await delay(1_000);
  }

  async fillMemory(): Promise<void> {
    const { load } = this.#stage;
    const sources = [this.#stage.source(this.#scene.convs.length - 1)];
    await load.begin({ kind: 'open', rate: FILL_RATE, textBytes: FLOOD_BYTES, sources, untimed: true });
    await delay(FILL_MS);
    await load.settle();
  }

  /** The median of short windows: a core that a hypervisor takes away for a moment spoils one of them. */
  async delivery(): Promise<Delivery> {
    const { load } = this.#stage;
    const windows: Histogram[] = [];
    await load.takeLatencies();
    for (let count = 0; count < WINDOWS; count++) {
      await delay(this.#windowMs);
      windows.push((await load.takeLatencies()).delivery);
    }
    const quantile = (share: number) => median(windows.map((window) => window.quantile(share)));
    return { p50: quantile(0.5), p99: quantile(0.99) };
  }

  /** From a moment when all have everything: who is behind already does not fall behind. @returns the most that waited in all outboxes, bytes */
  async stopReading(): Promise<number> {
    const [port = 0] = this.#stage.ports;
    await this.#stage.load.settle();
    const before = await metric(port, 'chat_behind_total');
    await this.#stage.load.pause(this.#slow);
    await this.begin();
    const end = performance.now() + FULL_WITHIN_MS;
    let most = 0;
    while ((await metric(port, 'chat_behind_total')) - before < this.#slow.length) {
      most = Math.max(most, await metric(port, 'chat_outbox_bytes'));
      if (performance.now() > end) throw new Error('the slow readers did not fall behind');
      await delay(LOOK_MS);
    }
    return most;
  }

  async readAgain(): Promise<void> {
    await this.#stage.load.unpause(this.#slow);
    await delay(1_000);
    await this.#stage.load.settle();
  }
}

interface Delivery {
  readonly p50: number;
  readonly p99: number;
}

interface Figures {
  /** Everybody reading; the others while the slow ones do not. */
  readonly all: Delivery[];
  readonly others: Delivery[];
  /** Memory before and after, bytes. */
  readonly base: number[];
  readonly after: number[];
  readonly outboxes: number[];
}

async function run(context: Context): Promise<BarResult> {
  const { quick, repeats, say } = context;
  const users = quick ? 1_000 : 10_000;
  const scene = sceneOf(users);
  const each = await stageServer({ scene, loads: LOADS, say });
  await connectUsers(each, 0, scene.users);
  await each.load.comeBackOn(each.ports[0] ?? 0, BACK_WITHIN_MS);
  const slowReaders = new SlowReaders(each, scene, quick ? 200 : 1_000);
  const figures: Figures = { all: [], others: [], base: [], after: [], outboxes: [] };
  // What is compiled, cached and kept for resumes once there has been load is not the slow readers'.
  await slowReaders.fillMemory();
  await slowReaders.begin();
  await slowReaders.delivery();
  await each.load.settle();
  for (let repeat = 0; repeat < (quick ? 1 : repeats); repeat++) {
    figures.base.push(await restingBytes(each, quick));
    await slowReaders.begin();
    figures.all.push(await slowReaders.delivery());
    figures.outboxes.push(await slowReaders.stopReading());
    figures.others.push(await slowReaders.delivery());
    await slowReaders.readAgain();
    figures.after.push(await restingBytes(each, quick));
    const [all = 0, others = 0] = [figures.all.at(-1)?.p99, figures.others.at(-1)?.p99];
    const [base = 0, after = 0] = [figures.base.at(-1), figures.after.at(-1)];
    say(
      `p99 ${Math.round(all)} µs, of the others ${Math.round(others)} µs; memory ${Math.round(base / 2 ** 20)} MB, ` +
        `after ${Math.round(after / 2 ** 20)} MB`,
    );
  }
  const audit = newAudit();
  const totals = await each.load.settle();
  addToAudit(audit, totals);
  await each.stop();
  const rows = [
    ...rowsOf(users, figures),
    plainRow({ what: 'changes pulled after, in all', unit: '', servers: [totals.pulled] }),
    plainRow({ what: 'of the slow ones let go of and come back, in all', unit: '', servers: [totals.returned] }),
  ];
  return { rows, audit, loadCpu: 0, durability: EMBEDDED_DURABILITY };
}

function rowsOf(users: number, figures: Figures): Row[] {
  const slow = users * SLOW_SHARE;
  const megabytes = (bytes: readonly number[]) => bytes.map((value) => value / 2 ** 20);
  return [
    pairedRow({
      what: `delivery p99 of the others while ${slow} of ${users} read nothing (floor: all read)`,
      unit: 'µs',
      floorName: 'all read',
      floors: figures.all.map(({ p99 }) => p99),
      servers: figures.others.map(({ p99 }) => p99),
      limit: '≤ 1.10 ×',
      isMet: (ratio) => ratio <= 1.1,
    }),
    pairedRow({
      what: 'delivery p50 of the others (floor: all read)',
      unit: 'µs',
      floorName: 'all read',
      floors: figures.all.map(({ p50 }) => p50),
      servers: figures.others.map(({ p50 }) => p50),
    }),
    pairedRow({
      what: 'memory after, the slow ones having pulled (floor: before)',
      unit: 'MB',
      floorName: 'before',
      floors: megabytes(figures.base),
      servers: megabytes(figures.after),
      limit: '≤ 1.10 ×',
      isMet: (ratio) => ratio <= 1.1,
    }),
    plainRow({
      what: 'most that waited in the outboxes, per slow reader',
      unit: 'kB',
      servers: figures.outboxes.map((bytes) => bytes / slow / 1_024),
    }),
  ];
}

export const p11: Bar = { id: 'P11', title: 'slow readers', fullSeconds: 390, run };
