// The main side's end of the worker: asks, and matches the answers, which come in the order of the questions.
// A worker that dies fails everything asked and to be asked; it is not started again within the process.
import { Worker } from 'node:worker_threads';
import { StartError } from '../../errors.ts';
import type { Answer, LogOptions, Opened, Request } from './log-messages.ts';

type AnswerTo<R extends Request> = Extract<
  Answer,
  {
    is: { open: 'opened' | 'refused'; commit: 'committed'; read: 'page'; recall: 'recalled'; close: 'closed' }[R['is']];
  }
>;

interface Asked {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/**
 * Loads the thread at once; it opens its file when the store's has its tables.
 * @throws StartError the file cannot be taken, or what `storeReady` rejects with
 */
export async function startLogThread(
  options: LogOptions,
  storeReady: Promise<unknown>,
): Promise<{ thread: LogThread; opened: Opened }> {
  const thread = new LogThread(options);
  try {
    await storeReady;
    const first = await thread.ask({ is: 'open' });
    if (first.is === 'refused') throw new StartError(first.reason);
    return { thread, opened: first };
  } catch (error) {
    await thread.end();
    throw error;
  }
}

export class LogThread {
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  readonly #asked: Asked[] = [];
  #dead: Error | undefined;
  #closing = false;
  #onCrash: ((error: Error) => void) | undefined;

  constructor(options: LogOptions) {
    this.#worker = new Worker(new URL('./log-worker.ts', import.meta.url), { name: 'log', workerData: options });
    this.ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.on('message', (answer: Answer) => this.#onAnswer(answer));
    this.#worker.on('error', (error) => this.#onEnd(error as Error));
    this.#worker.on('exit', () => this.#onEnd(new Error('the log thread has ended')));
  }

  get dead(): boolean {
    return this.#dead !== undefined;
  }

  /** Calls when the thread ends without having been asked to. */
  onCrash(call: (error: Error) => void): void {
    this.#onCrash = call;
  }

  /** For a thread that has nothing open. */
  async end(): Promise<void> {
    this.#closing = true;
    await this.#worker.terminate();
  }

  ask<R extends Request>(request: R): Promise<AnswerTo<R>> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    if (request.is === 'close') this.#closing = true;
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve: (answer) => resolve(answer as AnswerTo<R>), reject });
      this.#worker.postMessage(request);
    });
  }

  #onAnswer(answer: Answer): void {
    const asked = this.#asked.shift();
    if (answer.is === 'failed') asked?.reject(new Error(answer.reason));
    else asked?.resolve(answer);
  }

  #onEnd(error: Error): void {
    if (this.#dead !== undefined) return;
    this.#dead = error;
    for (const asked of this.#asked.splice(0)) asked.reject(error);
    if (!this.#closing) this.#onCrash?.(error);
  }
}
