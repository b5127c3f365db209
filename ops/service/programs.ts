// Finds the programs that tests and `ops/services` start: in PATH, in the cache, or installed now. Says what it installs; asks for nothing.
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { Failure, type Say } from './failure.ts';
import { installers } from './install.ts';
import { withLock } from './lock.ts';
import { findInFolders, pathFolders } from './path.ts';
import { run } from './run.ts';

export type ProgramName = 'redis-server' | 'mongod' | 'minio' | 'nginx' | 'chromium';

export interface FoundProgram {
  readonly path: string;
  readonly origin: 'found' | 'cached' | 'installed';
}

/** Where systems put servers that the PATH of a plain user leaves out. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/local/sbin'];

/** @throws Failure that says what to install */
export async function findProgram(name: ProgramName, say: Say): Promise<FoundProgram> {
  return lookFor(name) ?? withLock(join(cacheFolder(), 'install.lock'), say, () => installProgram(name, say));
}

/** Other names of the same, by which some systems have it. */
const ALSO_CALLED: Partial<Record<ProgramName, readonly string[]>> = {
  chromium: ['chromium-browser', 'google-chrome', 'google-chrome-stable'],
};

/** What there is without installing anything. */
function lookFor(name: ProgramName): FoundProgram | undefined {
  const folders = [...pathFolders(), ...SERVER_FOLDERS];
  const names = [name, ...(ALSO_CALLED[name] ?? [])];
  const found = names.map((one) => findInFolders(folders, one)).find((path) => path !== undefined);
  if (found !== undefined) return { path: found, origin: 'found' };
  const cached = findInFolders([join(cacheFolder(), 'bin')], name);
  return cached === undefined ? undefined : { path: cached, origin: 'cached' };
}

/** Under the lock: whoever waited for it finds what the other installed. */
async function installProgram(name: ProgramName, say: Say): Promise<FoundProgram> {
  const existing = lookFor(name);
  if (existing !== undefined) return existing;
  await installers[name](say);
  const installed = lookFor(name);
  if (installed === undefined) throw new Failure(1, `${name} was installed and is not in PATH or ${cacheFolder()}/bin`);
  const { code, output } = await run(installed.path, [name === 'nginx' ? '-v' : '--version']);
  if (code !== 0) throw new Failure(1, `${installed.path} does not run here: ${output.trim().split('\n').at(-1)}`);
  return { path: installed.path, origin: 'installed' };
}
