// F5 under the bench's hand: node:sqlite group commit alone, at a rate or flat out.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SqliteAnswer, SqliteOrder } from '../floor/sqlite.ts';
import type { Child } from './child.ts';
import { cpuBetween, markCpu } from './cpu.ts';
import type { Timing } from './measure.ts';
import { startFloor } from './programs.ts';
import { makeTemporary, removeTemporary } from './temporary.ts';

export interface SqliteCell {
  readonly seconds: number;
  readonly cpuUs: number;
  readonly rows: number;
}

export class SqliteFloor {
  readonly #child: Child;
  readonly #folder: string;

  private constructor(child: Child, folder: string) {
    this.#child = child;
    this.#folder = folder;
  }

  /** @param table `changes`: the rows and indexes of the store's own table */
  static async start(cores?: string | null, table: 'log' | 'changes' = 'log'): Promise<SqliteFloor> {
    const folder = makeTemporary();
    const child = startFloor('sqlite.ts', [join(folder, 'floor.db'), table], cores);
    await child.listening();
    return new SqliteFloor(child, folder);
  }

  async atRate(perSecond: number, { warmMs, windowMs }: Timing): Promise<SqliteCell> {
    await this.#ask({ do: 'rate', perSecond });
    await delay(warmMs);
    const cell = await this.#window(() => delay(windowMs));
    await this.#ask({ do: 'stop' });
    return cell;
  }

  flatOut(batch: number, ms: number): Promise<SqliteCell> {
    return this.#window(() => this.#ask({ do: 'flat-out', batch, ms }));
  }

  async #window(pass: () => Promise<unknown>): Promise<SqliteCell> {
    const { rows: rowsBefore } = await this.#ask({ do: 'look' });
    const before = markCpu(this.#child.pid);
    const start = performance.now();
    await pass();
    const seconds = (performance.now() - start) / 1_000;
    const cpuUs = cpuBetween(before, markCpu(this.#child.pid));
    const { rows } = await this.#ask({ do: 'look' });
    return { seconds, cpuUs, rows: rows - rowsBefore };
  }

  async #ask(order: SqliteOrder): Promise<SqliteAnswer> {
    return (await this.#child.ask(order)) as SqliteAnswer;
  }

  async stop(): Promise<void> {
    await this.#child.stop();
    removeTemporary(this.#folder);
  }
}
