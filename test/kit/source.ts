// The sources as text, for the tests that hold them to the rules of the house. TypeScript 7 has no parser to call, so
// these read what the formatter guarantees: one import a statement, a closing brace in the column of its opening line.
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

const ROOT = new URL('../../', import.meta.url);

export interface Source {
  /** From the root of the project, `src/...`. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  /** Sources it imports, as paths; and packages, by the name written. */
  readonly imports: readonly string[];
  readonly packages: readonly string[];
}

export function readSources(): readonly Source[] {
  const paths = globSync('src/**/*.{ts,tsx}', { cwd: ROOT }).sort();
  return paths.map((path) => toSource(path, readFileSync(new URL(path, ROOT), 'utf8')));
}

export function toSource(path: string, text: string): Source {
  const names = [...text.matchAll(/^(?:import|export|\}).*? from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm)];
  const specifiers = names.map((match) => match[1] ?? match[2] ?? match[3] ?? '');
  const relative = specifiers.filter((name) => name.startsWith('.'));
  return {
    path,
    text,
    lines: text.trimEnd().split('\n'),
    imports: relative.map((name) => posix.join(posix.dirname(path), name)),
    packages: specifiers.filter((name) => !name.startsWith('.')),
  };
}

/** The source without its comments and string literals, for rules about what is called. */
export function codeOf(source: Source): string {
  return source.text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|'(?:[^'\\\n]|\\.)*'/gm, '');
}

export interface FunctionSize {
  readonly at: string;
  /** Its own: those of the functions in it are theirs. */
  readonly lines: number;
}

const NO_FUNCTION =
  /^(?:if|for|while|switch|do|try|else|return \{|class|interface|type|namespace)\b|^\} (?:else|catch|finally)/;

/** Every function with a body over several lines: declarations, methods and callbacks. */
export function functionSizes(source: Source): readonly FunctionSize[] {
  const spans = source.lines.flatMap((line, row) => {
    if (!/(?:=>|\)|\): .+) \{$/.test(line)) return [];
    const start = startOfHeader(source.lines, row);
    if (NO_FUNCTION.test((source.lines[start] ?? '').trim())) return [];
    return [{ start, end: closing(source.lines, row) }];
  });
  return spans.map(({ start, end }) => {
    const inside = spans.filter((other) => other.start > start && other.end < end);
    const own = range(start, end).filter((row) => !inside.some((other) => row >= other.start && row <= other.end));
    return { at: `${source.path}:${start + 1}`, lines: own.length };
  });
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

const column = (line: string) => line.search(/\S/);

/** A header over several lines ends with one that begins with a bracket, in the column of its first. */
function startOfHeader(lines: readonly string[], row: number): number {
  const line = lines[row] ?? '';
  if (!/^\s*[)}\]]/.test(line)) return row;
  const above = lines
    .slice(0, row)
    .findLastIndex((other) => column(other) === column(line) && !/^\s*[)}\]]/.test(other));
  return above === -1 ? row : above;
}

function closing(lines: readonly string[], row: number): number {
  const indent = column(lines[row] ?? '');
  const below = lines.findIndex((line, at) => at > row && column(line) === indent && line.trim().startsWith('}'));
  return below === -1 ? lines.length - 1 : below;
}
