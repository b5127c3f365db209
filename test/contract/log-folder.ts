// A folder with the files of the SQLite log: log.db, and the store's file with the store's own tables, which a test fills
// as the store does before the log is trimmed.
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { openSqliteLog } from '../../src/adapters/sqlite/log.ts';
import { openStoreFile } from '../../src/adapters/sqlite/schema.ts';
import type { Change, Log } from '../../src/ports/log.ts';
import { movesGuard } from '../../src/protocol/changes.ts';
import type { LogSettings } from './log-items.ts';

const DEFAULT_BUDGET_BYTES = 1_000_000_000;

export class LogFolder {
  readonly path: string;
  readonly file: string;
  readonly storeFile: string;
  readonly #opened: Log[] = [];

  constructor(path: string, file = join(path, 'log.db')) {
    this.path = path;
    this.file = file;
    this.storeFile = join(path, 'store.db');
  }

  async open({ budgetBytes = DEFAULT_BUDGET_BYTES, now = Date.now }: LogSettings = {}): Promise<Log> {
    const log = await openSqliteLog({ file: this.file, storeFile: this.storeFile, budgetBytes, now });
    this.#opened.push(log);
    return log;
  }

  /** What the store's `apply` does to the tables the log looks into. */
  async store(changes: readonly Change[]): Promise<void> {
    const db = openStoreFile(this.storeFile, []);
    const addChange = db.prepare(
      'INSERT INTO changes (conv, seq, n, type, user, key, at, wire) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    );
    const setHead = db.prepare(
      `INSERT INTO convs (conv, seq, n, guard, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (conv) DO UPDATE
       SET seq = excluded.seq, n = max(n, excluded.n), guard = max(guard, excluded.guard), at = excluded.at`,
    );
    db.exec('BEGIN IMMEDIATE');
    for (const { conv, seq, n, type, from, key, at, wire, offset } of changes) {
      addChange.run(conv, seq, n, type, from, key, at, wire);
      setHead.run(conv, seq, n, movesGuard(type) ? seq : 0, at);
      db.prepare('INSERT OR REPLACE INTO watermark VALUES (0, ?)').run(offset);
    }
    db.exec('COMMIT');
    db.close();
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#opened.map((log) => log.close()));
  }
}

export async function logFolder(t: Test): Promise<LogFolder> {
  const path = await mkdtemp(join(tmpdir(), 'chat-log-'));
  return openFolder(t, new LogFolder(path), async () => {});
}

/** A folder whose log is on a disk of 1 MB that the log fills up; undefined where this process may not mount one. */
export async function smallDisk(t: Test): Promise<(LogFolder & { remount(options: string): void }) | undefined> {
  const path = await mkdtemp(join(tmpdir(), 'chat-log-'));
  const disk = join(path, 'disk');
  await mkdir(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    await rm(path, { recursive: true });
    return undefined;
  }
  const folder = openFolder(t, new LogFolder(path, join(disk, 'log.db')), async () => {
    execFileSync('umount', [disk]);
  });
  const remount = (options: string) => void execFileSync('mount', ['-o', `remount,${options}`, disk]);
  return Object.assign(folder, { remount });
}

function openFolder(t: Test, folder: LogFolder, leave: () => Promise<void>): LogFolder {
  openStoreFile(folder.storeFile, []).close();
  t.teardown(async () => {
    await folder.closeAll();
    await leave();
    await rm(folder.path, { recursive: true });
  });
  return folder;
}
