// The client as who installs it gets it: built, packed, and installed in a folder of its own.
import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cleanEnv, temporaryFolder } from '../../kit/process.ts';

const ROOT = join(import.meta.dirname, '../../..');
const run = promisify(execFile);

/** What this file needs of a tap test. */
interface Owner {
  teardown(end: () => unknown): void;
}

/** @returns a folder in which `chatterbox-client` can be imported */
export async function installedClient(t: Owner): Promise<string> {
  const [built, folder] = [await temporaryFolder(t), await temporaryFolder(t)];
  await run(process.execPath, ['ops/build-client.ts', built], { cwd: ROOT, env: cleanEnv() });
  await npm(folder, 'pack', built);
  const [archive = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  await writeFile(join(folder, 'package.json'), '{"type":"module","private":true}\n');
  await npm(folder, 'install', '--offline', '--no-audit', '--no-fund', `./${archive}`);
  return folder;
}

function npm(cwd: string, ...words: readonly string[]): Promise<unknown> {
  return run('npm', [...words], { cwd, env: cleanEnv() });
}
