// The transactions on a part of the log: batches applied to it and new epochs of it, one session for them as long as the
// process lives. Several processes may believe that a part is theirs: of two transactions that overlap one is carried out,
// the other is repeated and sees what the first did.
import { Binary, type ClientSession, MongoServerError } from 'mongodb';
import type { Millis } from '../../protocol/ids.ts';
import type { Database } from './database.ts';
import { runTransaction } from './transaction.ts';

/** Lost to another session; it may be one of a process that no longer runs. */
const CONFLICTS_BEFORE_ENDING_OTHERS = 4;
/** A writer that is at work says so this often. */
const SAY_EVERY_MS: Millis = 60_000;

export class PartWriter {
  readonly #database: Database;
  readonly #part: number;
  readonly #session: ClientSession;
  #saidAt = Number.NEGATIVE_INFINITY;
  #last: Promise<unknown> = Promise.resolve();

  constructor(database: Database, part: number) {
    this.#database = database;
    this.#part = part;
    this.#session = database.startSession();
  }

  /** In the order of the calls; `work` may run several times. @throws what `work` throws; then nothing is written */
  transact<Result>(work: (session: ClientSession) => Promise<Result>): Promise<Result> {
    const done = this.#last.then(() => this.#transact(work));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#session.endSession();
  }

  async #transact<Result>(work: (session: ClientSession) => Promise<Result>): Promise<Result> {
    try {
      if (performance.now() - this.#saidAt > SAY_EVERY_MS) await this.#sayWhoWrites();
      return await runTransaction(this.#session, work, async (attempts) => {
        if (attempts % CONFLICTS_BEFORE_ENDING_OTHERS === 0) await this.#endOthers();
      });
    } finally {
      this.#database.saw(this.#session);
    }
  }

  get #id(): string {
    return this.#session.id?.id.toString('hex') ?? '';
  }

  async #sayWhoWrites(): Promise<void> {
    const id = { part: this.#part, session: this.#id };
    await this.#database.collections.writers.updateOne({ _id: id }, [{ $set: { seenAt: '$$NOW' } }], { upsert: true });
    this.#saidAt = performance.now();
  }

  /**
   * A process that dies or stops in the middle leaves its transaction open on the server, which keeps everyone off the part
   * until it is a minute old (`transactionLifetimeLimitSeconds`). Whose process lives begins again.
   */
  async #endOthers(): Promise<void> {
    const { client, collections } = this.#database;
    const ofPart = { _id: { $gt: { part: this.#part, session: '' }, $lt: { part: this.#part + 1, session: '' } } };
    const sessions = (await collections.writers.find(ofPart).toArray()).map(({ _id }) => _id.session);
    const others = sessions.filter((session) => session !== this.#id);
    if (others.length === 0) return;
    const killSessions = others.map((session) => ({
      id: new Binary(Buffer.from(session, 'hex'), Binary.SUBTYPE_UUID),
    }));
    await client.db('admin').command({ killSessions }).catch(passRefusal);
  }
}

/** Where it may not end sessions, the open transaction ends by its age. */
function passRefusal(error: unknown): void {
  if (!(error instanceof MongoServerError)) throw error;
}

/** One for each part, made when it is first written to. */
export class PartWriters {
  readonly #database: Database;
  readonly #writers = new Map<number, PartWriter>();

  constructor(database: Database) {
    this.#database = database;
  }

  of(part: number): PartWriter {
    let writer = this.#writers.get(part);
    if (writer === undefined) {
      writer = new PartWriter(this.#database, part);
      this.#writers.set(part, writer);
    }
    return writer;
  }

  /** Finishes what was asked for. */
  async close(): Promise<void> {
    await Promise.all([...this.#writers.values()].map((writer) => writer.close()));
  }
}
