// A transaction, repeated as the driver's specification wants it but within a bound: as a whole where the server says that
// nothing of it was done, its commit alone where that is not known.
import { setTimeout as delay } from 'node:timers/promises';
import { type ClientSession, MongoError, type TransactionOptions } from 'mongodb';
import type { Millis } from '../../protocol/ids.ts';

/** From the first attempt; no other one begins later. */
const BOUND_MS: Millis = 5_000;
const FIRST_PAUSE_MS: Millis = 5;
const MAX_PAUSE_MS: Millis = 250;

const INTERRUPTED = 11_601;

const OPTIONS = {
  readConcern: { level: 'snapshot' },
  writeConcern: { w: 'majority', journal: true, wtimeoutMS: BOUND_MS },
  readPreference: 'primary',
} as const satisfies TransactionOptions;

/**
 * Runs `work` in a transaction of its own, several times where it must. Given the same session again and again: what a lost
 * connection left open on the server ends when the next transaction of the session begins.
 * @param onRepeat before an attempt is repeated, with how many there were
 */
export async function runTransaction<Result>(
  session: ClientSession,
  work: (session: ClientSession) => Promise<Result>,
  onRepeat: (attempts: number) => Promise<void>,
): Promise<Result> {
  const endsAt = performance.now() + BOUND_MS;
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt(session, work, endsAt);
    } catch (error) {
      if (!isRepeatable(error, 'TransientTransactionError') || performance.now() > endsAt) throw error;
      await delay(Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** attempts, MAX_PAUSE_MS));
      await onRepeat(attempts);
    }
  }
}

async function attempt<Result>(
  session: ClientSession,
  work: (session: ClientSession) => Promise<Result>,
  endsAt: Millis,
): Promise<Result> {
  session.startTransaction(OPTIONS);
  try {
    const result = await work(session);
    await commit(session, endsAt);
    return result;
  } finally {
    if (session.inTransaction()) await session.abortTransaction();
  }
}

async function commit(session: ClientSession, endsAt: Millis): Promise<void> {
  for (;;) {
    try {
      await session.commitTransaction();
      return;
    } catch (error) {
      if (!isRepeatable(error, 'UnknownTransactionCommitResult') || performance.now() > endsAt) throw error;
    }
  }
}

/** A session that was ended by another process has the code alone, though it could have the label. */
function isRepeatable(error: unknown, label: string): boolean {
  return error instanceof MongoError && (error.hasErrorLabel(label) || error.code === INTERRUPTED);
}
