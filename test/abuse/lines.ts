// Ten thousand lines that people wrote, with the names of who wrote them: what a Debian machine has of them, filled up with
// the documents of the packages installed here and with Unicode's own names of languages, which every Node has.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { gunzipSync } from 'node:zlib';

export interface Line {
  readonly author: string;
  readonly text: string;
}

/** Lines of one kind of source, and what it is. */
export interface Source {
  readonly what: string;
  readonly lines: readonly Line[];
}

const MAX_TEXT = 4_000;
/** Of one file: many files say more than one long one. */
const MOST_OF_A_FILE = 40;
/** The last source has to do alone where there is no other: slim images have no /usr/share/doc. */
const MOST_OF_A_DOCUMENT = 500;
const ROOT = new URL('../../', import.meta.url).pathname;

const isWritten = (text: string) =>
  text.trim() !== '' &&
  text.isWellFormed() &&
  !text.includes('\0') &&
  !text.includes('\ufffd') &&
  [...text].length <= MAX_TEXT;

/** Different ones only, each kept exactly as it is. */
function distinct(lines: Iterable<Line>, most: number): readonly Line[] {
  const seen = new Map<string, Line>();
  for (const line of lines) {
    if (seen.size >= most) break;
    if (isWritten(line.text) && !seen.has(line.text)) seen.set(line.text, line);
  }
  return [...seen.values()];
}

/** Entries of Debian changelogs, by whoever signed them below. */
function* changelogLines(): Generator<Line> {
  for (const path of globSync('/usr/share/doc/*/changelog*.gz').sort()) {
    let entry: string[] = [];
    let count = 0;
    for (const text of gunzipSync(readFileSync(path)).toString('utf8').split('\n')) {
      const author = /^ -- (.+?) </.exec(text)?.[1];
      if (author === undefined) {
        entry.push(text);
        continue;
      }
      for (const each of entry) if (count++ < MOST_OF_A_FILE) yield { author, text: each };
      entry = [];
      if (count >= MOST_OF_A_FILE) break;
    }
  }
}

/** Lines of locale definitions in other scripts, by the people named as their source. */
function* localeLines(): Generator<Line> {
  for (const path of globSync('/usr/share/i18n/locales/*').sort()) {
    const lines = readFileSync(path, 'utf8').split('\n');
    const named = lines
      .map((line) => /^(?:contact|source)\s+"([^",<]+)/.exec(line)?.[1])
      .find((name) => name !== undefined);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: anything but ASCII is meant
    const foreign = lines.filter((text) => /[^\x00-\x7f]/.test(text)).slice(0, MOST_OF_A_FILE);
    for (const text of foreign) yield { author: named?.trim() ?? basename(path), text };
  }
}

/** Documents of the packages installed here, by the authors their packages name. */
function* packageLines(): Generator<Line> {
  for (const path of globSync('node_modules/{*,@*/*}/{README,readme,CHANGELOG,HISTORY}.md', { cwd: ROOT }).sort()) {
    const manifest = ROOT + path.replace(/[^/]+$/, 'package.json');
    if (!existsSync(manifest)) continue;
    const { author, maintainers } = JSON.parse(readFileSync(manifest, 'utf8'));
    const [person = 'somebody'] = [author, ...(maintainers ?? [])].flatMap((each) => each?.name ?? each ?? []);
    const name = String(person).replace(/\s*[<(].*$/, '');
    const lines = readFileSync(ROOT + path, 'utf8')
      .split('\n')
      .slice(0, MOST_OF_A_DOCUMENT);
    for (const text of lines) yield { author: name, text };
  }
}

const LANGUAGES =
  'am ar bn de el en es fa fr gu he hi hy it ja ka km kn ko lo ml mn mr my ne pa pl ru si ta te th ti tr uk ur vi zh'.split(
    ' ',
  );

/** Names of languages in other languages, by Unicode's repository of them. */
function* languageLines(): Generator<Line> {
  for (const locale of LANGUAGES) {
    const names = new Intl.DisplayNames([locale], { type: 'language' });
    for (const other of LANGUAGES) yield { author: 'Unicode CLDR', text: `${other}: ${names.of(other)}` };
    const day = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeZone: 'UTC' });
    for (let count = 0; count < 30; count++)
      yield { author: 'Unicode CLDR', text: day.format(count * 86_400_000 * 37) };
  }
}

/** As many different lines as asked for, from all sources there are. */
export function writtenLines(count: number): readonly Source[] {
  const sources: Source[] = [];
  const taken = new Set<string>();
  let missing = count;
  const take = (what: string, lines: Iterable<Line>, most: number) => {
    const fresh = distinct(lines, count)
      .filter(({ text }) => !taken.has(text))
      .slice(0, Math.min(most, missing));
    for (const { text } of fresh) taken.add(text);
    missing -= fresh.length;
    sources.push({ what, lines: fresh });
  };
  take('names of languages and days by Unicode', languageLines(), count / 10);
  take('locale definitions', localeLines(), count / 4);
  take('Debian changelogs', changelogLines(), missing);
  take('documents of installed packages', packageLines(), missing);
  if (missing > 0) throw new Error(`only ${count - missing} different lines on this machine`);
  return sources;
}

const SCRIPTS =
  'Latin Greek Cyrillic Armenian Hebrew Arabic Devanagari Bengali Tamil Telugu Thai Georgian Hangul Hiragana Han Ethiopic Khmer'.split(
    ' ',
  );

/** The scripts that occur in texts. */
export function scriptsOf(lines: readonly Line[]): readonly string[] {
  return SCRIPTS.filter((script) => {
    const letter = new RegExp(`\\p{Script=${script}}`, 'u');
    return lines.some(({ text }) => letter.test(text));
  });
}
