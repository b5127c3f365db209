// The thread that owns log.db. Answers requests one at a time, in order; a commit request is one transaction.
// After a failed commit memory and file are as before it, and the next one is tried afresh.
import { parentPort, workerData } from 'node:worker_threads';
import { StartError } from '../../errors.ts';
import { parseChange } from '../../protocol/changes.ts';
import { type ColdStore, openColdStore } from './log-cold.ts';
import { type LogFile, openLogFile, refused } from './log-file.ts';
import { Ledger } from './log-ledger.ts';
import type { Answer, Commit, LogOptions, Open, Opened, Refused, Request } from './log-messages.ts';

/** Rows deleted in one commit, so that no append waits long behind a trim. */
const TRIM_SLICE = 1_024;
/** A page ends after this many changes, or once it has this many characters. */
const PAGE_CHANGES = 512;
const PAGE_CHARS = 1_048_576;

class LogWorker {
  readonly #file: LogFile;
  readonly #cold: ColdStore;
  readonly #ledger: Ledger;
  readonly #epoch: string;
  #trimmed: number;

  constructor(file: LogFile, cold: ColdStore) {
    this.#file = file;
    this.#cold = cold;
    matchToStore(file, cold);
    const { epoch, trimmed } = file.meta();
    this.#epoch = epoch;
    this.#trimmed = trimmed;
    this.#ledger = new Ledger(cold, trimmed, (offset, wire) => file.insert(offset, wire));
    this.#replay();
    cold.release();
  }

  #replay(): void {
    for (const { offset, wire } of this.#file.rowsAfter(this.#trimmed, -1)) {
      if (offset !== this.#ledger.head + 1) throw new Error(`${offset} follows ${this.#ledger.head}`);
      this.#ledger.replay(parseChange(wire), wire);
    }
    this.#ledger.settle();
  }

  opened(): Opened {
    const { head, untrimmedBytes } = this.#ledger;
    return { is: 'opened', epoch: this.#epoch, head, trimmed: this.#trimmed, untrimmedBytes };
  }

  answer(request: Exclude<Request, Open>): Answer {
    try {
      return this.#handle(request);
    } catch (error) {
      return { is: 'failed', reason: (error as Error).message };
    } finally {
      this.#cold.release();
    }
  }

  #handle(request: Exclude<Request, Open>): Answer {
    switch (request.is) {
      case 'commit':
        return this.#commit(request);
      case 'read':
        return { is: 'page', wires: this.#page(request.after) };
      case 'recall':
        return { is: 'recalled', receipt: this.#ledger.recall(request.conv, request.user, request.key) };
      case 'close':
        this.#file.close();
        this.#cold.close();
        return { is: 'closed' };
    }
  }

  #commit(batch: Commit): Answer {
    const before = this.#ledger.head;
    const trimTo = this.#trimTarget(batch.trimTo);
    const numbers = this.#transaction(batch, trimTo);
    this.#ledger.settle();
    if (trimTo > this.#trimmed) this.#ledger.forget(trimTo - this.#trimmed);
    this.#trimmed = trimTo;
    const { untrimmedBytes } = this.#ledger;
    return { is: 'committed', numbers, before, trimmed: trimTo, untrimmedBytes };
  }

  #transaction(batch: Commit, trimTo: number): Float64Array {
    try {
      this.#file.begin();
      const numbers = this.#ledger.decide(batch);
      // Not held while the disk works.
      this.#cold.release();
      if (trimTo > this.#trimmed) this.#file.trim(trimTo);
      this.#file.commit();
      return numbers;
    } catch (error) {
      this.#ledger.takeBack();
      this.#file.rollback();
      throw error;
    }
  }

  /** Never past what the store has applied: that law is what makes keys last for ever. */
  #trimTarget(wanted: number): number {
    if (wanted <= this.#trimmed) return this.#trimmed;
    const allowed = Math.min(wanted, this.#ledger.head, this.#cold.watermark(), this.#trimmed + TRIM_SLICE);
    return Math.max(allowed, this.#trimmed);
  }

  #page(after: number): string[] | null {
    if (after < this.#trimmed) return null;
    const wires: string[] = [];
    let chars = 0;
    for (const { wire } of this.#file.rowsAfter(after, PAGE_CHANGES)) {
      wires.push(wire);
      chars += wire.length;
      if (chars >= PAGE_CHARS) break;
    }
    return wires;
  }
}

/** Whether log and store are of one history, each at least where the other begins. */
function matchToStore(file: LogFile, cold: ColdStore): void {
  const watermark = cold.watermark();
  if (file.head() < watermark) file.restartAfter(watermark);
  const { trimmed } = file.meta();
  if (trimmed > watermark) {
    throw new StartError(
      `data_mismatch: the store ends at change ${watermark} and the log begins after ${trimmed}; restore both from one backup`,
    );
  }
}

function openWorker({ file: path, storeFile }: LogOptions): LogWorker {
  const file = openLogFile(path);
  try {
    return new LogWorker(file, openColdStore(storeFile));
  } catch (error) {
    file.close();
    throw refused(path, error);
  }
}

/** Until it is told that the store is there, it only loads. */
function start(): void {
  if (parentPort === null) throw new Error('log-worker.ts runs as a worker thread');
  const port = parentPort;
  let worker: LogWorker | undefined;
  port.on('message', (request: Request) => {
    if (request.is === 'open') {
      const opened = tryOpen();
      if (opened instanceof LogWorker) worker = opened;
      port.postMessage(opened instanceof LogWorker ? opened.opened() : opened);
    } else if (worker !== undefined) port.postMessage(worker.answer(request));
    if (request.is === 'close') port.close();
  });
}

function tryOpen(): LogWorker | Refused {
  try {
    return openWorker(workerData as LogOptions);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return { is: 'refused', reason: error.message };
  }
}

start();
