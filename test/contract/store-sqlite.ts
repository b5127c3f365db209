// A SQLite store in a folder of its own for a test.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { openSqliteStore, type SqliteStore } from '../../src/adapters/sqlite/store.ts';

export async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chat-store-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens a file; whatever becomes of the test, it is closed. */
export async function openStore(t: Test, file: string): Promise<SqliteStore> {
  const store = await openSqliteStore({ file });
  t.teardown(() => store.close());
  return store;
}

/** A store in a fresh folder, and a way to close it and open its file again. */
export async function freshStore(t: Test) {
  const file = join(await temporaryFolder(t), 'store.db');
  const store = await openStore(t, file);
  let current = store;
  const reopen = async () => {
    await current.close();
    current = await openStore(t, file);
    return current;
  };
  return { ...store, file, reopen };
}
