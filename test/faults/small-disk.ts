// A disk that can be full: a small file system in memory, and a file on it that takes what others would need.
import { execFile } from 'node:child_process';
import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from '../kit/process.ts';

/** What this file needs of a tap test. */
interface Owner {
  teardown(end: () => unknown): void;
}

const execute = promisify(execFile);

const DISK_BYTES = 24 * 1_048_576;
const CHUNK = Buffer.alloc(65_536, 1);

/** A folder that is a file system of its own. */
export async function smallDisk(t: Owner): Promise<string> {
  const folder = await temporaryFolder(t);
  await execute('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]).catch((error: Error) => {
    throw new Error(`this test mounts a file system, as root and where the container allows it: ${error.message}`);
  });
  // Lazily: what a killed Redis had forked to rewrite its file may hold it for a moment more.
  t.teardown(() => execute('umount', ['--lazy', folder]));
  return folder;
}

/** Leaves only so much free. @returns how to give the rest back */
export async function fill(folder: string, leftBytes: number): Promise<() => Promise<void>> {
  const file = join(folder, '.filler');
  const handle = await open(file, 'w');
  try {
    for (;;) {
      const { bavail, bsize } = await statfs(folder);
      const bytes = Math.min(CHUNK.length, bavail * bsize - leftBytes);
      if (bytes <= 0) break;
      await handle.write(CHUNK, 0, bytes);
    }
  } catch (error) {
    // A server that writes at the same time took the last bytes.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await handle.close();
  }
  return () => rm(file);
}
