// What SQLite itself finds wrong with a file: pages that are damaged, rows that an index lacks. Table by table, since a check
// cannot be broken off (sqlite.org/pragma.html#pragma_integrity_check).
import type { DatabaseSync } from 'node:sqlite';
import { resultCode } from './thread-messages.ts';

const MOST_LINES = 20;
const CORRUPT = 11;

export async function* damageOf(db: DatabaseSync, name: string): AsyncGenerator<readonly string[]> {
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").all();
  for (const table of tables) yield checked(db, name, table.name as string);
}

function checked(db: DatabaseSync, name: string, table: string): string[] {
  try {
    const rows = db.prepare(`PRAGMA integrity_check('${table}')`).all();
    const faults = rows.map((row) => row.integrity_check as string).filter((text) => text !== 'ok');
    return faults.slice(0, MOST_LINES).map((text) => `${name}: ${text}`);
  } catch (error) {
    if (resultCode(error) !== CORRUPT) throw error;
    return [`${name}: table ${table} is damaged`];
  }
}
