// A thread of its own for a database: the worker's side. Everything that waits is run in one transaction, each call in a
// savepoint of its own so that one that fails fails alone; answers leave after the commit, in the order of the calls.
// A transaction of reads only takes no write lock and costs no fsync (sqlite.org/lang_transaction.html, deferred).
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { type AnswerMessage, type CallMessage, CLOSE, failureOf } from './thread-messages.ts';

export type Operation = (...args: never[]) => unknown;

export interface Served {
  readonly db: DatabaseSync;
  readonly operations: Readonly<Record<string, Operation>>;
}

type Message = readonly CallMessage[] | typeof CLOSE;

/** To be called once, by the module a thread was started with. */
export function serveThread(open: () => Served): void {
  const port = parentPort;
  if (port === null) throw new Error('this module runs as a thread only');
  let served: Served;
  try {
    served = open();
  } catch (error) {
    port.postMessage([{ failure: failureOf(error) }]);
    return;
  }
  const batches = new Batches(served);
  port.on('message', (first: Message) => handleMessages(port, first, batches));
  port.postMessage([{ value: undefined }]);
}

/** Whatever came while the last commit was under way shares the next one. */
function handleMessages(port: MessagePort, first: Message, batches: Batches): void {
  const calls: CallMessage[] = [];
  let message: Message | undefined = first;
  while (message !== undefined && message !== CLOSE) {
    calls.push(...message);
    message = receiveMessageOnPort(port)?.message as Message | undefined;
  }
  if (calls.length > 0) port.postMessage(batches.run(calls));
  if (message !== CLOSE) return;
  batches.close();
  port.close();
}

class Batches {
  readonly #db: DatabaseSync;
  readonly #operations: ReadonlyMap<string, Operation>;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #mark: StatementSync;
  readonly #release: StatementSync;
  readonly #undo: StatementSync;

  constructor({ db, operations }: Served) {
    this.#db = db;
    this.#operations = new Map(Object.entries(operations));
    this.#begin = db.prepare('BEGIN');
    this.#commit = db.prepare('COMMIT');
    this.#mark = db.prepare('SAVEPOINT one_call');
    this.#release = db.prepare('RELEASE one_call');
    this.#undo = db.prepare('ROLLBACK TO one_call');
  }

  /** Where the common transaction cannot be had (the disk is full), each call gets what it can get by itself. */
  run(calls: readonly CallMessage[]): AnswerMessage[] {
    try {
      if (calls.length > 1) return this.#together(calls);
    } catch {
      this.#rollback();
    }
    return calls.map((call) => this.#alone(call));
  }

  close(): void {
    this.#db.close();
  }

  #together(calls: readonly CallMessage[]): AnswerMessage[] {
    this.#begin.run();
    const answers = calls.map((call) => this.#inSavepoint(call));
    this.#commit.run();
    return answers;
  }

  #inSavepoint(call: CallMessage): AnswerMessage {
    this.#mark.run();
    try {
      const value = this.#call(call);
      this.#release.run();
      return { value };
    } catch (error) {
      // Some errors end the whole transaction; then there is no savepoint to go back to, and this throws.
      this.#undo.run();
      this.#release.run();
      return { failure: failureOf(error) };
    }
  }

  #alone(call: CallMessage): AnswerMessage {
    try {
      this.#begin.run();
      const value = this.#call(call);
      this.#commit.run();
      return { value };
    } catch (error) {
      this.#rollback();
      return { failure: failureOf(error) };
    }
  }

  #call([op, args]: CallMessage): unknown {
    const operation = this.#operations.get(op);
    if (operation === undefined) throw new Error(`there is no operation ${op}`);
    return operation(...(args as never[]));
  }

  #rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
  }
}
