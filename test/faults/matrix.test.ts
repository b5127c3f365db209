// The matrix of faults is true: every row is proven by tests that exist, or says what it waits for; no test is in no row.
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { MATRIX } from './matrix.ts';

const ROOT = join(import.meta.dirname, '../..');
/** About the tests themselves, or about promises of a cluster that no fault is needed for. */
const OF_NO_ROW = ['matrix', 'command', 'cluster-two-nodes', 'cluster-read-your-writes'];

t.test('the rows are F1 to F24, each with tests or with what it waits for', async (t) => {
  t.same(
    MATRIX.map(({ fault }) => fault),
    Array.from({ length: 24 }, (_, index) => `F${index + 1}`),
  );
  for (const { fault, files, comesWith } of MATRIX) t.ok(files.length > 0 !== (comesWith !== undefined), fault);
});

t.test('every test that a row names is there', async (t) => {
  const files = MATRIX.flatMap((row) => row.files);
  t.same(
    files.filter((file) => !existsSync(join(ROOT, file))),
    [],
  );
});

t.test('every fault test is in a row', async (t) => {
  const named = new Set([...MATRIX.flatMap(({ files }) => files), ...OF_NO_ROW.map(pathOf)]);
  const found = globSync('test/faults/*.test.ts', { cwd: ROOT });
  t.ok(found.length > 0);
  t.same(
    found.filter((file) => !named.has(file)),
    [],
  );
});

function pathOf(name: string): string {
  return `test/faults/${name}.test.ts`;
}
