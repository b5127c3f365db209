// Encoding: whole frames of a server, read back by the reader of the tests, which shares no line with the encoder.
import * as fc from 'fast-check';
import t from 'tap';
import { encodeFrame, encodeFrames } from '../../src/protocol/codec.ts';
import { OPCODE, readFrames, type ServerFrame } from '../kit/raw.ts';

/** RFC 6455 section 5.2: final, no reserved bit, text, not masked, the shortest form of its length. */
function isProper({ fin, reserved, opcode, masked, extraLengthBytes, payload }: ServerFrame): boolean {
  const shortest = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8;
  return fin && reserved === 0 && opcode === OPCODE.text && !masked && extraLengthBytes === shortest;
}

function textsIn(bytes: Buffer): readonly string[] {
  const { frames, rest } = readFrames(bytes);
  if (rest.length > 0 || !frames.every(isProper)) throw new Error('not whole, proper frames');
  return frames.map(({ payload }) => payload.toString());
}

const LENGTHS = [0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 131_072, 2_000_000];

t.test('a text of any length is one proper frame', async (t) => {
  for (const length of LENGTHS) {
    const text = 'x'.repeat(length);
    t.ok(textsIn(encodeFrame(text))[0] === text, `${length} bytes`);
  }
});

t.test('length is told in bytes, however many a character has', async (t) => {
  for (const [character, bytes] of [
    ['é', 2],
    ['語', 3],
    ['🙂', 4],
  ] as const) {
    for (const length of LENGTHS) {
      const text = character.repeat(length / bytes) + 'x'.repeat(length % bytes);
      t.ok(textsIn(encodeFrame(text))[0] === text, `${length} bytes of ${character}`);
    }
  }
});

t.test('several texts are as many frames, in order, the same bytes as one by one', async (t) => {
  const texts = LENGTHS.map((length) => 'é'.repeat(length / 2));
  t.same(textsIn(encodeFrames(texts)), texts);
  t.same(textsIn(encodeFrames([])), []);
  await fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 200 }), { maxLength: 20 }), (some) => {
      const bytes = encodeFrames(some);
      return (
        bytes.equals(Buffer.concat(some.map(encodeFrame))) && textsIn(bytes).every((text, at) => text === some[at])
      );
    }),
  );
});

t.test('the reader of the tests can tell a wrong frame', async (t) => {
  const frame = encodeFrame('x'.repeat(126));
  t.throws(() => textsIn(frame.subarray(0, -1)), 'cut');
  t.throws(
    () => textsIn(Buffer.concat([Buffer.from([0x81, 127, 0, 0, 0, 0, 0, 0, 0, 1]), Buffer.from('x')])),
    'long-winded',
  );
  t.throws(() => textsIn(Buffer.from([0x82, 0])), 'binary');
  t.throws(() => textsIn(Buffer.from([0x01, 0])), 'not final');
  t.throws(() => textsIn(Buffer.from([0xc1, 0])), 'a reserved bit');
});
