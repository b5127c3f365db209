// A store's file under audit, over a connection that cannot write; what is mended goes over another one. A read of one moment
// holds up checkpoints for as long as it lasts, and nothing else.
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { StartError } from '../../errors.ts';
import type { ChangeRow, Mend, Rows, StoreAudit, StoreFacts, StoreRows, Totals } from '../../ports/audit.ts';
import type { Head } from '../../ports/log.ts';
import type { ConvId, Seq, UserId } from '../../protocol/ids.ts';
import { damageOf } from './audit-damage.ts';
import { mender } from './audit-mend.ts';
import { CHANGE_COLUMNS, changeRow, markRows, pages, viewRows } from './audit-rows.ts';
import { MESSAGE_READS } from './messages.ts';
import { APPLICATION_ID, openStoreFile, SCHEMA_VERSION } from './schema.ts';

/** The server's writer never blocks a reader; its recovery after a crash does, and that is short. */
const BUSY_TIMEOUT_MS = 2_000;

/** The last change of each conversation: two seeks in the table each, whatever its length. */
const LAST_CHANGES = `
  WITH RECURSIVE known(conv) AS (
    SELECT min(conv) FROM changes
    UNION ALL SELECT (SELECT min(conv) FROM changes WHERE conv > known.conv) FROM known WHERE conv IS NOT NULL
  )
  SELECT conv, (SELECT max(seq) FROM changes WHERE conv = known.conv) AS last FROM known WHERE conv IS NOT NULL`;

/** @throws StartError one line for the operator */
export function openStoreAudit(file: string, canMend: boolean): StoreAudit {
  // Before it is read: what is missing of tables and indexes is made.
  const writer = canMend ? openStoreFile(file, []) : null;
  const reader = openToRead(file);
  try {
    return new SqliteStoreAudit(reader, writer);
  } catch (error) {
    reader.close();
    writer?.close();
    throw new StartError(`data_unusable: ${file} cannot be read (${(error as Error).message})`, { cause: error });
  }
}

function openToRead(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    const { application_id: id } = db.prepare('PRAGMA application_id').get() as { application_id: number };
    if (id !== APPLICATION_ID) throw new StartError(`data_foreign: ${file} is not a ChatterBox store`);
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
    if (version > SCHEMA_VERSION) throw new StartError(`data_newer: ${file} was written by a newer version`);
    db.exec('PRAGMA cache_size = -32768');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

class SqliteStoreAudit implements StoreAudit {
  readonly #db: DatabaseSync;
  readonly #watermark: StatementSync;
  readonly #change: StatementSync;
  readonly #head: StatementSync;
  readonly #user: StatementSync;
  readonly #writer: DatabaseSync | null;

  constructor(db: DatabaseSync, writer: DatabaseSync | null) {
    this.#db = db;
    this.#writer = writer;
    this.#watermark = db.prepare('SELECT offset FROM watermark WHERE part = 0');
    this.#change = db.prepare(`SELECT ${CHANGE_COLUMNS} FROM changes WHERE conv = ? AND seq = ?`);
    this.#head = db.prepare(MESSAGE_READS.head);
    this.#user = db.prepare('SELECT 1 FROM users WHERE id = ?');
  }

  async facts(): Promise<StoreFacts> {
    const { offset = 0 } = (this.#watermark.get() ?? {}) as { offset?: number };
    return { watermark: [offset], record: null };
  }

  totals<Result>(read: (totals: Totals) => Promise<Result>): Promise<Result> {
    return this.#atOneMoment(async () => {
      const facts = await this.facts();
      const heads = pages(this.#db, LAST_CHANGES, [], ({ conv, last }) => [conv as ConvId, last as Seq] as const);
      return read({ facts, heads });
    });
  }

  async stored(names: readonly Pick<ChangeRow, 'conv' | 'seq'>[]): Promise<readonly ChangeRow[]> {
    const rows = names.map(({ conv, seq }) => this.#change.get(conv, seq));
    return rows.flatMap((row) => (row === undefined ? [] : [changeRow(row)]));
  }

  range<Result>(
    after: ConvId | null,
    upTo: ConvId | null,
    read: (rows: StoreRows) => Promise<Result>,
  ): Promise<Result> {
    const range = { after, upTo };
    return this.#atOneMoment(() => read({ ...viewRows(this.#db, range), marks: () => markRows(this.#db, range) }));
  }

  async heads(convs: readonly ConvId[]): Promise<ReadonlyMap<ConvId, Head>> {
    const rows = convs.map((conv) => [conv, this.#head.get(conv) as Head | undefined] as const);
    return new Map(rows.filter((row): row is readonly [ConvId, Head] => row[1] !== undefined));
  }

  async unknownUsers(users: readonly UserId[]): Promise<readonly UserId[]> {
    return users.filter((user) => this.#user.get(user) === undefined);
  }

  damage(): Rows<string> {
    return damageOf(this.#db, 'store.db');
  }

  async mend(mends: readonly Mend[]): Promise<void> {
    const db = this.#writer;
    if (db === null) throw new Error('this audit only reads');
    db.exec('BEGIN IMMEDIATE');
    try {
      const put = mender(db);
      for (const mend of mends) put(mend);
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#db.close();
    this.#writer?.close();
  }

  /** The transaction begins at its first read; what is asked in it is of that moment. */
  async #atOneMoment<Result>(read: () => Promise<Result>): Promise<Result> {
    this.#db.exec('BEGIN');
    try {
      return await read();
    } finally {
      this.#db.exec('COMMIT');
    }
  }
}
