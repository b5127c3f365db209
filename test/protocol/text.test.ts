// Text: what is taken, what is too long, and that it is taken as it is.
import * as fc from 'fast-check';
import t from 'tap';
import { ChatError } from '../../src/errors.ts';
import { checkMessageText, checkText, codePoints } from '../../src/protocol/text.ts';

/** Why a text is refused; undefined when it is not. */
function refusal(check: () => void): Pick<ChatError, 'code' | 'field'> | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    return { code: error.code, field: error.field };
  }
}

const ofMessage = (text: string) => refusal(() => checkMessageText(text, false));

t.test('length is counted in code points', async (t) => {
  await fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => codePoints(text) === [...text].length));
  t.equal(codePoints(''), 0);
  t.equal(codePoints('👩‍👩‍👧‍👦'), 7, 'a family is seven');
  t.equal(codePoints('e\u0301'), 2, 'an accent of its own counts');
});

t.test('four thousand characters are taken, of one byte or four, and one more is too large', async (t) => {
  for (const character of ['a', 'é', '語', '🙂', '\u{10FFFF}', '\u0301']) {
    t.equal(ofMessage(character.repeat(4_000)), undefined, `4000 × ${character}`);
    t.same(ofMessage(character.repeat(4_001)), { code: 'too_large', field: 'text' }, `4001 × ${character}`);
  }
  t.same(ofMessage(`${'🙂'.repeat(3_999)}ab`), { code: 'too_large', field: 'text' }, 'mixed, one too many');
  t.equal(ofMessage(`${'🙂'.repeat(3_999)}a`), undefined, 'mixed, exactly');
});

t.test('a lone half of a surrogate pair is refused wherever it stands', async (t) => {
  for (const text of ['\ud800', '\udfff', 'a\ud83d', '\udca9a', '\udca9\ud83d', '🙂\ud83d', '\ud83d\ud83d\udca9']) {
    t.same(ofMessage(text), { code: 'bad_frame', field: 'text' }, JSON.stringify(text));
  }
});

t.test('U+0000 is refused wherever it stands', async (t) => {
  for (const text of ['\0', 'a\0', '\0a', `${'a'.repeat(3_999)}\0`]) {
    t.same(ofMessage(text), { code: 'bad_frame', field: 'text' });
  }
});

t.test('all other characters are taken: controls, noncharacters, directions, private use', async (t) => {
  for (const text of [
    '\u0001',
    '\u001b[31m',
    '\u007f',
    '\u0085',
    '\u202e',
    '\u2066',
    '\ufeff',
    '\ufffe',
    '\uffff',
    '\u{E0001}',
  ]) {
    t.equal(ofMessage(text), undefined, JSON.stringify(text));
  }
  await fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 1 }),
      (text) => text.includes('\0') || ofMessage(text) === undefined,
    ),
  );
});

t.test('an empty text needs something beside it; a blank one does not', async (t) => {
  t.same(ofMessage(''), { code: 'bad_frame', field: 'text' });
  t.equal(
    refusal(() => checkMessageText('', true)),
    undefined,
  );
  for (const blank of [' ', '\n', '\t', '\u00a0', '\u3000', '\u200b']) t.equal(ofMessage(blank), undefined);
});

t.test('other texts have their own limits and names', async (t) => {
  t.equal(
    refusal(() => checkText('é'.repeat(200), 'title', 200)),
    undefined,
  );
  t.same(
    refusal(() => checkText('é'.repeat(201), 'title', 200)),
    { code: 'too_large', field: 'title' },
  );
  t.same(
    refusal(() => checkText('\ud800', 'topic')),
    { code: 'bad_frame', field: 'topic' },
  );
  t.equal(
    refusal(() => checkText('', 'title', 200)),
    undefined,
    'a title may be empty',
  );
});
