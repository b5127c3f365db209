// What the log itself holds no more, from the store's file over a connection of its own that cannot write.
//
// The law that makes memory and this file together complete: the store applies a change before the log trims it, so
// every key and every head is always in at least one of the two. A look-up after a trim sees all that was trimmed.
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { StartError } from '../../errors.ts';
import type { Head, Receipt } from '../../ports/log.ts';

/** The store's writer never blocks a reader (WAL); only its recovery after a crash can, and that is short. */
const BUSY_TIMEOUT_MS = 2_000;

/** @throws StartError one line for the operator */
export function openColdStore(path: string): ColdStore {
  try {
    return new ColdStore(new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS }));
  } catch (error) {
    const { message } = error as Error;
    throw new StartError(`data_unusable: ${path} cannot be read (${message})`, { cause: error });
  }
}

export class ColdStore {
  readonly #db: DatabaseSync;
  readonly #head: StatementSync;
  readonly #receipt: StatementSync;
  readonly #watermark: StatementSync;
  #reading = false;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#head = db.prepare('SELECT seq, n, guard, at FROM convs WHERE conv = ?');
    this.#receipt = db.prepare('SELECT seq, n, at FROM changes WHERE conv = ? AND user = ? AND key = ?');
    this.#watermark = db.prepare('SELECT offset FROM watermark WHERE part = 0');
  }

  head(conv: string): Head | undefined {
    this.#read();
    return this.#head.get(conv) as Head | undefined;
  }

  receipt(conv: string, user: string, key: string): Receipt | undefined {
    this.#read();
    return this.#receipt.get(conv, user, key) as Receipt | undefined;
  }

  /** Offset up to which the store has applied the log without gaps. */
  watermark(): number {
    this.#read();
    const row = this.#watermark.get() as { offset: number } | undefined;
    return row?.offset ?? 0;
  }

  /** One read transaction for all look-ups of a batch: its locks cost more than a look-up. */
  #read(): void {
    if (this.#reading) return;
    this.#db.exec('BEGIN');
    this.#reading = true;
  }

  /** Ends the batch's view of the store; an open one would hold up the store's checkpoints. */
  release(): void {
    if (!this.#reading) return;
    this.#reading = false;
    if (this.#db.isTransaction) this.#db.exec('COMMIT');
  }

  close(): void {
    this.release();
    this.#db.close();
  }
}
