// Builds the page (src/web) into dist/web. Before `npm start` (bin/build-page.js) only where it is missing, or made from
// something else than what is here now; run by itself always, with exit code 1 where it cannot be built.
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const ROOT = join(import.meta.dirname, '..');
const WEB = join(ROOT, 'src/web');
const TARGET = join(ROOT, 'dist/web');
/** Names what the page was made from; written last. */
const STAMP = join(TARGET, '.built');
const PAGE = 'index.html';
const SOURCES = ['src/web/**/*', 'src/client/*.ts', 'src/protocol/*.ts', 'src/errors.ts', 'ops/build-web.ts'];
const TOOLS = ['vite/package.json', 'preact/package.json'];
/** Below this the headers weigh more than what is saved. */
const MIN_COMPRESSED_BYTES = 256;

interface PageFile {
  /** Below the target. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Builds where it has to. @returns whether it did @throws what the bundler throws */
export async function buildPage(options: { readonly force?: boolean } = {}): Promise<boolean> {
  const source = fingerprint();
  if (options.force !== true && source === stamp()) return false;
  say('building the page ...');
  const files = await bundle();
  // The page after what it names, so that whoever reads the folder meanwhile has a whole one, old or new.
  const inOrder = files.toSorted((one, other) => Number(one.path === PAGE) - Number(other.path === PAGE));
  for (const file of inOrder.flatMap(withCompressed)) writeWhole(file);
  removeOthers(files);
  writeWhole({ path: '.built', bytes: Buffer.from(source) });
  return true;
}

/** Whether the bundler is here: an install for production leaves it out. */
function canBuild(): boolean {
  const { resolve } = createRequire(import.meta.url);
  try {
    return TOOLS.every((path) => existsSync(resolve(path)));
  } catch {
    return false;
  }
}

/** By content: clones, copies and images give files any time they like. */
function fingerprint(): string {
  const hash = createHash('sha256');
  const paths = SOURCES.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).sort();
  for (const path of paths) {
    const file = join(ROOT, path);
    if (statSync(file).isFile()) hash.update(`${path}\0`).update(readFileSync(file)).update('\0');
  }
  const { resolve } = createRequire(import.meta.url);
  for (const path of TOOLS) hash.update(readFileSync(resolve(path)));
  return hash.digest('hex');
}

function stamp(): string | null {
  return existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : null;
}

/** Script and styles are files of their own, never inline: the page's policy allows nothing else. */
async function bundle(): Promise<PageFile[]> {
  const { build } = await import('vite');
  const result = await build({
    configFile: false,
    envDir: false,
    root: WEB,
    publicDir: false,
    logLevel: 'warn',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: { write: false, target: 'es2023', modulePreload: false, assetsInlineLimit: 0, assetsDir: 'assets' },
  });
  const outputs = [result].flat().flatMap((one) => ('output' in one ? one.output : []));
  return outputs.map((file) => ({
    path: file.fileName,
    bytes: Buffer.from(file.type === 'chunk' ? file.code : file.source),
  }));
}

/** Compressed once here, as small as it gets, and never while somebody waits. */
function withCompressed({ path, bytes }: PageFile): PageFile[] {
  if (bytes.length < MIN_COMPRESSED_BYTES) return [{ path, bytes }];
  const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  return [
    { path: `${path}.br`, bytes: brotliCompressSync(bytes, { params }) },
    { path: `${path}.gz`, bytes: gzipSync(bytes, { level: 9 }) },
    { path, bytes },
  ];
}

/** Appears whole or not at all: others may build, or read, at the same time. */
function writeWhole({ path, bytes }: PageFile): void {
  const file = join(TARGET, path);
  mkdirSync(dirname(file), { recursive: true });
  const unfinished = `${TARGET}.${process.pid}`;
  writeFileSync(unfinished, bytes);
  renameSync(unfinished, file);
}

function removeOthers(files: readonly PageFile[]): void {
  const kept = new Set(files.flatMap(({ path }) => [path, `${path}.br`, `${path}.gz`]));
  for (const path of globSync('**/*', { cwd: TARGET })) {
    const file = join(TARGET, path);
    if (!kept.has(path) && statSync(file, { throwIfNoEntry: false })?.isFile()) rmSync(file, { force: true });
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Never throws: a server without a page, or with an old one, is better than none. */
export async function buildBeforeStart(): Promise<void> {
  if (!canBuild()) {
    if (stamp() === null) say('the page cannot be built here, and is left out: "npm ci" with the development packages');
    return;
  }
  try {
    await buildPage();
  } catch (error) {
    sayWhy(error);
  }
}

function sayWhy(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  say(`the page could not be built: ${stripVTControlCharacters(reason)}`);
}

if (import.meta.main) {
  await buildPage({ force: true }).catch((error: unknown) => {
    sayWhy(error);
    process.exitCode = 1;
  });
}
