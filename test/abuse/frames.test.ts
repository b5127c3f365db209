// WebSocket frames that break RFC 6455, reach its limits, or come in floods: the close code of the RFC, and no memory.
import t from 'tap';
import { type Random, random } from '../kit/index.ts';
import { clientFrame, clientText, closeFrame, type FrameParts, OPCODE, type RawSocket } from '../kit/raw.ts';
import { type Arena, type Attack, arena, closingOf, newId, settled, withstand } from './kit.ts';

const MAX_FRAME = 65_536;
const MIB = 1_048_576;

const place = await arena(t);

/** Bytes on a connection that is signed in, and what it is closed with. */
function bytes(name: string, code: number, ...parts: readonly (FrameParts | Buffer)[]): Attack {
  const act = async (arena: Arena) => {
    const raw = await arena.enter();
    raw.write(...parts.map((part) => (Buffer.isBuffer(part) ? part : clientFrame(part))));
    return closingOf(raw);
  };
  return { name, act, expect: { code, errors: [] } };
}

const part = (payload: Buffer | string, opcode: number = OPCODE.text): FrameParts => ({ opcode, payload, fin: false });
const last = (payload: Buffer | string): FrameParts => ({ opcode: OPCODE.continuation, payload });
const ping = (id: string, padTo = 0) => JSON.stringify({ t: 'ping', id }).padEnd(padTo);

const RULES: readonly Attack[] = [
  bytes('an unmasked frame', 1002, { payload: ping('unmasked'), masked: false }),
  bytes('an unmasked ping', 1002, { opcode: OPCODE.ping, masked: false }),
  bytes('reserved bit 1, as of a compressed frame', 1002, { payload: ping('reserved'), reserved: 0x40 }),
  bytes('reserved bit 2', 1002, { payload: ping('reserved'), reserved: 0x20 }),
  bytes('reserved bit 3', 1002, { payload: ping('reserved'), reserved: 0x10 }),
  bytes('all reserved bits', 1002, { payload: ping('reserved'), reserved: 0x70 }),
  bytes('a reserved bit in a continuation', 1002, part('{'), { ...last('}'), reserved: 0x40 }),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => bytes(`reserved opcode ${opcode}`, 1002, { opcode })),
  bytes('a fragmented ping', 1002, { opcode: OPCODE.ping, fin: false }),
  bytes('a fragmented pong', 1002, { opcode: OPCODE.pong, fin: false }),
  bytes('a fragmented close', 1002, { opcode: OPCODE.close, fin: false }),
  bytes('a ping of 126 bytes', 1002, { opcode: OPCODE.ping, payload: 'x'.repeat(126) }),
  bytes('a close of 126 bytes', 1002, closeFrame(1000, 'x'.repeat(124))),
  bytes('a close of one byte', 1002, { opcode: OPCODE.close, payload: 'x' }),
  bytes('a continuation of nothing', 1002, last('x')),
  bytes('a continuation of a finished message', 1002, { payload: ping('finished') }, last('}')),
  bytes('a new message within a fragmented one', 1002, part('{'), { payload: ping('within') }),
  bytes('a binary message within a fragmented text', 1002, part('{'), { opcode: OPCODE.binary, payload: '}' }),
].map((attack) => ({ ...attack, name: `${attack.name} ends the connection as a protocol error` }));
const INVALID_UTF8: Readonly<Record<string, readonly number[]>> = {
  'an overlong slash': [0xc0, 0xaf],
  'an overlong NUL': [0xc0, 0x80],
  'half a surrogate pair': [0xed, 0xa0, 0x80],
  'a surrogate pair as six bytes': [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
  'a character beyond the last': [0xf4, 0x90, 0x80, 0x80],
  'a byte that begins nothing': [0xff],
  'a byte that continues nothing': [0x80],
  'a character cut off': [0xe2, 0x82],
  'a character interrupted': [0xe2, 0x28, 0xa1],
};

const inText = (invalid: readonly number[]) =>
  Buffer.concat([Buffer.from('{"t":"'), Buffer.from(invalid), Buffer.from('"}')]);

const UTF8: readonly Attack[] = [
  ...Object.entries(INVALID_UTF8).map(([name, invalid]) =>
    bytes(`${name} is no UTF-8`, 1007, { payload: inText(invalid) }),
  ),
  ...Object.entries(INVALID_UTF8).map(([name, invalid]) => {
    const whole = inText(invalid);
    const at = 6 + Math.ceil(invalid.length / 2);
    return bytes(
      `${name} is no UTF-8 when split over fragments`,
      1007,
      part(whole.subarray(0, at)),
      last(whole.subarray(at)),
    );
  }),
  bytes(
    'a character cut off by the end of its message is no UTF-8',
    1007,
    part('{"t":"'),
    last(Buffer.from([0xe2, 0x82])),
  ),
  bytes('a close whose reason is no UTF-8', 1007, closeFrame(1000, Buffer.from([0xc3, 0x28]))),
  {
    name: 'a character split over three fragments is whole again',
    act: async (arena) => {
      const raw = await arena.enter();
      const whole = Buffer.from('{"t":"€"}');
      raw.write(clientFrame(part(whole.subarray(0, 7))), clientFrame({ ...last(whole.subarray(7, 8)), fin: false }));
      raw.write(clientFrame(last(whole.subarray(8))));
      const error = await raw.next('error');
      await raw.close();
      return error;
    },
    expect: { code: 'unknown_type' },
  },
];

function closing(code: number): Promise<{ code: number | null }> {
  return place.enter().then((raw) => {
    raw.write(closeFrame(code, 'so long'));
    return closingOf(raw);
  });
}

const CLOSES: readonly Attack[] = [
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code) => ({
    name: `close code ${code} is nobody's to send`,
    act: () => closing(code),
    expect: { code: 1002 },
  })),
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map((code) => ({
    name: `close code ${code} is answered with itself`,
    act: () => closing(code),
    expect: { code },
  })),
  { ...bytes('a close without a code is answered', 1005, { opcode: OPCODE.close }) },
  {
    name: 'what comes behind a close is not heard',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.write(closeFrame(1000), clientText(ping('too-late')), clientFrame({ payload: 'x', masked: false }));
      const { code } = await closingOf(raw);
      return { code, frames: raw.unread.filter((frame) => frame.id === 'too-late').length };
    },
    expect: { code: 1000, frames: 0 },
  },
];

/** A ping in fragments of so many bytes. */
function inFragments(text: string, size: number): Buffer {
  const whole = Buffer.from(text);
  const count = Math.ceil(whole.length / size);
  return Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      clientFrame({
        opcode: index === 0 ? OPCODE.text : OPCODE.continuation,
        payload: whole.subarray(index * size, (index + 1) * size),
        fin: index === count - 1,
      }),
    ),
  );
}

/** The answer to one ping, however it is framed. */
function answered(name: string, frames: (id: string) => Buffer): Attack {
  const act = async (arena: Arena) => {
    const raw = await arena.enter();
    const id = newId();
    raw.write(frames(id));
    const pong = await raw.next('pong');
    await raw.close();
    return { isMine: pong.id === id };
  };
  return { name, act, expect: { isMine: true } };
}

const declared = (declaredBytes: bigint) => clientFrame({ payload: '{"t":"ping"', declaredBytes });

const SIZES: readonly Attack[] = [
  answered('a message of exactly the limit is taken', (id) => clientText(ping(id, MAX_FRAME))),
  answered('a message of exactly the limit is taken in two fragments', (id) =>
    inFragments(ping(id, MAX_FRAME), MAX_FRAME / 2),
  ),
  answered('a message in sixteen-byte fragments is taken', (id) => inFragments(ping(id, MAX_FRAME), 16)),
  answered('a message after empty fragments is taken', (id) =>
    Buffer.concat([clientFrame(part('')), clientFrame({ ...last(''), fin: false }), clientFrame(last(ping(id)))]),
  ),
  answered('a ping between the fragments of a message is answered', (id) =>
    Buffer.concat([
      clientFrame(part(ping(id).slice(0, 9))),
      clientFrame({ opcode: OPCODE.ping, payload: 'now' }),
      clientFrame(last(ping(id).slice(9))),
    ]),
  ),
  bytes('one byte more than the limit is too large', 1009, { payload: ping('too-large', MAX_FRAME + 1) }),
  bytes('one byte more than the limit is too large, binary too', 1009, {
    opcode: OPCODE.binary,
    payload: Buffer.alloc(MAX_FRAME + 1),
  }),
  bytes(
    'fragments of one byte more together are too large',
    1009,
    inFragments(ping('too-large', MAX_FRAME + 1), MAX_FRAME),
  ),
  bytes('a declared length of one byte more is too large before it comes', 1009, declared(BigInt(MAX_FRAME + 1))),
  bytes('a declared length of 2^32 is too large before it comes', 1009, declared(2n ** 32n)),
  bytes('a declared length of 2^53 is too large before it comes', 1009, declared(2n ** 53n)),
  bytes('a declared length of 2^63 is too large before it comes', 1009, declared(2n ** 63n)),
  bytes('a declared length of 2^64 - 1 is too large before it comes', 1009, declared(2n ** 64n - 1n)),
  {
    name: 'a declared length that never comes reserves nothing',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.write(declared(BigInt(MAX_FRAME)));
      await raw.flushed();
      raw.destroy();
      return {};
    },
    expect: {},
  },
  {
    name: 'a frame that comes byte by byte is as good as any',
    act: async (arena) => {
      const raw = await arena.enter();
      for (const byte of clientText(ping('byte-by-byte'))) {
        raw.write(Buffer.from([byte]));
        await raw.flushed();
      }
      const pong = await raw.next('pong');
      await raw.close();
      return pong;
    },
    expect: { id: 'byte-by-byte' },
  },
];

const binary = (payload: string | Buffer = 'x') => clientFrame({ opcode: OPCODE.binary, payload });
const unsupported = { code: 'unsupported_media_type', retry: false };

const BINARY: readonly Attack[] = [
  {
    name: 'a binary message is refused, and the connection goes on',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.write(binary(ping('in-binary')));
      const error = await raw.next('error');
      const pong = await raw.ask({ t: 'ping', id: 'still-here' });
      await raw.close();
      return { error, pong };
    },
    expect: { error: unsupported, pong: { t: 'pong' } },
  },
  {
    name: 'the second binary message ends the connection',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.write(
        binary(),
        clientText(ping('in-between')),
        clientFrame({ ...part('x', OPCODE.binary) }),
        clientFrame(last('y')),
      );
      return closingOf(raw);
    },
    expect: { code: 1003, errors: [unsupported, unsupported] },
  },
  {
    name: 'an empty binary message is one',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.write(binary(''), binary(''));
      return closingOf(raw);
    },
    expect: { code: 1003 },
  },
];

/** Bytes that mean nothing, or a frame with a few bytes of its own changed. */
function noise(chance: Random): Buffer {
  const length = chance.whole(400);
  if (chance.chance(0.5)) return Buffer.from(Array.from({ length }, () => chance.whole(256)));
  const frame = clientText(ping('noise-noise', length));
  for (let changes = 1 + chance.whole(3); changes > 0; changes--) frame[chance.whole(frame.length)] = chance.whole(256);
  return frame;
}

t.test('noise of every kind ends at most its own connection, by a code of the RFC or of ours', async (t) => {
  const chance = random();
  t.comment(`seed ${chance.seed}`);
  const codes = new Set<number | null>();
  for (let round = 0; round < 300; round++) {
    const raw = await place.open();
    raw.write(...Array.from({ length: 1 + chance.whole(5) }, () => noise(chance)));
    raw.write(closeFrame(1000));
    raw.socket.end();
    codes.add((await closingOf(raw)).code);
  }
  const isProper = (code: number | null) => code === null || (code >= 1000 && code <= 4999);
  t.ok([...codes].every(isProper), `closed by ${[...codes].join(' ')}`);
  await place.staysWell(t);
});

const COUNT = 1_000_000;

/** Writes the same bytes over and over as fast as they are taken, until that is done or the connection ends. */
async function pour(raw: RawSocket, chunk: Buffer, times: number): Promise<void> {
  for (let time = 0; time < times && raw.isOpen; time++) {
    raw.write(chunk);
    if (raw.socket.writableNeedDrain) await raw.flushed();
  }
  await raw.flushed();
}

/** A million continuations, 1,000 at a time. */
async function fragments(arena: Arena, payload: string): Promise<object> {
  const raw = await arena.enter();
  raw.write(clientFrame(part('{')));
  const chunk = Buffer.concat(Array.from({ length: 1_000 }, () => clientFrame({ ...last(payload), fin: false })));
  await pour(raw, chunk, COUNT / 1_000);
  return closingOf(raw);
}

/** Whether the server holds no more than so much for a flood while it is under way. */
async function isBounded(arena: Arena, bound: number, flood: () => Promise<void>): Promise<boolean> {
  const most = (await arena.memory()).heldBytes + bound;
  await flood();
  return (await settled(arena, most)).heldBytes < most;
}

const pings = Buffer.concat(
  Array.from({ length: 1_000 }, () => clientFrame({ opcode: OPCODE.ping, payload: 'x'.repeat(125) })),
);

const FLOODS: readonly Attack[] = [
  {
    name: 'a million fragments of one byte are too many',
    act: (arena) => fragments(arena, ' '),
    expect: { code: 1008, errors: [] },
    once: true,
  },
  {
    name: 'a million empty fragments are too many',
    act: (arena) => fragments(arena, ''),
    expect: { code: 1008, errors: [] },
    once: true,
  },
  {
    name: 'two hundred thousand pings, their pongs unread, are not kept, and the connection goes on',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.socket.pause();
      const bounded = await isBounded(arena, 4 * MIB, () => pour(raw, pings, 200));
      raw.socket.resume();
      const pong = await raw.ask({ t: 'ping', id: 'still-here' });
      await raw.close();
      return { isBounded: bounded, pong };
    },
    expect: { isBounded: true, pong: { t: 'pong' } },
    once: true,
  },
  {
    name: 'two hundred thousand pongs nobody asked for are nothing',
    act: async (arena) => {
      const raw = await arena.enter();
      const pong = clientFrame({ opcode: OPCODE.pong, payload: 'x'.repeat(125) });
      const bounded = await isBounded(arena, 4 * MIB, () =>
        pour(raw, Buffer.concat(Array.from({ length: 1_000 }, () => pong)), 200),
      );
      const answer = await raw.ask({ t: 'ping', id: 'still-here' });
      await raw.close();
      return { isBounded: bounded, answer };
    },
    expect: { isBounded: true, answer: { t: 'pong' } },
    once: true,
  },
  {
    name: 'requests without end, their answers unread, are not kept: who does not read is not asked for more',
    act: async (arena) => {
      const raw = await arena.enter(arena.ann.account);
      const some = Array.from({ length: 200 }, () => clientText({ t: 'history', id: newId(), conv: 'c'.repeat(40) }));
      raw.socket.pause();
      let isTaken = true;
      const bounded = await isBounded(arena, 4 * MIB, async () => {
        for (let time = 0; time < 200 && isTaken; time++) {
          raw.write(...some);
          isTaken = await Promise.race([raw.flushed().then(() => true), stalled(raw)]);
        }
      });
      raw.destroy();
      return { isBounded: bounded };
    },
    expect: { isBounded: true },
    once: true,
  },
  {
    name: 'pings of the protocol without end are held back, then end the connection',
    act: async (arena) => {
      const raw = await arena.enter();
      for (let count = 0; count < 1_000; count++) raw.send(ping(`ping-${count}-of-many`));
      const { code, errors } = await closingOf(raw);
      return { code, errors: [...new Set(errors.map((error) => error.code))] };
    },
    expect: { code: 4004, errors: ['rate_limited'] },
    once: true,
  },
  {
    name: 'a ping is answered with its own payload, of every length',
    act: async (arena) => {
      const raw = await arena.enter();
      const lengths: number[] = [];
      for (const length of [0, 1, 124, 125]) {
        raw.write(clientFrame({ opcode: OPCODE.ping, payload: 'p'.repeat(length) }));
        lengths.push((await raw.nextFrame((frame) => frame.opcode === OPCODE.pong)).payload.length);
      }
      await raw.close();
      return lengths;
    },
    expect: [0, 1, 124, 125],
  },
];

/** Resolves to false when the kernel has taken nothing more for a while: the server has stopped reading. */
async function stalled(raw: RawSocket): Promise<boolean> {
  for (;;) {
    const waiting = raw.socket.writableLength;
    const written = raw.socket.bytesWritten;
    await new Promise((resolve) => setTimeout(resolve, 300));
    if (raw.socket.writableLength === waiting && raw.socket.bytesWritten === written) return false;
  }
}

t.test('the rules of the RFC', (t) => withstand(t, place, RULES));
t.test('UTF-8', (t) => withstand(t, place, UTF8));
t.test('closing', (t) => withstand(t, place, CLOSES));
t.test('sizes', (t) => withstand(t, place, SIZES));
t.test('binary messages', (t) => withstand(t, place, BINARY));
t.test('floods', (t) => withstand(t, place, FLOODS, 200));
