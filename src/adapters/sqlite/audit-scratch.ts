// A store for the time of an audit: the tables and the code of the real one, in a temporary file that SQLite makes where its
// cache is full, and that nobody else can find. What it folds out of changes is what the views of any store have to be.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Scratch, ViewRows } from '../../ports/audit.ts';
import type { Change, Head } from '../../ports/log.ts';
import type { ConvId, Seq } from '../../protocol/ids.ts';
import { EVERYTHING, viewRows } from './audit-rows.ts';
import { openStoreFile } from './schema.ts';
import { applyOperation } from './store-apply.ts';
import { packChanges } from './store-changes.ts';
import { resultCode } from './thread-messages.ts';

/** An empty name is a private temporary database (sqlite.org/inmemorydb.html, "Temporary Databases"). */
const TEMPORARY = '';
const TABLES = ['changes', 'convs', 'touched', 'members', 'watermark'] as const;
const CONSTRAINT = 19;

export function sqliteScratch(): Scratch {
  return new SqliteScratch(openStoreFile(TEMPORARY, []));
}

class SqliteScratch implements Scratch {
  readonly #db: DatabaseSync;
  readonly #rows: ViewRows;
  readonly #apply: ReturnType<typeof applyOperation>;
  readonly #type: StatementSync;
  readonly #head: StatementSync;

  constructor(db: DatabaseSync) {
    // It is gone with the process; only a change whose key is not its own is ever rolled back.
    db.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA secure_delete = OFF');
    this.#db = db;
    this.#rows = viewRows(db, EVERYTHING);
    this.#apply = applyOperation(db);
    this.#type = db.prepare('SELECT type FROM changes WHERE conv = ? AND seq = ?');
    this.#head = db.prepare('SELECT seq, n, guard, at FROM convs WHERE conv = ?');
  }

  changes = () => this.#rows.changes();
  convs = () => this.#rows.convs();
  members = () => this.#rows.members();
  touched = () => this.#rows.touched();

  take(changes: readonly Change[]): readonly Change[] {
    if (this.#tryTake(changes)) return [];
    const refused = changes.filter((change) => !this.#tryTake([change]));
    return refused;
  }

  /** @returns false where a key is not its own: then nothing is taken, and one alone without its key */
  #tryTake(changes: readonly Change[]): boolean {
    this.#db.exec('BEGIN');
    try {
      this.#apply(packChanges(changes), []);
      this.#db.exec('COMMIT');
      return true;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      if (resultCode(error) !== CONSTRAINT) throw error;
      const [only, ...others] = changes;
      if (only !== undefined && others.length === 0) this.#tryTake([{ ...only, key: null }]);
      return false;
    }
  }

  isMessage(conv: ConvId, seq: Seq): boolean {
    return this.#type.get(conv, seq)?.type === 'message';
  }

  head(conv: ConvId): Head | null {
    return (this.#head.get(conv) as Head | undefined) ?? null;
  }

  clear(): void {
    for (const table of TABLES) this.#db.exec(`DELETE FROM ${table}`);
  }

  close(): void {
    this.#db.close();
  }
}
