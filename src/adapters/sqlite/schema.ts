// store.db: its tables, and how it is opened. Refuses what is not its own, what a newer version wrote, and what it cannot
// write to, each in one line. The log's worker reads `convs`, `changes` and `watermark` over a connection of its own.
import { DatabaseSync } from 'node:sqlite';
import { StartError } from '../../errors.ts';
import { resultCode } from './thread-messages.ts';

/** "CbSt". */
export const APPLICATION_ID = 0x43_62_53_74;
export const SCHEMA_VERSION = 1;

/** Recovery after a crash is the only time another connection holds the writer up. */
const BUSY_TIMEOUT_MS = 5_000;

const SCHEMA = `
  -- One row a conversation: its head, and the view of its own fields. name: the title in lower case; listed: a public
  -- room that is not deleted; members: how many there are, invited ones not counted.
  CREATE TABLE IF NOT EXISTS convs (
    conv TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL,
    guard INTEGER NOT NULL,
    at INTEGER NOT NULL,
    members INTEGER NOT NULL DEFAULT 0,
    kind TEXT,
    name TEXT NOT NULL DEFAULT '',
    listed INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    rev INTEGER,
    state TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS rooms ON convs (name, conv) WHERE listed = 1;

  -- Every change for ever. of: the message an edit belongs to, so that a deletion finds the edits. touched: 1 for a
  -- message whose state is in \`touched\`; the others are their own state.
  CREATE TABLE IF NOT EXISTS changes (
    conv TEXT NOT NULL,
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL,
    type TEXT NOT NULL,
    user TEXT NOT NULL,
    key TEXT,
    at INTEGER NOT NULL,
    wire TEXT NOT NULL,
    of INTEGER,
    touched INTEGER,
    PRIMARY KEY (conv, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS changes_key ON changes (conv, user, key) WHERE key IS NOT NULL;
  CREATE INDEX IF NOT EXISTS changes_untouched ON changes (conv, seq) WHERE type = 'message' AND touched IS NULL;
  CREATE INDEX IF NOT EXISTS changes_edit ON changes (conv, of) WHERE type = 'edit';

  -- What a position covers, a part.
  CREATE TABLE IF NOT EXISTS watermark (part INTEGER PRIMARY KEY, offset INTEGER NOT NULL) STRICT;

  -- States of messages that something has acted on.
  CREATE TABLE IF NOT EXISTS touched (
    conv TEXT NOT NULL,
    seq INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (conv, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS touched_rev ON touched (conv, rev);

  -- Who left stays with the role none, for sync to tell.
  CREATE TABLE IF NOT EXISTS members (
    conv TEXT NOT NULL,
    user TEXT NOT NULL,
    role TEXT NOT NULL,
    rev INTEGER NOT NULL,
    PRIMARY KEY (conv, user)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS members_user ON members (user, conv) WHERE role <> 'none';
  CREATE INDEX IF NOT EXISTS members_rev ON members (conv, rev);

  CREATE TABLE IF NOT EXISTS marks (
    user TEXT NOT NULL,
    conv TEXT NOT NULL,
    read INTEGER NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (user, conv)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS marks_conv ON marks (conv);

  -- For the search to come; nothing here writes to the two. Its indexer is a reader like any other: it goes through
  -- \`changes\`, then follows the log from \`search_cursor\`. Words and beginnings of words: trigrams find nothing for
  -- queries under three characters (most words of Chinese), at several times the size. Texts are not stored twice.
  CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5(
    text, conv UNINDEXED, seq UNINDEXED,
    content = '', contentless_delete = 1, contentless_unindexed = 1,
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
  );
  CREATE TABLE IF NOT EXISTS search_cursor (part INTEGER PRIMARY KEY, offset INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO search_cursor VALUES (0, 0);
`;

/**
 * Opens the store's file, and makes it where there is none.
 * @param schemas of the nouns that bring tables of their own (users, sessions); each may run again
 * @throws StartError one line for the operator
 */
export function openStoreFile(file: string, schemas: readonly string[]): DatabaseSync {
  try {
    const db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      prepare(db, file, schemas);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  } catch (error) {
    throw error instanceof StartError ? error : new StartError(refusal(file, error), { cause: error });
  }
}

function prepare(db: DatabaseSync, file: string, schemas: readonly string[]): void {
  checkOwn(db, file);
  // FULL: a commit has waited for its fsync. secure_delete: what is erased is overwritten in the file
  // (copies that page splits left behind stay until VACUUM).
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON');
  db.exec('PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864');
  if (!hasSearch(db)) throw new StartError('this build of SQLite has no FTS5, which the store needs');
  db.exec('BEGIN IMMEDIATE');
  for (const schema of [SCHEMA, ...schemas]) db.exec(schema);
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
}

/** Asked before anything is written: a foreign file stays as it is. */
function checkOwn(db: DatabaseSync, file: string): void {
  const id = pragma(db, 'application_id');
  const { tables } = db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number };
  if (id === 0 && tables === 0) return;
  if (id !== APPLICATION_ID) throw new StartError(`data_foreign: ${file} is not a ChatterBox store`);
  const version = pragma(db, 'user_version');
  if (version <= SCHEMA_VERSION) return;
  throw new StartError(`data_newer: ${file} is of version ${version}, this program knows up to ${SCHEMA_VERSION}`);
}

function pragma(db: DatabaseSync, name: 'application_id' | 'user_version'): number {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0] as number;
}

function hasSearch(db: DatabaseSync): boolean {
  return db.prepare("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").get() !== undefined;
}

const CORRUPT = 11;
const NOT_A_DATABASE = 26;

function refusal(file: string, error: unknown): string {
  const { message } = error as Error;
  switch (resultCode(error)) {
    case NOT_A_DATABASE:
      return `data_foreign: ${file} is not a ChatterBox store`;
    case CORRUPT:
      return `data_damaged: ${file} is damaged (${message})`;
    default:
      return `data_unusable: ${file} cannot be read and written (${message})`;
  }
}
