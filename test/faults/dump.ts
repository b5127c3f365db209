// What the files of a stopped server hold, read from a copy: opening a database may already change it.
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Change } from '../kit/frames.ts';
import type { Dump, DumpedChange } from './evidence.ts';

/** The databases and their write-ahead logs. The index of one in shared memory means nothing after the process. */
const FILES = /^(?:log|store)\.db(?:-wal)?$/;

export async function dumpFolder(dataDir: string): Promise<Dump> {
  const copy = await mkdtemp(join(tmpdir(), 'chatterbox-dump-'));
  try {
    for (const name of await readdir(dataDir)) {
      if (FILES.test(name)) await copyFile(join(dataDir, name), join(copy, name));
    }
    return read(join(copy, 'log.db'), join(copy, 'store.db'));
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

function read(logFile: string, storeFile: string): Dump {
  const log = new DatabaseSync(logFile, { readOnly: true });
  const store = new DatabaseSync(storeFile, { readOnly: true });
  try {
    const { epoch, trimmed } = log.prepare('SELECT epoch, trimmed FROM meta').get() as {
      epoch: string;
      trimmed: number;
    };
    const watermark = store.prepare('SELECT offset FROM watermark WHERE part = 0').get() as
      | { offset: number }
      | undefined;
    const logged = log.prepare('SELECT offset, wire FROM log ORDER BY offset').all() as unknown as Row[];
    const stored = store.prepare('SELECT 0 AS offset, wire FROM changes ORDER BY conv, seq').all() as unknown as Row[];
    const changes = [...stored.map((row) => dumped('store', row)), ...logged.map((row) => dumped('log', row))];
    return { epoch, parts: [{ trimmed, watermark: watermark?.offset ?? 0 }], changes };
  } finally {
    log.close();
    store.close();
  }
}

interface Row {
  readonly offset: number;
  readonly wire: string;
}

function dumped(file: DumpedChange['file'], { offset, wire }: Row): DumpedChange {
  return { file, part: 0, offset, change: JSON.parse(wire) as Change };
}
