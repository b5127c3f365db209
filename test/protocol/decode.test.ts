// Decoding: whatever comes, the answer is a checked frame or a refusal, and which of them an independent reading of the
// schemas says too.
import * as fc from 'fast-check';
import t from 'tap';
import { decode, type Refused } from '../../src/protocol/codec.ts';
import { CLIENT_FRAMES, REQUESTS } from '../../src/protocol/requests.ts';
import { fits, fitting, isFields, misfits, misfitting, type Shape } from './schemas.ts';

const SHAPES = CLIENT_FRAMES as unknown as Readonly<Record<string, Shape>>;
const NAMES = Object.keys(SHAPES);

type Fields = Record<string, unknown>;

function shapeOf(name: string): Shape {
  const shape = SHAPES[name];
  if (shape === undefined) throw new Error(`no frame ${name}`);
  return shape;
}

function refusal(data: string): Refused | undefined {
  const decoded = decode(data);
  return 'refused' in decoded ? decoded : undefined;
}

/** What a schema cannot say, read from docs/protocol.md: the fields at fault by their content. */
function unmeant(frame: Fields): readonly string[] {
  const isUntext = (value: unknown) => typeof value === 'string' && (!value.isWellFormed() || value.includes('\0'));
  const isTooLong = (value: unknown) => typeof value === 'string' && [...value].length > 4_000;
  const files = Array.isArray(frame.files) ? frame.files : [];
  const wrong = ['text', 'emoji', 'device'].filter((name) => isUntext(frame[name]) || isTooLong(frame[name]));
  if (frame.text === '' && files.length === 0) wrong.push('text');
  if (new Set(files).size < files.length) wrong.push('files');
  const anchors = ['before', 'after', 'around'].filter((name) => frame[name] !== undefined);
  return frame.t === 'history' && anchors.length > 1 ? [...wrong, ...anchors] : wrong;
}

const aFrame = fc.constantFrom(...NAMES).chain((name) => fitting(shapeOf(name)) as fc.Arbitrary<Fields>);

/** A frame with a fault or two, or none: a field left out, of another kind, or one too many. */
const almostAFrame = fc
  .tuple(aFrame, fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.jsonValue(), fc.string()), { maxLength: 2 }))
  .map(([frame, faults]) => {
    const spoilt: Fields = { ...frame };
    for (const [pick, kind, value, name] of faults) {
      const fields = Object.keys(spoilt);
      const field = fields[pick % fields.length] ?? name;
      if (kind === 0) delete spoilt[field];
      else if (kind === 1)
        Object.defineProperty(spoilt, name, { value, enumerable: true, configurable: true, writable: true });
      else spoilt[field] = value;
    }
    return spoilt;
  });

t.test('decoding never throws: any text is a frame or a refusal', async () => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json({ maxDepth: 6 }),
    almostAFrame.map((frame) => JSON.stringify(frame)),
  );
  await fc.assert(
    fc.property(anything, (data) => {
      const refused = refusal(data);
      return (
        refused === undefined || ['bad_json', 'bad_frame', 'unknown_type', 'too_large'].includes(refused.refused.code)
      );
    }),
    { numRuns: 3_000 },
  );
});

t.test('what fits its schema and holds proper text is accepted as it is, and nothing else is', async () => {
  await fc.assert(
    fc.property(almostAFrame, (frame) => {
      const data = JSON.stringify(frame);
      const same = JSON.parse(data) as Fields;
      const shape = typeof same.t === 'string' && Object.hasOwn(SHAPES, same.t) ? SHAPES[same.t] : undefined;
      const isGood = shape !== undefined && fits(shape, same) && unmeant(same).length === 0;
      const decoded = decode(data);
      return isGood ? JSON.stringify(decoded) === JSON.stringify(same) : 'refused' in decoded;
    }),
    { numRuns: 5_000 },
  );
});

t.test('a refusal repeats the id and names a field that is at fault', async () => {
  await fc.assert(
    fc.property(almostAFrame, (frame) => {
      const same = JSON.parse(JSON.stringify(frame)) as Fields;
      const refused = refusal(JSON.stringify(same));
      if (refused === undefined) return;
      const { code, field } = refused.refused;
      const isId = typeof same.id === 'string' && same.id.length <= 64;
      if (refused.id !== (isId ? same.id : undefined)) throw new Error(`answers to ${refused.id}`);
      const shape = typeof same.t === 'string' && Object.hasOwn(SHAPES, same.t) ? SHAPES[same.t] : undefined;
      if (shape === undefined) return field === 't';
      const faults = misfits(shape, same);
      if (faults.length > 0) return code === 'bad_frame' && (field === undefined || faults.includes(field));
      return field === undefined ? same.t === 'history' : unmeant(same).includes(field);
    }),
    { numRuns: 5_000 },
  );
});

for (const name of NAMES) {
  const shape = shapeOf(name);
  const example = () =>
    fc.sample(
      fitting(shape).filter((frame) => unmeant(frame as Fields).length === 0),
      20,
    ) as Fields[];

  t.test(`${name}: what fits is accepted unchanged`, async (t) => {
    for (const frame of example()) t.same(decode(JSON.stringify(frame)), JSON.parse(JSON.stringify(frame)));
  });

  t.test(`${name}: every field of every wrong kind is refused by its name`, async (t) => {
    const [frame = {}] = example();
    for (const [field, expected] of Object.entries(shape.properties ?? {})) {
      if (field === 't') continue;
      for (const value of misfitting(expected)) {
        const refused = refusal(JSON.stringify({ ...frame, [field]: value }));
        t.equal(refused?.refused.code, 'bad_frame', `${field}: ${JSON.stringify(value).slice(0, 40)}`);
        t.equal(refused?.refused.field, field);
      }
    }
  });

  t.test(`${name}: each field it needs is missed by its name`, async (t) => {
    const [frame = {}] = example();
    for (const field of shape.required ?? []) {
      const { [field]: _left, ...rest } = frame;
      const refused = refusal(JSON.stringify(rest));
      t.equal(refused?.refused.code, 'bad_frame');
      t.equal(refused?.refused.field, field);
    }
  });

  t.test(`${name}: fields it does not have are refused by their names`, async (t) => {
    const [frame = {}] = example();
    const fields = ['from', 'at', 'rev', 'role', 'key', 'user', 'n', 'seq', 'constructor', 'toString', '', ' id', 'ID'];
    for (const field of fields.filter((each) => !Object.hasOwn(shape.properties ?? {}, each))) {
      const refused = refusal(JSON.stringify({ ...frame, [field]: 1 }));
      t.equal(refused?.refused.code, 'bad_frame', `"${field}"`);
      t.equal(refused?.refused.field, field);
    }
    const proto = refusal(JSON.stringify(frame).replace(/}$/, ',"__proto__":{"t":"ping"}}'));
    t.match(proto, { refused: { code: 'bad_frame', field: '__proto__' } });
  });
}

t.test('every request has an id, and no signal has', async (t) => {
  for (const name of NAMES) {
    t.equal(Object.hasOwn(shapeOf(name).properties ?? {}, 'id'), Object.hasOwn(REQUESTS, name), name);
  }
});

t.test('what is no JSON object is told so', async (t) => {
  for (const data of [
    '',
    ' ',
    '{',
    '{"t":"ping"',
    '{}x',
    '{} {}',
    "{'t':1}",
    '\uFEFF{}',
    '{}\0',
    'NaN',
    'undefined',
    '01',
  ]) {
    t.match(refusal(data), { refused: { code: 'bad_json' }, id: undefined }, JSON.stringify(data));
  }
  for (const data of ['null', '[]', '0', '1e999', '"ping"', 'true', '[{"t":"ping","id":"abcdefgh"}]']) {
    t.match(refusal(data), { refused: { code: 'bad_frame' }, id: undefined }, data);
  }
});

t.test('a type nobody knows is unknown, also where every object has it', async (t) => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'welcome', 'PING', 'ping ', '']) {
    t.match(refusal(JSON.stringify({ t: name, id: 'abcdefgh' })), {
      refused: { code: 'unknown_type', field: 't' },
      id: 'abcdefgh',
    });
  }
  for (const type of [null, 1, ['ping'], { toString: 'ping' }]) {
    t.match(refusal(JSON.stringify({ t: type, id: 'abcdefgh' })), { refused: { code: 'bad_frame', field: 't' } });
  }
});

t.test('an id is echoed as it came, unless it is no text or longer than an id can be', async (t) => {
  const idOf = (id: unknown) => refusal(JSON.stringify({ t: 'ping', id, x: 1 }))?.id;
  t.equal(idOf('abcdefgh'), 'abcdefgh');
  t.equal(idOf('short'), 'short');
  t.equal(idOf('a'.repeat(64)), 'a'.repeat(64));
  t.equal(idOf('a'.repeat(65)), undefined);
  for (const id of [1, null, [], {}]) t.equal(idOf(id), undefined);
});

t.test('nesting ten thousand deep is refused in every place a value can stand', async (t) => {
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
  const objects = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`;
  for (const name of NAMES) {
    const [frame = {}] = fc.sample(fitting(shapeOf(name)), 1) as Fields[];
    for (const field of [...Object.keys(shapeOf(name).properties ?? {}), 'x']) {
      for (const value of [deep, objects, `[${deep},${deep}]`, `{"epoch":"e","convs":{"c":${deep}}}`]) {
        const data = JSON.stringify({ ...frame, [field]: '' }).replace(`"${field}":""`, () => `"${field}":${value}`);
        t.match(refusal(data), { refused: { code: 'bad_frame', field } }, `${name}.${field}`);
      }
    }
  }
});

t.test('the named limits hold to the unit', async (t) => {
  const id = 'abcdefgh';
  const isFrame = (frame: object) => refusal(JSON.stringify(frame)) === undefined;
  const biggest = Number.MAX_SAFE_INTEGER;
  t.ok(isFrame({ t: 'sync', id, conv: 'c', after: biggest, limit: 500 }));
  t.notOk(isFrame({ t: 'sync', id, conv: 'c', after: 0, limit: 501 }));
  t.notOk(isFrame({ t: 'sync', id, conv: 'c', after: 0, limit: 0 }));
  t.ok(isFrame({ t: 'history', id, conv: 'c', limit: 200 }));
  t.notOk(isFrame({ t: 'history', id, conv: 'c', limit: 201 }));
  t.notOk(isFrame({ t: 'history', id, conv: 'c', before: 0 }));
  t.ok(isFrame({ t: 'history', id, conv: 'c', after: 0 }));
  t.ok(isFrame({ t: 'sync', id: 'a'.repeat(64), conv: 'c'.repeat(40), after: 0 }));
  t.notOk(isFrame({ t: 'sync', id: 'a'.repeat(65), conv: 'c', after: 0 }));
  t.notOk(isFrame({ t: 'sync', id: 'a'.repeat(7), conv: 'c', after: 0 }));
  t.notOk(isFrame({ t: 'sync', id, conv: 'c'.repeat(41), after: 0 }));
  t.ok(isFrame({ t: 'hello', id, token: 'x', device: '🙂'.repeat(40) }));
  t.notOk(isFrame({ t: 'hello', id, token: 'x', device: '🙂'.repeat(41) }));
  t.notOk(isFrame({ t: 'hello', id, token: 'x', device: `e${'\u0301'.repeat(40)}` }), 'a pile of accents has a length');
  t.notOk(isFrame({ t: 'hello', id, token: 'x', since: { epoch: 'e', convs: { 'no id': 1 } } }));
  t.ok(
    isFrame({ t: 'message', id, conv: 'c', text: 'x', files: Array.from({ length: 10 }, (_, index) => `f${index}`) }),
  );
  const eleven = Array.from({ length: 11 }, (_, index) => `f${index}`);
  t.match(decode(JSON.stringify({ t: 'message', id, conv: 'c', text: 'x', files: eleven })), {
    refused: { code: 'too_large', field: 'files' },
  });
  t.notOk(isFrame({ t: 'message', id, conv: 'c', text: 'x', files: ['f', 'f'] }), 'a file once');
});

t.test('numbers are read as JSON has them, and never clamped', async (t) => {
  const afterOf = (number: string) => decode(`{"t":"sync","id":"abcdefgh","conv":"c","after":${number}}`);
  for (const number of ['-1', '0.5', '1e999', '-1e999', '9007199254740992', '1e400', '"1"', 'true', 'null']) {
    t.match(afterOf(number), { refused: { code: 'bad_frame', field: 'after' } }, number);
  }
  t.match(afterOf('1e2'), { after: 100 });
  t.match(afterOf('7.0'), { after: 7 });
});

t.test('the second reading of the schemas can tell right from wrong', async (t) => {
  t.ok(isFields({}));
  t.notOk(fits(shapeOf('ping'), { t: 'ping', id: 'short' }));
  t.same(misfits(shapeOf('ping'), { t: 'ping', x: 1 }), ['id', 'x']);
  t.throws(() => fits({ type: 'number' }, 1), 'a kind it does not know');
});
