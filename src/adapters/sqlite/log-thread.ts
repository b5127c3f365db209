// The main side's end of the worker: asks, and matches the answers, which come in the order of the questions.
// A worker that dies fails everything asked and to be asked; it is not started again within the process.
import { Worker } from 'node:worker_threads';
import { StartError } from '../../errors.ts';
import type { Answer, LogOptions, Opened, Request } from './log-messages.ts';

type AnswerTo<R extends Request> = Extract<
  Answer,
  { is: { commit: 'committed'; read: 'page'; recall: 'recalled'; close: 'closed' }[R['is']] }
>;

interface Asked {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** @throws StartError the file cannot be taken */
export async function startLogThread(options: LogOptions): Promise<{ thread: LogThread; opened: Opened }> {
  const thread = new LogThread(options);
  const first = await thread.firstAnswer;
  if (first.is === 'opened') return { thread, opened: first };
  await thread.ended;
  throw new StartError(first.is === 'refused' ? first.reason : 'the log did not open');
}

export class LogThread {
  readonly firstAnswer: Promise<Answer>;
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  readonly #asked: Asked[] = [];
  #dead: Error | undefined;
  #closing = false;
  #onCrash: ((error: Error) => void) | undefined;

  constructor(options: LogOptions) {
    this.#worker = new Worker(new URL('./log-worker.ts', import.meta.url), { name: 'log', workerData: options });
    this.firstAnswer = new Promise((resolve, reject) => this.#asked.push({ resolve, reject }));
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
