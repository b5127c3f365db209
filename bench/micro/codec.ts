// What decoding and encoding cost beside the least that could be done: JSON.parse alone, a copy of the bytes alone.
import { decode, encodeFrame, encodeFrames } from '../../src/protocol/codec.ts';
import { compare } from './compare.ts';

const id = '0199a3c2-7c1e-7abc-8def-0123456789ab';
const conv = 'q3TzS1mYQxWc0aPp9uVb2w';
const request = JSON.stringify({ t: 'message', id, conv, text: 'about as long as people write in a chat' });
const sync = JSON.stringify({ t: 'sync', id, conv, after: 12_345, limit: 200 });
const push = `{"t":"message","conv":"${conv}","seq":12345,"n":12300,"from":"YWJjZGVmZ2hpamts","at":1794000000000,"key":"${id}","text":"about as long as people write in a chat"}`;
const wide = push.replace('about', 'ひとが書く'.repeat(20));
const ten = new Array<string>(10).fill(push);

for (const [name, text] of [
  ['message', request],
  ['sync', sync],
] as const) {
  compare(`decode a ${name} (${text.length} bytes)`, {
    'JSON.parse alone': () => JSON.parse(text),
    decode: () => decode(text),
  });
}

for (const [name, text] of [
  ['ASCII', push],
  ['Japanese', wide],
] as const) {
  compare(`encode a push, ${name} (${Buffer.byteLength(text)} bytes)`, {
    'Buffer.from alone': () => Buffer.from(text),
    encodeFrame: () => encodeFrame(text),
    'header and Buffer.concat': () =>
      Buffer.concat([Buffer.from([0x81, 126, 0, text.length & 0xff]), Buffer.from(text)]),
  });
}

compare(
  'encode ten pushes, for one write, each',
  {
    encodeFrames: () => encodeFrames(ten),
    'encodeFrame and Buffer.concat': () => Buffer.concat(ten.map(encodeFrame)),
  },
  ten.length,
);
