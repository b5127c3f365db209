// A redis-server whose every act on its append-only file is written down, so that it can be brought back as after a power
// loss: of that file only what was synced.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ask, launch, type Server } from '../../ops/service/launch.ts';
import { findProgram } from '../../ops/service/programs.ts';
import { isRedisReady, redisWords } from '../../ops/service/redis.ts';
import { Disk, type Image, readActs, readImage, requireStrace, tracing, writeImage } from '../kit/power.ts';
import { temporaryFolder } from '../kit/process.ts';
import type { Random } from '../kit/random.ts';
import { type OwnServer, type RedisServerOptions, redisServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';

interface Owner {
  teardown(end: () => unknown): void;
}

/** What a power loss left of an append-only file. */
export interface Cut {
  readonly lostBytes: number;
}

export class TracedRedis {
  readonly server: OwnServer;
  readonly #owner: Owner;
  readonly #folder: string;
  readonly #options: RedisServerOptions;
  #trace = '';
  #image: Image = new Map();
  #pid = 0;
  #strace: Server | undefined;

  /** Runs already, traced. */
  static async start(t: Owner, options: RedisServerOptions): Promise<TracedRedis> {
    await requireStrace();
    const redis = new TracedRedis(t, await redisServer(t, options), options);
    // It has made its files: their names are what a power loss leaves, too.
    await redis.server.kill();
    await redis.trace();
    return redis;
  }

  private constructor(t: Owner, server: OwnServer, options: RedisServerOptions) {
    this.#owner = t;
    this.server = server;
    this.#options = options;
    this.#folder = join(server.dir, 'appendonlydir');
    t.teardown(() => this.#end());
  }

  /** Starts it on what its files hold. To be called when it is not running, and these are empty. */
  async trace(): Promise<void> {
    this.#image = await readImage(this.#folder);
    this.#trace = join(await temporaryFolder(this.#owner), 'trace');
    const { path } = await findProgram('redis-server', () => undefined);
    const { dir, port } = this.server;
    const [program, ...words] = tracing(this.#trace);
    const traced = await launch({
      name: 'traced',
      program,
      dir,
      port,
      // By default it takes no signal.
      words: () => ['-I', '2', ...words, path, ...redisWords(port, { ...this.#options, dir })],
      isReady: async () => {
        this.#pid = await pidOf(port);
        return isRedisReady(port, this.#pid);
      },
      life: 'ends with us',
    });
    this.#strace = traced;
  }

  /** Cuts the power, and starts it again on what is left, not traced any more. */
  async losePower(random: Random): Promise<Cut> {
    await this.#end();
    const disk = new Disk(this.#image);
    disk.run(readActs(await readFile(this.#trace, 'latin1'), this.#folder));
    const left = disk.afterPowerLoss('cut', random);
    const lostBytes = sizeOf(disk.shown()) - sizeOf(left);
    await writeImage(this.#folder, left);
    await this.server.start();
    return { lostBytes };
  }

  /** Redis first: strace would only let it go. It writes the last of its trace, and would wait for other children yet. */
  async #end(): Promise<void> {
    const [pid, strace] = [this.#pid, this.#strace];
    if (pid === 0 || strace === undefined) return;
    this.#pid = 0;
    process.kill(pid, 'SIGKILL');
    await eventually(() => !isAlive(pid));
    strace.signal('SIGTERM');
    await strace.exited;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function pidOf(port: number): Promise<number> {
  return Number(/process_id:(\d+)/.exec(await ask(port, 'INFO server\r\n'))?.[1]);
}

function sizeOf(image: Image): number {
  return [...image.values()].reduce((sum, { length }) => sum + length, 0);
}
