// A log's file under audit. The server keeps it locked, so what is read is a copy of the moment, which has no name any more
// once it is open. To mend a store the file itself is taken, which keeps every server out until the end: then nothing is
// copied, since the lock would be lost with the copy's descriptor.
import { constants } from 'node:fs';
import { copyFile, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { StartError } from '../../errors.ts';
import type { LogAudit, LogEntry, LogPart, Rows } from '../../ports/audit.ts';
import type { Change } from '../../ports/log.ts';
import type { Millis } from '../../protocol/ids.ts';
import { changeFrom } from '../feed.ts';
import { damageOf } from './audit-damage.ts';
import { pages } from './audit-rows.ts';
import { APPLICATION_ID, refused, SCHEMA_VERSION } from './log-file.ts';

const WAL = '-wal';
/** sqlite.org/fileformat2.html#walformat: what follows on a reset has other salts. */
const WAL_HEADER_BYTES = 32;
const COPY_WITHIN_MS: Millis = 15_000;
const PAUSE_MS: Millis = 5;

/** @throws StartError one line for the operator */
export async function openLogAudit(file: string, canMend: boolean): Promise<LogAudit> {
  try {
    return canMend ? new SqliteLogAudit(null, openLocked(file)) : new SqliteLogAudit(file, await openCopy(file));
  } catch (error) {
    throw refused(file, error);
  }
}

class SqliteLogAudit implements LogAudit {
  readonly memory = null;
  /** Null: it is read itself. */
  readonly #file: string | null;
  #db: DatabaseSync;
  #isLooked = false;

  constructor(file: string | null, db: DatabaseSync) {
    this.#file = file;
    this.#db = db;
  }

  async look(): Promise<readonly LogPart[]> {
    if (this.#isLooked && this.#file !== null) {
      this.#db.close();
      this.#db = await openCopy(this.#file);
    }
    this.#isLooked = true;
    const { trimmed } = this.#db.prepare('SELECT trimmed FROM meta').get() as { trimmed: number };
    const { last } = this.#db.prepare('SELECT max(offset) AS last FROM log').get() as { last: number | null };
    return [{ id: null, epoch: 0, trimmed, head: last ?? trimmed }];
  }

  entries(): Rows<LogEntry> {
    const sql = 'SELECT offset, wire FROM log WHERE offset > (SELECT trimmed FROM meta) ORDER BY offset';
    return pages(this.#db, sql, [], ({ offset, wire }) => entryOf(offset as number, wire as string));
  }

  partOf(): number {
    return 0;
  }

  damage(): Rows<string> {
    return damageOf(this.#db, 'log.db');
  }

  async close(): Promise<void> {
    this.#db.close();
  }
}

function entryOf(offset: number, wire: string): LogEntry {
  return { offset, epoch: 0, change: changeOf(offset, wire) };
}

function changeOf(offset: number, wire: string): Change | null {
  try {
    return changeFrom(0, offset, wire);
  } catch {
    return null;
  }
}

function openLocked(file: string): DatabaseSync {
  const db = new DatabaseSync(file);
  try {
    prepare(db, file);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** From the first read on nobody else has it, and its index is in no file but in memory. */
function prepare(db: DatabaseSync, file: string): void {
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  const { application_id: id } = db.prepare('PRAGMA application_id').get() as { application_id: number };
  if (id !== APPLICATION_ID) throw new StartError(`data_foreign: ${file} is not a ChatterBox log`);
  const { version } = db.prepare('SELECT version FROM meta').get() as { version: number };
  if (version > SCHEMA_VERSION) throw new StartError(`data_newer: ${file} was written by a newer version`);
}

async function openCopy(file: string): Promise<DatabaseSync> {
  const folder = await mkdtemp(join(tmpdir(), 'chatterbox-verify-'));
  try {
    const copy = join(folder, 'log.db');
    await copySettled(file, copy);
    const db = openLocked(copy);
    // Both files are open now.
    db.prepare('SELECT trimmed FROM meta').get();
    return db;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * A checkpoint writes into the file only what is in the write-ahead log, and what it has written stays there until the log
 * begins anew. So a copy of the file and then of its log, between which it has not begun anew, is the log's last commit.
 */
async function copySettled(file: string, copy: string): Promise<void> {
  for (const endsAtMs = performance.now() + COPY_WITHIN_MS; ; ) {
    const before = await walHeader(file);
    await copyFile(file, copy, constants.COPYFILE_FICLONE);
    await copyWal(file, copy);
    if ((await walHeader(file)) === before) return;
    if (performance.now() > endsAtMs) throw new StartError(`${file} changes faster than it can be copied; try later`);
    await delay(PAUSE_MS);
  }
}

async function copyWal(file: string, copy: string): Promise<void> {
  await rm(copy + WAL, { force: true });
  await copyFile(file + WAL, copy + WAL, constants.COPYFILE_FICLONE).catch(passMissing);
}

/** Empty where there is none, or nothing in it. */
async function walHeader(file: string): Promise<string> {
  const handle = await open(file + WAL).catch(passMissing);
  if (handle === undefined) return '';
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(WAL_HEADER_BYTES), 0, WAL_HEADER_BYTES, 0);
    return buffer.toString('hex', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function passMissing(error: unknown): undefined {
  if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
  return undefined;
}
