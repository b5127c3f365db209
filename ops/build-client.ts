// Builds the client as a package of its own: `dist/client`, plain ESM and types, ready for `npm publish`. Without
// dependencies, so that who wants a client does not install a server.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'vite';

const ROOT = join(import.meta.dirname, '..');
const OUT = process.argv[2] ?? join(ROOT, 'dist/client');

/** What can be imported of it: the client itself, and what not everyone needs. */
const ENTRIES = ['index', 'bare', 'http', 'outbox-file', 'outbox-idb'];

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
await buildModules();
buildTypes();
await writeFile(join(OUT, 'package.json'), `${JSON.stringify(await manifest(), null, 2)}\n`);
await copyFile(join(ROOT, 'LICENSE'), join(OUT, 'LICENSE'));
await copyFile(join(ROOT, 'docs/client.md'), join(OUT, 'README.md'));

async function buildModules(): Promise<void> {
  await build({
    configFile: false,
    root: ROOT,
    logLevel: 'warn',
    build: {
      outDir: OUT,
      emptyOutDir: false,
      target: 'es2023',
      // Whoever bundles minifies; whoever reads a stack trace is glad of names.
      minify: false,
      lib: {
        entry: Object.fromEntries(ENTRIES.map((name) => [name, join(ROOT, `src/client/${name}.ts`)])),
        formats: ['es'],
      },
      rolldownOptions: { external: /^node:/, output: { entryFileNames: '[name].js', chunkFileNames: '[name].js' } },
    },
  });
}

function buildTypes(): void {
  const words = [
    '-p',
    'src/client',
    '--removeComments',
    'false',
    '--noEmit',
    'false',
    '--declaration',
    '--emitDeclarationOnly',
  ];
  const shape = ['--rewriteRelativeImportExtensions', '--rootDir', 'src', '--outDir', join(OUT, 'types')];
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const { status, stdout, stderr } = spawnSync(tsc, [...words, ...shape], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`tsc failed: ${stdout}${stderr}`);
  // It leaves the names of sources in declarations, which no resolution but a bundler's finds.
  for (const path of globSync(join(OUT, 'types/**/*.d.ts'))) {
    writeFileSync(
      path,
      readFileSync(path, 'utf8').replaceAll(/(from |import\()(['"]\.[^'"]*)\.ts(['"])/g, '$1$2.js$3'),
    );
  }
}

async function manifest(): Promise<object> {
  const { version, license, description } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  const exported = ENTRIES.map((name) => [
    name === 'index' ? '.' : `./${name}`,
    { types: `./types/client/${name}.d.ts`, default: `./${name}.js` },
  ]);
  return {
    name: 'chatterbox-client',
    version,
    description: `The client. ${description}`,
    license,
    type: 'module',
    sideEffects: false,
    engines: { node: '>=20' },
    exports: Object.fromEntries(exported),
  };
}
