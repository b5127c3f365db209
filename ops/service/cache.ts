// Folders of `ops/services`: downloaded programs are kept in the user's cache, the state of a run under the temporary folder.
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, rmdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from './failure.ts';

export const ROOT = join(import.meta.dirname, '../..');

export function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(base, 'chatterbox');
}

/** One for each user and checkout. */
export function stateFolder(): string {
  const checkout = createHash('sha256').update(ROOT).digest('hex').slice(0, 8);
  return join(tmpdir(), `chatterbox-services-${userId()}-${checkout}`);
}

/** The name can be guessed and the parent is everybody's: a folder that another user made first is not used. */
export function makeStateFolder(): string {
  const folder = stateFolder();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const status = lstatSync(folder);
  const isOurs = status.isDirectory() && (status.uid === userId() || userId() === 0);
  if (!isOurs)
    throw new Failure(2, `${folder} belongs to somebody else; remove it or set TMPDIR to a folder of your own`);
  return folder;
}

/** Where something is up, or another process has just begun, it stays. */
export function removeEmptyStateFolder(): void {
  try {
    rmdirSync(stateFolder());
  } catch {
    // It is gone, or in use.
  }
}

function userId(): number {
  return process.getuid?.() ?? 0;
}
