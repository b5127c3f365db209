// A database thread for tests: operations that write, read, fail in every way, and end the thread.
import { DatabaseSync } from 'node:sqlite';
import { workerData } from 'node:worker_threads';
import { serveThread } from '../../src/adapters/sqlite/thread-worker.ts';
import { ChatError, StartError } from '../../src/errors.ts';
import { HoleError } from '../../src/ports/store.ts';
import { conv } from './store-model.ts';

serveThread(() => {
  const { file } = workerData as { file: string | null };
  if (file === null) throw new StartError('data_foreign: not for us');
  const db = new DatabaseSync(file, { timeout: 0 });
  // No checkpoint: the size of the -wal file counts the pages of all commits.
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0');
  db.exec('CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY) STRICT');
  db.exec('CREATE TABLE IF NOT EXISTS orphans (word TEXT REFERENCES words DEFERRABLE INITIALLY DEFERRED) STRICT');
  const put = db.prepare('INSERT INTO words VALUES (?)');
  const fail = (error: Error) => (word: string) => {
    put.run(word);
    throw error;
  };
  return {
    db,
    operations: {
      put: (word: string) => void put.run(word),
      count: () => (db.prepare('SELECT count(*) AS words FROM words').get() as { words: number }).words,
      hole: fail(new HoleError(conv('c1'), 3, 5)),
      start: fail(new StartError('data_newer: too new')),
      chat: fail(new ChatError('rate_limited', { field: 'text', afterMs: 70, cause: new Error('why') })),
      defect: fail(new TypeError('a defect')),
      limitPages: (pages: number) => db.exec(`PRAGMA max_page_count = ${pages}`),
      /** Nothing is wrong with it before the commit. */
      orphan: () => void db.prepare("INSERT INTO orphans VALUES ('of no word')").run(),
      endTransaction: () => db.exec('ROLLBACK; THIS IS NO SQL'),
      die: () => process.exit(3),
    },
  };
});
