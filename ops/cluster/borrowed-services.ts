// The services under a cluster: brought up by `ops/services`, and stopped again where they were not up before. Their
// data stay.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ROOT } from '../service/cache.ts';
import { Failure, type Say } from '../service/failure.ts';
import { readRecord, readRecords, type ServiceName, type ServiceRecord } from '../service/records.ts';
import { halt, isAlive } from '../service/up.ts';

export class BorrowedServices {
  readonly #names: readonly ServiceName[];
  readonly #say: Say;
  /** Not up before. */
  #ours: readonly ServiceName[] = [];
  #command: ChildProcess | null = null;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(names: readonly ServiceName[], say: Say) {
    this.#names = names;
    this.#say = say;
  }

  /** A process of its own, and a group: an interruption comes to it once, from us, and it undoes what it has begun. */
  async up(): Promise<void> {
    const alive = await aliveOf(this.#names);
    this.#ours = this.#names.filter((name) => !alive.some(({ service }) => service === name));
    const command = spawn(process.execPath, [join(ROOT, 'ops/service/main.ts'), 'up', ...this.#names], {
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    });
    this.#command = command;
    this.#ended = once(command, 'exit');
    await this.#ended;
    this.#command = null;
    if (command.exitCode === 0) return;
    throw new Failure(command.exitCode === 2 ? 2 : 1, `"ops/services up ${this.#names.join(' ')}" failed`);
  }

  /** For the nodes: those of all services that `ops/services` has up; the others are in the environment. */
  async settings(): Promise<Readonly<Record<string, string>>> {
    const records = readRecords().filter(({ service }) => service !== 'nginx');
    const alive = await aliveOf(records.map(({ service }) => service));
    return Object.assign({}, ...alive.map((record) => record.settings));
  }

  /** Breaks `up` off where it is under way. */
  async settle(): Promise<void> {
    this.#command?.kill('SIGTERM');
    await this.#ended;
  }

  async giveBack(): Promise<void> {
    for (const record of await aliveOf(this.#ours)) {
      await halt(record);
      this.#say(`${record.service}: stopped; "ops/services down" removes its data`);
    }
  }
}

async function aliveOf(names: readonly ServiceName[]): Promise<readonly ServiceRecord[]> {
  const records = names.map(readRecord).filter((record) => record !== undefined);
  const areAlive = await Promise.all(records.map(isAlive));
  return records.filter((_, i) => areAlive[i]);
}
