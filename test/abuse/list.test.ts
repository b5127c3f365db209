// The list of bad input says where each line is tried: it has to be there.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { HANDSHAKE_AND_FRAMES, HTTP_LINES, JSON_LINES, LATER } from './list.ts';

const sourceOf = (file: string) => readFileSync(new URL(file, import.meta.url), 'utf8');

t.test('every line of bad input is tried where the list says', async (t) => {
  const lines = [...HANDSHAKE_AND_FRAMES, ...JSON_LINES, ...HTTP_LINES];
  t.equal(new Set(lines.map(({ input }) => input)).size, lines.length, `${lines.length} lines, each once`);
  for (const { input, cases } of lines) {
    t.ok(cases.length > 0, input);
    for (const [file, words] of cases) t.ok(sourceOf(file).includes(words), `${input}: "${words}" in ${file}`);
  }
});

t.test('what is not tried yet is part of something that is not there yet', async (t) => {
  for (const [input, feature] of Object.entries(LATER)) t.match(feature, /^(?:files|reactions|administration)$/, input);
});
