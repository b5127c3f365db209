// What to run before a commit: format, lint, types, and the tests that are quick. Stops at the first that fails.
// `npm run check -- --write` mends the format.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

/** Tests that start processes or take their time; `npm test` runs them. */
const SLOW =
  /^test\/(?:(?:abuse|contract|e2e|faults|ops|verify|web)\/|(?:config\/(?:process|start|workers|roles)|client\/(?:server|page|package|recipes|outbox-file|simulation)|examples\/(?:python|echo-bot)|presence\/.*redis|structure\/run)\.)/;

const bin = (path: string) => join(import.meta.dirname, '../node_modules', path);
const fastTests = globSync('test/*/**/*.test.ts').filter((path) => !SLOW.test(path));

/** The package `@biomejs/biome` that chooses between these breaks `npm ci` where one of them is missing. */
const biome = bin(`@biomejs/cli-${process.platform}-${process.arch}/biome`);

const steps: readonly (readonly [program: string, ...words: readonly string[]])[] = [
  [biome, 'check', ...process.argv.slice(2)],
  [process.execPath, bin('.bin/tsc')],
  // What runs in a browser knows other globals.
  [process.execPath, bin('.bin/tsc'), '-p', 'src/client'],
  [process.execPath, bin('.bin/tsc'), '-p', 'src/web'],
  [process.execPath, bin('.bin/tsc'), '-p', 'test/web'],
  [process.execPath, 'test/run.ts', ...fastTests],
];

for (const [program, ...words] of steps) {
  const { status, error } = spawnSync(program, words, { stdio: 'inherit' });
  if (error !== undefined) process.stderr.write(`${program}: ${error.message}\n`);
  if (status !== 0) process.exit(1);
}
