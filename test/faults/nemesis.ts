// Does to a stage what a schedule says, and tells what it did. A fault begins at its moment, lasts, and is mended; what it
// was is told whether anything came of it or not.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { startProgram } from '../kit/process.ts';
import type { TcpProxy } from '../kit/tcp-proxy.ts';
import { nextWrite, soon } from '../kit/waiting.ts';
import { beginAnew } from './cluster-run.ts';
import type { Event } from './evidence.ts';
import { isOk, isReady, type Run } from './run.ts';
import { type Fault, type Moment, type Step, told, type Weather } from './schedule.ts';
import type { Scope } from './scope.ts';
import { type ClusterStage, EmbeddedStage, type Stage } from './stage.ts';

/** Ends a fault. */
type Mend = () => unknown;

/** Moments that do not come while something else is broken are not waited for longer. */
const PATIENCE_MS = 1_000;
const AFTER_LOSS = 100;
const SLOW_BYTES_PER_SECOND = 30_000;
const FAR_MS = 40;
const FLAPS = 6;

const EVENTS: Readonly<Record<Exclude<Moment['on'], 'log' | 'store'>, (event: Event) => boolean>> = {
  acks: isOk,
  asked: ({ is }) => is === 'invoke',
  greeting: isReady,
  page: ({ is }) => is === 'sync' || is === 'history',
};

/** When something was lost, and when all had left the epoch that ended. */
export interface Loss {
  readonly lostMs: number;
  readonly cutMs: number;
}

export class Nemesis {
  readonly #stage: Stage;
  readonly #run: Run;
  readonly #scope: Scope;
  readonly #beganMs = performance.now();
  readonly #lasting = new Set<Promise<void>>();
  /** What was done, by kind. */
  readonly done = new Map<string, number>();
  /** In words, with the moments in which it happened. */
  readonly log: string[] = [];
  loss: Loss | null = null;

  constructor(stage: Stage, run: Run, scope: Scope) {
    this.#stage = stage;
    this.#run = run;
    this.#scope = scope;
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      await this.#come(step.at, this.#lasting.size > 0);
      this.tell(told(step));
      const mend = await this.#begin(step.fault);
      const lasting = this.#last(step, mend);
      this.#lasting.add(lasting);
      void lasting.catch(() => undefined).finally(() => this.#lasting.delete(lasting));
      if (!step.overlaps) await Promise.all(this.#lasting);
    }
  }

  async #last(step: Step, mend: Mend): Promise<void> {
    await this.#reach(step.acks, isOk, step.mostMs);
    await mend();
    this.tell(`mended: ${step.fault.is}`);
  }

  tell(what: string): void {
    const seconds = ((performance.now() - this.#beganMs) / 1_000).toFixed(1);
    this.log.push(`${seconds} s, ${this.#run.world.history.count('ok')} acks: ${what}`);
  }

  // ---- moments ---------------------------------------------------------------------------------------------------

  async #come({ on, count }: Moment, isBroken: boolean): Promise<void> {
    if (on === 'greeting') await this.#run.hangUp();
    if (on === 'log' || on === 'store') await this.#writtenTo(`${on}.db-wal`);
    else if (isBroken) await this.#reach(count, EVENTS[on], PATIENCE_MS);
    else await this.#run.after(count, EVENTS[on]);
  }

  /** Resolves when so many events have come, or it has taken this long. */
  async #reach(count: number, isWanted: (event: Event) => boolean, mostMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.#run.world.history.after(count, isWanted, resolve);
    const timer = new AbortController();
    const late = delay(mostMs, undefined, timer).catch(() => undefined);
    await Promise.race([promise, late]);
    timer.abort();
    stop();
  }

  async #writtenTo(name: string): Promise<void> {
    if (!(this.#stage instanceof EmbeddedStage)) return;
    const next = nextWrite(this.#stage.dataDir, name);
    await Promise.race([next.written, delay(PATIENCE_MS)]);
    next.stop();
  }

  // ---- faults ----------------------------------------------------------------------------------------------------

  #count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
  }

  #begin(fault: Fault): Promise<Mend> | Mend {
    this.#count(fault.is === 'network' ? `network ${fault.weather}` : fault.is);
    switch (fault.is) {
      case 'kill':
        return this.#kill(fault.node, fault.startsMs);
      case 'term':
        return this.#term(fault.node);
      case 'freeze':
        return this.#freeze(this.#stage.node(fault.node));
      case 'hang up':
        return this.#hangUp(fault.writers);
      case 'deaf':
        return this.#run.writers[fault.writer]?.turnAway() ?? (() => undefined);
      default:
        return this.#stage instanceof EmbeddedStage
          ? this.#beginEmbedded(this.#stage, fault)
          : this.#beginCluster(this.#stage as ClusterStage, fault);
    }
  }

  #beginEmbedded(stage: EmbeddedStage, { is }: Fault): Promise<Mend> | Mend {
    if (is === 'lock store') return lockStore(stage);
    if (is === 'second process') return this.#secondProcess(stage);
    throw new Error(`${is} is nothing for one server`);
  }

  #beginCluster(stage: ClusterStage, fault: Fault): Promise<Mend> | Mend {
    const { cluster } = stage;
    switch (fault.is) {
      case 'network':
        return this.#weather(cluster.nodes[fault.node]?.proxy as TcpProxy, fault.weather);
      case 'kill redis':
        return killed(cluster.redis);
      case 'freeze redis':
        return this.#freeze(cluster.redis);
      case 'kill mongod':
        return killed(cluster.mongo);
      case 'freeze mongod':
        return this.#freeze(cluster.mongo);
      case 'empty redis':
        return this.#lose(stage, async () => stage.emptyRedis());
      case 'short redis':
        return this.#shorten(stage, fault.acks);
      default:
        throw new Error(`${fault.is} is nothing for a cluster`);
    }
  }

  /** Writers are shown to the nodes that run. */
  #meet(): void {
    const { places } = this.#stage;
    if (places.length === 0) this.#run.part();
    else this.#run.meet(...places);
  }

  async #kill(index: number, startsMs: readonly number[]): Promise<Mend> {
    const node = this.#stage.node(index);
    const killed = node.kill('SIGKILL');
    this.#meet();
    await killed;
    return async () => {
      for (const afterMs of startsMs) await this.#killStarting(afterMs);
      await node.start();
      this.#meet();
    };
  }

  async #killStarting(afterMs: number): Promise<void> {
    if (!(this.#stage instanceof EmbeddedStage)) return;
    const { scope, dataDir } = this.#stage;
    const program = await startProgram(scope, { dataDir });
    await delay(afterMs);
    await program.kill('SIGKILL');
    this.#count('kill while starting');
  }

  async #term(index: number): Promise<Mend> {
    const node = this.#stage.node(index);
    const isAlone = this.#lasting.size === 0;
    const exited = node.kill('SIGTERM');
    this.#meet();
    const exit = await soon(exited, () => 'it does not end by SIGTERM');
    // Where something else is broken it may have to give up.
    if (isAlone) this.#scope.same(exit, { code: 0, signal: null }, 'ended by SIGTERM');
    return async () => {
      await node.start();
      this.#meet();
    };
  }

  #freeze(process: { pause(): void; resume(): void }): Mend {
    process.pause();
    return () => process.resume();
  }

  async #hangUp(writers: readonly number[]): Promise<Mend> {
    await Promise.all(writers.map((index) => this.#run.writers[index]?.hangUp()));
    return () => undefined;
  }

  async #secondProcess({ scope, dataDir }: EmbeddedStage): Promise<Mend> {
    const program = await startProgram(scope, { dataDir });
    const exit = await soon(program.exited, () => 'a second process does not end by itself');
    this.#scope.same(exit, { code: 2, signal: null }, 'a second process on the folder');
    return () => undefined;
  }

  #weather(proxy: TcpProxy, weather: Weather): Mend {
    if (weather === 'cut') proxy.cut();
    if (weather === 'cut up') proxy.cut('up');
    if (weather === 'cut down') proxy.cut('down');
    if (weather === 'slow') proxy.slow(SLOW_BYTES_PER_SECOND);
    if (weather === 'far') proxy.delay(FAR_MS);
    if (weather === 'slices') proxy.slice();
    if (weather === 'resets') return this.#repeated(() => proxy.reset());
    if (weather === 'flapping') {
      return this.#repeated(async () => {
        proxy.cut();
        await this.#reach(20, isOk, 100);
        proxy.heal();
      });
    }
    return () => proxy.heal();
  }

  #repeated(happen: () => unknown): Mend {
    return async () => {
      for (let times = 0; times < FLAPS; times++) {
        await happen();
        await this.#reach(20, isOk, 200);
      }
    };
  }

  // ---- losses ----------------------------------------------------------------------------------------------------

  async #shorten(stage: ClusterStage, acks: number): Promise<Mend> {
    const { size } = await stat(await stage.redisFile());
    const lostMs = performance.now();
    await this.#run.after(acks);
    return this.#lose(stage, () => stage.shortenRedis(size), lostMs);
  }

  /** What came before is judged apart from what comes after: everybody leaves and comes back in between. */
  async #lose(stage: ClusterStage, lose: () => Promise<void>, lostMs = performance.now()): Promise<Mend> {
    const { cluster } = stage;
    await cluster.redis.kill();
    await lose();
    await cluster.redis.start();
    return async () => {
      const run = this.#run;
      await run.after(AFTER_LOSS);
      await run.comeToRest(...stage.places);
      await stage.storesAll();
      const cutMs = await beginAnew(run, { nodes: stage.places });
      this.loss = { lostMs, cutMs };
    };
  }
}

async function killed(server: { kill(): Promise<void>; start(): Promise<void> }): Promise<Mend> {
  await server.kill();
  return () => server.start();
}

function lockStore({ dataDir }: EmbeddedStage): Mend {
  const other = new DatabaseSync(join(dataDir, 'store.db'), { timeout: 10_000 });
  other.exec('BEGIN IMMEDIATE');
  return () => {
    other.exec('ROLLBACK');
    other.close();
  };
}
