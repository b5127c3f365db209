// One scale: what a colour, a size of type, a radius or a space is, is said in tokens.css, and nowhere else.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const SOURCES = join(import.meta.dirname, '../../src/web');
const STYLES = globSync('styles/*.css', { cwd: SOURCES }).filter((path) => !path.endsWith('tokens.css'));

/** Lines of all style sheets but the tokens that are so. */
function linesWith(kind: RegExp): readonly string[] {
  return STYLES.flatMap((path) =>
    readFileSync(join(SOURCES, path), 'utf8')
      .split('\n')
      .filter((line) => kind.test(line))
      .map((line) => `${path}: ${line.trim()}`),
  );
}

t.test('the style sheets name no colour of their own', async (t) => {
  t.ok(STYLES.length > 4);
  t.same(linesWith(/#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|light-dark)\(|oklch\((?!var)/i), []);
});

t.test('nor a size of type', async (t) => {
  t.same(linesWith(/font-size: (?!var\(--text-|inherit)/), []);
});

t.test('nor a radius, but for a share of what is round', async (t) => {
  t.same(linesWith(/border-radius: [^;]*\d(?:px|rem)/), []);
});

t.test('nor a space, but for a hair', async (t) => {
  t.same(
    linesWith(/(?:margin|padding|gap)[a-z-]*: [^;]*(?:\d(?:rem|em)|(?:[2-9]|\d{2,})px)/).filter(
      (line) => !line.includes('clip-margin'),
    ),
    [],
  );
});

t.test('every token is used', async (t) => {
  const tokens = readFileSync(join(SOURCES, 'styles/tokens.css'), 'utf8');
  const names = [...tokens.matchAll(/^ {2}(--[a-z0-9-]+):/gm)].map(([, name = '']) => name);
  const all = globSync('**/*.{css,tsx}', { cwd: SOURCES })
    .map((path) => readFileSync(join(SOURCES, path), 'utf8'))
    .join('\n');
  t.same(
    [...new Set(names)].filter((name) => !all.includes(`var(${name}`)),
    [],
  );
});
