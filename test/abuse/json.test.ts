// Frames that are no JSON, or not the JSON they should be: an error that says so by its code, its field and the request's id.
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { CLIENT_FRAMES } from '../../src/protocol/requests.ts';
import { random } from '../kit/index.ts';
import type { Json } from '../kit/raw.ts';
import { fitting, misfitting, type Shape } from '../protocol/schemas.ts';
import { type Arena, type Attack, arena, closingOf, MAX_FAULTS, newId, Speaker, withstand } from './kit.ts';

const MAX_FRAME = 65_536;

const place = await arena(t);
const SHAPES = CLIENT_FRAMES as unknown as Readonly<Record<string, Shape>>;

/** What a connection that is signed in says to one message. */
function refusal(name: string, message: string, expect: object): Attack {
  const act = async (arena: Arena) => {
    const raw = await arena.enter();
    raw.send(message);
    const error = await raw.next('error');
    const pong = await raw.ask({ t: 'ping', id: 'still-here' });
    await raw.close();
    return { error, pong };
  };
  return { name, act, expect: { error: { t: 'error', retry: false, ...expect }, pong: { t: 'pong' } } };
}

const badJson = { code: 'bad_json' };
const badFrame = { code: 'bad_frame' };
const GOOD = '{"t":"ping","id":"a-good-one"}';

const NOT_JSON: Readonly<Record<string, string>> = {
  'an empty message': '',
  'a blank message': ' \n\t ',
  'a word': 'ping',
  'half an object': '{"t":"ping"',
  'an object and more': `${GOOD}x`,
  'two objects': `${GOOD}${GOOD}`,
  'two objects on lines': `${GOOD}\n${GOOD}`,
  'single quotes': GOOD.replaceAll('"', "'"),
  'a comment': `${GOOD}//`,
  'a comma too many': GOOD.replace('}', ',}'),
  'a byte order mark': `\uFEFF${GOOD}`,
  'a NUL before': `\0${GOOD}`,
  'a NUL behind': `${GOOD}\0`,
  'a NUL within a string': GOOD.replace('good', 'go\0d'),
  'a line break within a string': GOOD.replace('good', 'go\nd'),
  'a bad escape': GOOD.replace('good', 'g\\ood'),
  'half an escape': GOOD.replace('good', '\\u12'),
  NaN: '{"t":"sync","after":NaN}',
  'a number with a leading zero': '{"t":"sync","after":01}',
  'a number in hex': '{"t":"sync","after":0x1}',
  '60,000 brackets that never close': '['.repeat(60_000),
  '60,000 braces that never close': '{"a":'.repeat(12_000),
};

const NO_OBJECT: Readonly<Record<string, string>> = {
  null: 'null',
  true: 'true',
  'a number': '42',
  'a number beyond all': '1e999',
  'a string': '"ping"',
  'an empty list': '[]',
  'a list with a frame in it': `[${GOOD}]`,
  'brackets 30,000 deep': `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
};

const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const deepObject = (depth: number) => `${'{"a":'.repeat(depth)}0${'}'.repeat(depth)}`;

/** An object with as many keys as fit the limit, less some room. */
function manyKeys(start: string, key: (index: number) => string, room = 0): string {
  let text = start;
  for (let index = 0; text.length + 20 + room < MAX_FRAME; index++) text += `,${key(index)}`;
  return `${text}}`;
}

const SHAPED: readonly Attack[] = [
  refusal('an empty object has no type', '{}', { ...badFrame, field: 't' }),
  refusal('a type that is a list is none', '{"t":["ping"],"id":"type-list"}', {
    ...badFrame,
    field: 't',
    id: 'type-list',
  }),
  refusal('a type that is null is none', '{"t":null,"id":"type-null"}', { ...badFrame, field: 't', id: 'type-null' }),
  refusal('a type that is an object is none', '{"t":{"toString":"ping"},"id":"type-object"}', {
    ...badFrame,
    field: 't',
  }),
  ...['__proto__', 'constructor', 'toString', 'ok', 'welcome', 'PING', 'x'.repeat(60_000)].map((type) =>
    refusal(`${type.slice(0, 20)} is no type`, JSON.stringify({ t: type, id: 'no-such-type' }), {
      code: 'unknown_type',
      field: 't',
      id: 'no-such-type',
    }),
  ),
  refusal('lists 10,000 deep are no text', `{"t":"message","id":"deep-text","conv":"c","text":${deep(10_000)}}`, {
    ...badFrame,
    field: 'text',
    id: 'deep-text',
  }),
  refusal(
    'objects 10,000 deep are no conversation',
    `{"t":"message","id":"deep-conv","conv":${deepObject(10_000)},"text":"x"}`,
    { ...badFrame, field: 'conv' },
  ),
  refusal(
    'lists 10,000 deep are no files',
    `{"t":"message","id":"deep-files","conv":"c","text":"x","files":[${deep(10_000)},${deep(10_000)}]}`,
    { ...badFrame, field: 'files' },
  ),
  refusal(
    'objects 5,000 deep are no cursors',
    `{"t":"hello","id":"deep-since","token":"x","since":{"epoch":"e","convs":{"c":${deepObject(5_000)}}}}`,
    { ...badFrame, field: 'since' },
  ),
  refusal('lists 10,000 deep are no field', `{"t":"ping","id":"deep-field","x":${deep(10_000)}}`, {
    ...badFrame,
    field: 'x',
  }),
  refusal(
    'thousands of keys are thousands too many',
    manyKeys('{"t":"ping","id":"many-keys"', (index) => `"k${index}":0`),
    { ...badFrame, id: 'many-keys' },
  ),
  refusal(
    'thousands of keys are no text',
    `{"t":"message","id":"many-keys","conv":"c","text":${manyKeys('{"a":0', (index) => `"k${index}":0`, 200)}}`,
    { ...badFrame, field: 'text', id: 'many-keys' },
  ),
  refusal('a field named __proto__ is unknown', '{"t":"ping","id":"proto-key","__proto__":{"admin":true}}', {
    ...badFrame,
    field: '__proto__',
    id: 'proto-key',
  }),
  refusal(
    'a field named constructor is unknown',
    '{"t":"ping","id":"constructor-key","constructor":{"prototype":{"admin":true}}}',
    { ...badFrame, field: 'constructor' },
  ),
  refusal('a field without a name is unknown', '{"t":"ping","id":"empty-key","":1}', { ...badFrame, field: '' }),
  refusal(
    'a field with a name of 60 kB is unknown, and not told again',
    JSON.stringify({ t: 'ping', id: 'long-key', ['x'.repeat(60_000)]: 1 }),
    { ...badFrame, field: undefined, id: 'long-key' },
  ),
  refusal('an id of 60 kB is none, and not told again', JSON.stringify({ t: 'ping', id: 'x'.repeat(60_000) }), {
    ...badFrame,
    field: 'id',
    id: undefined,
  }),
  refusal('1e999 is no cursor', '{"t":"sync","id":"infinite","conv":"c","after":1e999}', {
    ...badFrame,
    field: 'after',
    id: 'infinite',
  }),
  refusal('-1e999 is no cursor', '{"t":"sync","id":"infinite","conv":"c","after":-1e999}', {
    ...badFrame,
    field: 'after',
  }),
  refusal('2^53 is no cursor', '{"t":"sync","id":"too-great","conv":"c","after":9007199254740992}', {
    ...badFrame,
    field: 'after',
  }),
  refusal(
    'a number of 60,000 digits is no cursor',
    `{"t":"sync","id":"too-great","conv":"c","after":${'9'.repeat(60_000)}}`,
    { ...badFrame, field: 'after' },
  ),
  refusal(
    '__proto__ is an id like others, of no conversation',
    '{"t":"sync","id":"proto-conv","conv":"__proto__","after":0}',
    { code: 'not_found', id: 'proto-conv' },
  ),
  refusal(
    'constructor is an id like others, of no conversation',
    '{"t":"history","id":"proto-conv","conv":"constructor"}',
    { code: 'not_found', id: 'proto-conv' },
  ),
  {
    name: 'the last of repeated fields counts',
    act: async (arena) => {
      const raw = await arena.enter();
      raw.send('{"t":"hello","t":"ping","id":"first-one","id":"last-one"}');
      const answer = await raw.next('pong');
      await raw.close();
      return answer;
    },
    expect: { id: 'last-one' },
  },
  {
    name: 'ids that are names of properties are ids like others',
    act: async (arena) => {
      const raw = await arena.enter();
      const answers: Json[] = [];
      for (const id of ['__proto__', 'constructor', 'hasOwnProperty', 'toString'])
        answers.push(await raw.ask({ t: 'ping', id }));
      await raw.close();
      return answers.map(({ t: type }) => type);
    },
    expect: ['pong', 'pong', 'pong', 'pong'],
  },
  {
    name: 'nine faults in ten seconds are answered, the tenth ends the connection',
    act: async (arena) => {
      const raw = await arena.enter();
      for (let count = 0; count < MAX_FAULTS; count++) raw.send(count % 2 === 0 ? 'x' : '{}');
      const pong = await raw.ask({ t: 'ping', id: 'still-here' });
      raw.send('{"t":"nonsense","id":"the-tenth"}');
      const { code, errors } = await closingOf(raw);
      return { pong, code, last: errors.at(-1), count: errors.length };
    },
    expect: { pong: { t: 'pong' }, code: 4501, last: { code: 'unknown_type', id: 'the-tenth' }, count: MAX_FAULTS + 1 },
  },
];

t.test('what is no JSON', (t) =>
  withstand(
    t,
    place,
    Object.entries(NOT_JSON).map(([name, text]) => refusal(`${name} is no JSON`, text, { ...badJson, id: undefined })),
  ),
);
t.test('what is no object', (t) =>
  withstand(
    t,
    place,
    Object.entries(NO_OBJECT).map(([name, text]) =>
      refusal(`${name} is no frame`, text, { ...badFrame, id: undefined }),
    ),
  ),
);
t.test('odd objects', (t) => withstand(t, place, SHAPED));

// ---- every field of every frame ------------------------------------------------------------------------------------

const { conv } = place;

const EXAMPLES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  hello: { token: 'x', device: 'a phone', since: { epoch: 'e', convs: { c1: 1 } }, want: ['typing'] },
  renew: { token: 'x' },
  ping: {},
  message: { conv, text: 'must not arrive', reply: 1, thread: 1, files: ['f1'] },
  edit: { conv, seq: 1, text: 'must not arrive' },
  delete: { conv, seq: 1, for: 'all' },
  react: { conv, seq: 1, emoji: '👍', on: true },
  pin: { conv, seq: 1, on: true },
  join: { conv },
  leave: { conv },
  read: { conv, n: 0, unread: false },
  sync: { conv, after: 0, limit: 1 },
  history: { conv, before: 1, after: 0, around: 1, thread: 1, limit: 1 },
  typing: { conv, on: true },
  presence: { status: 'online' },
  received: { conv, n: 0 },
};

interface Faulty {
  readonly label: string;
  readonly frame: Readonly<Record<string, unknown>>;
  readonly field: string;
}

const READ_ONLY = ['from', 'at', 'rev', 'key', 'role', 'user', 'seq', 'n', 'session', 'deleted', 'is', 'members'];

/** The frame of an example with one field of every wrong kind, missing, or one too many. */
function faultsOf(name: string): readonly Faulty[] {
  const { properties = {}, required = [] } = SHAPES[name] ?? {};
  const whole = (): Record<string, unknown> => ({
    t: name,
    ...('id' in properties ? { id: newId() } : {}),
    ...EXAMPLES[name],
  });
  const fields = Object.entries(properties).filter(([field]) => field !== 't');
  const wrong = fields.flatMap(([field, shape]) =>
    misfitting(shape).map((value) => ({
      label: `${field} as ${JSON.stringify(value).slice(0, 30)}`,
      frame: { ...whole(), [field]: value },
      field,
    })),
  );
  const missing = required
    .filter((field) => field !== 't')
    .map((field) => {
      const { [field]: _left, ...frame } = whole();
      return { label: `no ${field}`, frame, field };
    });
  const unknown = [...READ_ONLY, ...(name in CLIENT_FRAMES && !('id' in properties) ? ['id'] : [])]
    .filter((field) => !(field in properties))
    .map((field) => ({
      label: `${field}, which it does not have`,
      frame: { ...whole(), [field]: 'x'.repeat(8) },
      field,
    }));
  return [...wrong, ...missing, ...unknown];
}

async function sweep(t: Test | null): Promise<void> {
  // As a member: what got past the shape would show.
  const ann = new Speaker(place, place.ann.account);
  for (const name of Object.keys(SHAPES)) {
    for (const { label, frame, field } of faultsOf(name)) {
      const error = await ann.say(frame);
      const id = typeof frame.id === 'string' && frame.id.length <= 64 ? frame.id : undefined;
      t?.match(error, { t: 'error', code: 'bad_frame', field, id, retry: false }, `${name} with ${label}`);
    }
    if (t !== null) await place.staysWell(t);
  }
  await ann.end();
}

t.test('every field of every frame, of every wrong kind, is refused by its name', async (t) => {
  t.same(Object.keys(EXAMPLES).sort(), Object.keys(SHAPES).sort(), 'there is an example of every frame');
  await sweep(t);
  const before = await place.memory();
  await sweep(null);
  const after = await place.memory();
  t.ok(after.heldBytes - before.heldBytes < 2_000_000, `left ${after.heldBytes - before.heldBytes} bytes`);
  const { items } = await place.ann.history(conv, { limit: 200 });
  t.notOk(
    items.some(({ text }) => text === 'must not arrive'),
    'nothing of it took effect',
  );
});

// ---- any content ---------------------------------------------------------------------------------------------------

/** Neither ends the connection nor its place in the conversation. */
const ANSWERED = ['message', 'edit', 'delete', 'react', 'pin', 'join', 'read', 'sync', 'history'] as const;
const FRAMES_OF_EACH = 150;

/** Frames of the right shape, of a conversation there is, near things there are. */
function plausible(name: string, group: string, seed: number): readonly Readonly<Record<string, unknown>>[] {
  const frames = fc.sample(fitting(SHAPES[name] ?? {}), { numRuns: FRAMES_OF_EACH, seed }) as Record<string, unknown>[];
  return frames.map((frame) => {
    const near = (field: string) => (typeof frame[field] === 'number' ? { [field]: 1 + (frame[field] % 30) } : {});
    const numbers = ['seq', 'reply', 'before', 'around'].map(near);
    return Object.assign({}, frame, ...numbers, { t: name, id: newId(), conv: group });
  });
}

t.test('a frame of the right shape with whatever content is answered once, and never by a defect', async (t) => {
  const { seed } = random();
  t.comment(`seed ${seed}`);
  const member = await place.server.client('mallory');
  const group = await place.ann.group([member], { title: 'any content' });
  const mallory = new Speaker(place, member.account);
  const codes = new Set<string>();
  for (const name of ANSWERED) {
    for (const frame of plausible(name, group, seed)) {
      const answer = await mallory.say(frame);
      codes.add(answer.code ?? answer.t);
      if (answer.code === 'internal' || answer.id !== frame.id) t.fail(JSON.stringify([frame, answer]));
    }
    await place.staysWell(t);
  }
  await mallory.end();
  t.notOk(codes.has('internal'), `answers: ${[...codes].sort().join(' ')}`);
  t.notMatch(place.server.process.stderr, /"level":[56]0/, 'nothing is logged as a failure');
});
