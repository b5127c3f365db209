// A SQLite file with the given operations and the way to call them: each call in its own transaction, as the
// store's worker thread runs it, but on this thread.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Test } from 'tap';

export type Call = (op: string, ...args: unknown[]) => Promise<unknown>;
type Operations = (db: DatabaseSync) => Record<string, (...args: never[]) => unknown>;

/** @returns a call, and a way to open the same file again behind the back of the first */
export async function sqliteCall(t: Test, schema: string, operations: Operations) {
  const folder = await mkdtemp(join(tmpdir(), 'chat-contract-'));
  const opened: DatabaseSync[] = [];
  t.teardown(async () => {
    for (const db of opened) db.close();
    await rm(folder, { recursive: true });
  });

  async function open(): Promise<Call> {
    const db = new DatabaseSync(join(folder, 'chat.db'));
    opened.push(db);
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${schema}`);
    const table = operations(db) as Record<string, (...args: unknown[]) => unknown>;
    return async (op, ...args) => {
      const operation = table[op];
      if (operation === undefined) throw new Error(`no operation ${op}`);
      db.exec('BEGIN IMMEDIATE');
      try {
        const answer = operation(...structuredClone(args));
        db.exec('COMMIT');
        return structuredClone(answer);
      } catch (error) {
        db.exec('ROLLBACK');
        throw error;
      }
    };
  }
  return { call: await open(), reopen: open };
}
