// Several processes on one port: starts them, starts again what dies, ends them together. Serves nothing itself; the kernel
// spreads connections over the workers' sockets (SO_REUSEPORT). Node's `cluster` would hand every connection from process
// to process, or let one worker take most, and ends a worker whose parent is gone without a drain.
import type { ChildProcess } from 'node:child_process';
import type { Logger } from 'pino';
import { StartError } from '../errors.ts';
import { Backoff } from './backoff.ts';
import { Asks, type Note } from './channel.ts';
import { mergeExpositions } from './exposition.ts';

/** How long a worker may take to tell its metrics. */
const METRICS_MS = 2_000;

export interface SupervisorOptions {
  readonly workers: number;
  /** 0 = the one that the first worker finds free. */
  readonly port: number;
  /** A worker that has not ended so long after it was told to is killed. */
  readonly killAfterMs: number;
  /** With a channel, and its output where ours goes. */
  readonly spawn: (index: number, port: number) => ChildProcess;
  readonly log: Logger;
}

/** The place of a worker; who is in it changes. */
class Place {
  readonly index: number;
  readonly backoff = new Backoff();
  readonly asks = new Asks(METRICS_MS);
  child: ChildProcess | null = null;
  startedMs = 0;
  accepts = false;
  refusal: string | null = null;
  restarts = 0;
  restartTimer: NodeJS.Timeout | undefined;

  constructor(index: number) {
    this.index = index;
  }

  tell(note: Note): void {
    // Who is gone hears nothing, and that is no fault.
    this.child?.send(note, () => {});
  }
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #places: readonly Place[];
  readonly #started = Promise.withResolvers<string | null>();
  readonly #ended = Promise.withResolvers<void>();
  #stage: 'starting' | 'serving' | 'stopping' = 'starting';
  #port: number;
  #address = '';
  #allDrained = true;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#port = options.port;
    this.#places = Array.from({ length: options.workers }, (_, index) => new Place(index + 1));
  }

  /**
   * A start is good or bad as a whole, as that of a single process: until all accept, the end of one is the end of all.
   * The first starts alone: it finds the port, and a fault of the environment is told once.
   * @returns the address when all accept; null where a worker died
   * @throws StartError where the environment is at fault
   */
  start(): Promise<string | null> {
    const [first] = this.#places;
    if (first !== undefined) this.#spawn(first);
    return this.#started.promise;
  }

  /** @returns whether all ended by themselves and in order */
  async stop(): Promise<boolean> {
    if (this.#stage === 'stopping') return this.#ended.promise.then(() => this.#allDrained);
    this.#stage = 'stopping';
    for (const { child, restartTimer } of this.#places) {
      clearTimeout(restartTimer);
      child?.kill('SIGTERM');
    }
    const killing = setTimeout(() => this.#kill(), this.#options.killAfterMs);
    this.#endIfNoneIsLeft();
    await this.#ended.promise;
    clearTimeout(killing);
    return this.#allDrained;
  }

  #spawn(place: Place): void {
    const child = this.#options.spawn(place.index, this.#port);
    place.child = child;
    place.startedMs = performance.now();
    place.refusal = null;
    child.on('message', (note) => this.#onNote(place, note as Note));
    // A process that could not be made has no other event than `error`.
    const failed = new Promise<End>((resolve) => {
      child.once('error', () => child.pid === undefined && resolve({ code: null, signal: null }));
    });
    const exited = new Promise<End>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    // What it said last may be read after its exit is known.
    const silent = new Promise<void>((resolve) => child.once('disconnect', resolve));
    const ended = Promise.all([exited, silent]).then(([end]) => end);
    void Promise.race([failed, ended]).then((end) => this.#onEnd(place, end));
  }

  #onNote(place: Place, note: Note): void {
    if (note.t === 'listening') this.#onListening(place, note.address);
    else if (note.t === 'refused') place.refusal = note.reason;
    else if (note.t === 'metrics') place.asks.answer(note.id, note.body);
    else void this.#metrics().then((body) => place.tell({ t: 'metrics', id: note.id, body }));
  }

  #onListening(place: Place, address: string): void {
    place.accepts = true;
    this.#options.log.info({ worker: place.index, workerPid: place.child?.pid }, 'worker accepts');
    if (this.#stage !== 'starting') return;
    if (place === this.#places[0]) this.#startOthers(address);
    if (!this.#places.every(({ accepts }) => accepts)) return;
    this.#stage = 'serving';
    this.#started.resolve(this.#address);
  }

  #startOthers(address: string): void {
    this.#address = address;
    if (this.#port === 0) this.#port = Number(new URL(address).port);
    for (const other of this.#places.slice(1)) this.#spawn(other);
  }

  #onEnd(place: Place, end: End): void {
    place.child = null;
    place.accepts = false;
    if (this.#stage === 'starting') void this.#failToStart(place, end);
    else if (this.#stage === 'serving') this.#startAgain(place, end);
    else {
      // Without a code: it had not come so far as to know the signal.
      this.#allDrained &&= end.code === 0 || end.signal === 'SIGTERM';
      this.#endIfNoneIsLeft();
    }
  }

  async #failToStart({ index, refusal }: Place, end: End): Promise<void> {
    if (end.code !== 2) this.#options.log.fatal({ worker: index, ...end }, 'worker ended before all accepted');
    await this.stop();
    if (end.code !== 2) this.#started.resolve(null);
    else this.#started.reject(new StartError(refusal ?? `worker ${index} refuses to start`));
  }

  #startAgain(place: Place, end: End): void {
    const afterMs = place.backoff.after(performance.now() - place.startedMs);
    const reason = place.refusal === null ? {} : { reason: place.refusal };
    this.#options.log.warn({ worker: place.index, ...end, ...reason, afterMs }, 'worker ended; starting it again');
    place.restarts += 1;
    place.restartTimer = setTimeout(() => this.#spawn(place), afterMs);
  }

  #kill(): void {
    for (const { index, child } of this.#places) {
      if (child === null) continue;
      this.#options.log.error({ worker: index }, 'worker does not end; killed');
      child.kill('SIGKILL');
    }
  }

  #endIfNoneIsLeft(): void {
    if (this.#places.every(({ child }) => child === null)) this.#ended.resolve();
  }

  /** The metrics of all workers that tell theirs, and what only the supervisor knows. */
  async #metrics(): Promise<string> {
    const asked = this.#places.map(async (place) => {
      const body = place.accepts ? await place.asks.ask((note) => place.tell(note)) : null;
      return [place.index, `${body ?? ''}\n${metricsOf(place)}`] as const;
    });
    return mergeExpositions(new Map(await Promise.all(asked)));
  }
}

function metricsOf({ accepts, restarts }: Place): string {
  return [
    '# HELP chat_worker_up Whether the worker accepts.',
    '# TYPE chat_worker_up gauge',
    `chat_worker_up ${accepts ? 1 : 0}`,
    '# HELP chat_worker_restarts_total Times the worker was started again.',
    '# TYPE chat_worker_restarts_total counter',
    `chat_worker_restarts_total ${restarts}`,
    '',
  ].join('\n');
}
