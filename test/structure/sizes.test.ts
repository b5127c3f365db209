// How long things may get. Around 10 lines a function and 300 a file is what they should be; this is where it ends.
import t from 'tap';
import { functionSizes, readSources, toSource } from '../kit/source.ts';

const MAX_FUNCTION_LINES = 80;
const MAX_FILE_LINES = 500;
/** The path of a message is one file that can be read aloud. */
const MAX_PATH_LINES = 250;
/** Data that grows by a row a setting. */
const TABLES = ['src/config/settings.ts'];

const sources = readSources();
const functions = sources.flatMap(functionSizes);

t.test(`no function is over ${MAX_FUNCTION_LINES} lines`, async (t) => {
  t.ok(functions.length > 0);
  t.same(
    functions.filter(({ lines }) => lines > MAX_FUNCTION_LINES),
    [],
  );
});

t.test(`no file is over ${MAX_FILE_LINES} lines`, async (t) => {
  const long = sources.filter(({ path, lines }) => lines.length > MAX_FILE_LINES && !TABLES.includes(path));
  t.same(
    long.map(({ path, lines }) => `${path}: ${lines.length}`),
    [],
  );
});

t.test(`the path of a message is at most ${MAX_PATH_LINES} lines`, async (t) => {
  const path = sources.find((source) => source.path === 'src/messages/path.ts');
  t.ok(path !== undefined && path.lines.length <= MAX_PATH_LINES, `${path?.lines.length}`);
});

t.test('the tail of sizes, to look at', async (t) => {
  const sizes = functions.map(({ lines }) => lines).sort((a, b) => a - b);
  const at = (share: number) => sizes[Math.floor((sizes.length - 1) * share)];
  t.comment(`${sizes.length} functions: median ${at(0.5)}, 90th percentile ${at(0.9)}, longest ${at(1)} lines`);
  for (const { at, lines } of functions) if (lines > 40) t.comment(`over 40 lines: ${at} (${lines})`);
  for (const { path, lines } of sources) if (lines.length > 300) t.comment(`over 300 lines: ${path} (${lines.length})`);
  t.ok(sizes.length > 0);
});

t.test(
  'functions are measured from their first line to their closing brace, without the functions inside',
  async (t) => {
    const text = `export function one(
  a: string,
): string {
  if (a) {
    return a;
  }
  return [1].map((x) => {
    return x;
  });
}

class Thing {
  async method(): Promise<void> {
    await 1;
  }
}
`;
    t.same(functionSizes(toSource('x.ts', text)), [
      { at: 'x.ts:1', lines: 7 },
      { at: 'x.ts:7', lines: 3 },
      { at: 'x.ts:13', lines: 3 },
    ]);
  },
);
