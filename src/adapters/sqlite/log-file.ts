// log.db: every untrimmed change as its wire text, by offset. A pure append without secondary indexes: all else a
// change is can be read from its wire. Refuses files that are not its own, newer ones, and those another process has.
//
// The lock is SQLite's, hence POSIX: any descriptor of log.db that this process closes outside SQLite would drop it.
import { randomBytes } from 'node:crypto';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { StartError } from '../../errors.ts';

/** "CbLg". */
export const APPLICATION_ID = 0x43_62_4c_67;
export const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE log (offset INTEGER PRIMARY KEY, wire TEXT NOT NULL);
  CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, epoch TEXT NOT NULL, trimmed INTEGER NOT NULL);
  PRAGMA application_id = ${APPLICATION_ID};
`;

export interface LogRow {
  readonly offset: number;
  readonly wire: string;
}

/** @throws StartError one line for the operator */
export function openLogFile(path: string): LogFile {
  try {
    const db = new DatabaseSync(path);
    try {
      prepareDatabase(db, path);
      return new LogFile(db);
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    throw refused(path, error);
  }
}

/** Why the log cannot be opened, as one line for the operator. */
export function refused(path: string, error: unknown): StartError {
  return error instanceof StartError ? error : new StartError(reasonOf(path, error), { cause: error });
}

function prepareDatabase(db: DatabaseSync, path: string): void {
  // Exclusive from the first read on, until the process ends: a second process gets SQLITE_BUSY.
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  const fresh = isFresh(db, path);
  // In WAL, FULL is what makes a commit wait for fsync; NORMAL would lose the last commits in a power cut. On macOS
  // only fullfsync goes as far as the disk.
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON');
  // What is trimmed is overwritten in the file: a text deleted for all does not stay in free pages.
  db.exec('PRAGMA secure_delete = ON; BEGIN IMMEDIATE');
  if (fresh) {
    db.exec(SCHEMA);
    db.prepare('INSERT INTO meta VALUES (1, ?, ?, 0)').run(SCHEMA_VERSION, newEpoch());
  }
  const { version } = db.prepare('SELECT version FROM meta').get() as { version: number };
  if (version > SCHEMA_VERSION) throw new StartError(`data_newer: ${path} was written by a newer version`);
  db.exec('COMMIT');
}

/** Asked before anything is written, so that a foreign file stays as it is. */
function isFresh(db: DatabaseSync, path: string): boolean {
  const { application_id: id } = db.prepare('PRAGMA application_id').get() as { application_id: number };
  if (id === APPLICATION_ID) return false;
  const { tables } = db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number };
  if (id === 0 && tables === 0) return true;
  throw new StartError(`data_foreign: ${path} is not a ChatterBox log`);
}

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

function reasonOf(path: string, error: unknown): string {
  const { errcode, message } = error as { errcode?: number; message: string };
  if (errcode === undefined) return `data_damaged: ${path} is damaged (${message})`;
  // The low byte is the primary result code (sqlite.org/rescode.html).
  switch (errcode & 0xff) {
    case SQLITE_BUSY:
      return `data_in_use: ${path} is in use by another process`;
    case SQLITE_NOTADB:
      return `data_foreign: ${path} is not a ChatterBox log`;
    case SQLITE_CORRUPT:
      return `data_damaged: ${path} is damaged (${message})`;
    default:
      return `data_unusable: ${path} cannot be read and written (${message})`;
  }
}

function newEpoch(): string {
  return randomBytes(9).toString('base64url');
}

export class LogFile {
  readonly #db: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #setTrimmed: StatementSync;
  readonly #commit: StatementSync;
  readonly #page: StatementSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#insert = db.prepare('INSERT INTO log VALUES (?, ?)');
    this.#delete = db.prepare('DELETE FROM log WHERE offset <= ?');
    this.#setTrimmed = db.prepare('UPDATE meta SET trimmed = ?');
    this.#commit = db.prepare('COMMIT');
    this.#page = db.prepare('SELECT offset, wire FROM log WHERE offset > ? ORDER BY offset LIMIT ?');
  }

  meta(): { readonly epoch: string; readonly trimmed: number } {
    return this.#db.prepare('SELECT epoch, trimmed FROM meta').get() as { epoch: string; trimmed: number };
  }

  /** The offset of the last change ever appended, trimmed or not. */
  head(): number {
    const { last } = this.#db.prepare('SELECT max(offset) AS last FROM log').get() as { last: number | null };
    return last ?? this.meta().trimmed;
  }

  /** The log lost something the store has: whatever it still holds is in the store, and it goes on behind that. */
  restartAfter(offset: number): void {
    this.begin();
    this.#delete.run(Number.MAX_SAFE_INTEGER);
    this.#db.prepare('UPDATE meta SET epoch = ?, trimmed = ?').run(newEpoch(), offset);
    this.commit();
  }

  begin(): void {
    // Where a rollback failed too.
    this.rollback();
    this.#begin.run();
  }

  insert(offset: number, wire: string): void {
    this.#insert.run(offset, wire);
  }

  trim(upTo: number): void {
    this.#delete.run(upTo);
    this.#setTrimmed.run(upTo);
  }

  /** Returns when the transaction is on disk. */
  commit(): void {
    this.#commit.run();
  }

  /** SQLite has ended the transaction by itself after some errors (disk full, I/O). */
  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
  }

  rowsAfter(offset: number, limit: number): IterableIterator<LogRow> {
    return this.#page.iterate(offset, limit) as unknown as IterableIterator<LogRow>;
  }

  close(): void {
    this.#db.close();
  }
}
