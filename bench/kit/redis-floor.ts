// F4 under the bench's hand: appends to a Redis of its own, at a rate or flat out; CPU of the program and of Redis apart.
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisAnswer, RedisOrder } from '../floor/redis.ts';
import type { RedisFormat } from '../floor/redis-rows.ts';
import type { Child } from './child.ts';
import { cpuBetween, markCpu } from './cpu.ts';
import type { Timing } from './measure.ts';
import { OTHER_CORES, SUBJECT_CORES, startFloor } from './programs.ts';
import { type Service, startRedis } from './services.ts';

export interface RedisCell {
  readonly seconds: number;
  /** Of the program that appends. */
  readonly cpuUs: number;
  readonly redisUs: number;
  readonly rows: number;
  readonly calls: number;
}

export interface RedisFloorOptions {
  readonly format: RedisFormat;
  readonly parts?: number;
  /** Program and Redis on all cores, as in production; else the program has one and Redis the others. */
  readonly allCores?: boolean;
}

export class RedisFloor {
  readonly redis: Service;
  readonly #child: Child;

  private constructor(child: Child, redis: Service) {
    this.#child = child;
    this.redis = redis;
  }

  static async start({ format, parts = 1, allCores = false }: RedisFloorOptions): Promise<RedisFloor> {
    const redis = await startRedis(allCores ? null : OTHER_CORES);
    const words = [String(redis.port), format, String(parts)];
    const child = startFloor('redis.ts', words, allCores ? null : SUBJECT_CORES);
    await child.listening();
    return new RedisFloor(child, redis);
  }

  async atRate(perSecond: number, { warmMs, windowMs }: Timing): Promise<RedisCell> {
    await this.begin(perSecond);
    await delay(warmMs);
    const cell = await this.window(() => delay(windowMs));
    await this.end();
    return cell;
  }

  async flatOut(batch: number, ms: number): Promise<RedisCell> {
    return this.window(() => this.#ask({ do: 'flat-out', batch, ms }));
  }

  async begin(perSecond: number): Promise<void> {
    await this.#ask({ do: 'rate', perSecond });
  }

  async end(): Promise<void> {
    await this.#ask({ do: 'stop' });
  }

  /** Rows since it began. */
  async rows(): Promise<number> {
    return (await this.#ask({ do: 'look' })).rows;
  }

  async window(pass: () => Promise<unknown>): Promise<RedisCell> {
    const first = await this.#ask({ do: 'look' });
    const pids = [this.#child.pid, this.redis.pid];
    const before = pids.map(markCpu);
    const start = performance.now();
    await pass();
    const seconds = (performance.now() - start) / 1_000;
    const [cpuUs = 0, redisUs = 0] = pids.map((pid, index) => cpuBetween(before[index] ?? markCpu(pid), markCpu(pid)));
    const last = await this.#ask({ do: 'look' });
    return { seconds, cpuUs, redisUs, rows: last.rows - first.rows, calls: last.calls - first.calls };
  }

  async #ask(order: RedisOrder): Promise<RedisAnswer> {
    return (await this.#child.ask(order)) as RedisAnswer;
  }

  async stop(): Promise<void> {
    await this.#child.stop();
    await this.redis.stop();
  }
}
