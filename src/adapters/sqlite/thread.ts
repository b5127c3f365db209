// A thread of its own for a database: the main side. Calls of one turn of the event loop travel as one message and share
// a commit; an answer comes only after it. A thread that dies takes its unanswered calls with it: their outcome is unknown.
import { Worker } from 'node:worker_threads';
import { ChatError } from '../../errors.ts';
import { type AnswerMessage, type CallMessage, CLOSE, errorOf } from './thread-messages.ts';

/** Runs an operation on the thread; resolves once it is committed, with what the operation returned. */
export type Call = (op: string, ...args: unknown[]) => Promise<unknown>;

/** `Call`, for the operations of one module. */
export type CallOf<Operations extends Record<string, (...args: never[]) => unknown>> = <
  Name extends keyof Operations & string,
>(
  op: Name,
  ...args: Parameters<Operations[Name]>
) => Promise<ReturnType<Operations[Name]>>;

export interface Thread {
  readonly call: Call;
  /** Answers every call made before, then closes the database. */
  close(): Promise<void>;
}

export interface ThreadOptions {
  /** A module that calls `serveThread`. */
  readonly module: URL;
  readonly name: string;
  readonly data: unknown;
  /** The thread has died. The process cannot go on with it. */
  readonly onCrash: (error: Error) => void;
}

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** @throws StartError (or whatever else opening the database failed with) */
export async function startThread(options: ThreadOptions): Promise<Thread> {
  const thread = new DatabaseThread(options);
  await thread.opened;
  return thread;
}

class DatabaseThread implements Thread {
  /** The first answer is that of the opening. */
  readonly opened: Promise<unknown>;
  readonly #worker: Worker;
  readonly #onCrash: (error: Error) => void;
  readonly #ended: Promise<void>;
  #calls: CallMessage[] = [];
  /** In the order of the calls, which is that of the answers. */
  readonly #waiting: Waiter[] = [];
  #state: 'opening' | 'open' | 'closing' | 'closed' = 'opening';

  constructor({ module, name, data, onCrash }: ThreadOptions) {
    this.#onCrash = onCrash;
    this.opened = this.#wait();
    this.#worker = new Worker(module, { name, workerData: data });
    this.#worker.on('message', (answers: readonly AnswerMessage[]) => this.#onAnswers(answers));
    this.#worker.on('error', (error) => this.#onDeath(error instanceof Error ? error : new Error(String(error))));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#onExit(code);
        resolve();
      });
    });
  }

  readonly call: Call = (op, ...args) => {
    if (this.#state !== 'open') return Promise.reject(new ChatError('unavailable'));
    if (this.#calls.length === 0) setImmediate(() => this.#send());
    this.#calls.push([op, args]);
    return this.#wait();
  };

  async close(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing';
      this.#send();
      this.#worker.postMessage(CLOSE);
    }
    await this.#ended;
  }

  #wait(): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #send(): void {
    if (this.#calls.length === 0) return;
    this.#worker.postMessage(this.#calls);
    this.#calls = [];
  }

  #onAnswers(answers: readonly AnswerMessage[]): void {
    const waiters = this.#waiting.splice(0, answers.length);
    for (const [index, answer] of answers.entries()) {
      if (this.#state === 'opening') this.#state = 'failure' in answer ? 'closed' : 'open';
      if ('failure' in answer) waiters[index]?.reject(errorOf(answer.failure));
      else waiters[index]?.resolve(answer.value);
    }
  }

  #onDeath(error: Error): void {
    if (this.#state === 'closed') return;
    const wasOpen = this.#state !== 'opening';
    this.#state = 'closed';
    this.#calls = [];
    const unknown = wasOpen ? new ChatError('unavailable', { cause: error }) : error;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(unknown);
    if (wasOpen) this.#onCrash(error);
  }

  #onExit(code: number): void {
    if (this.#waiting.length > 0 || this.#state === 'open')
      this.#onDeath(new Error(`a database thread ended (${code})`));
    this.#state = 'closed';
  }
}
