// Requests of the right shape with contents at and beyond the limits: texts, mentions, cursors, conversations left, signals.
import t from 'tap';
import { eventually } from '../kit/index.ts';
import { type Attack, arena, newId, withstand } from './kit.ts';

const place = await arena(t);
const { ann, bob, conv, server } = place;

/** A text sent by ann, as everybody reads it. */
async function roundTrip(text: string): Promise<object> {
  const { seq } = await ann.send(conv, text);
  const push = await bob.next('message', { seq });
  const { items } = await bob.history(conv, { before: seq + 1, limit: 1 });
  const synced = (await bob.sync(conv, seq - 1)).items.find((item) => item.is === 'message' && item.seq === seq);
  return {
    pushed: push.text === text,
    read: items[0]?.text === text,
    synced: synced?.is === 'message' && synced.text === text,
  };
}

/** Asked on a connection of its own, which ten faults would end. */
const odd = (
  name: string,
  frame: { readonly t: string } & Readonly<Record<string, unknown>>,
  expect: object,
): Attack => ({
  name,
  act: async (arena) => {
    const raw = await arena.enter(ann.account);
    const answer = await raw.ask({ id: newId(), ...frame });
    await raw.close();
    return answer;
  },
  expect,
});

const kept = (name: string, text: string): Attack => ({
  name: `${name} comes back as it was`,
  act: () => roundTrip(text),
  expect: { pushed: true, read: true, synced: true },
  once: true,
});

const refused = (name: string, text: string, code: string): Attack =>
  odd(`${name} is refused`, { t: 'message', conv, text }, { code, field: 'text', retry: false });

const MARKS = '\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309';

const TEXTS: readonly Attack[] = [
  refused('an empty text', '', 'bad_frame'),
  refused('4001 characters', 'a'.repeat(4_001), 'too_large'),
  refused('4001 characters of four bytes', '🙂'.repeat(4_001), 'too_large'),
  refused('10,000 combining marks', `e${MARKS.repeat(1_000)}`, 'too_large'),
  refused('half a surrogate pair', 'a\ud800', 'bad_frame'),
  refused('the other half', '\udc00a', 'bad_frame'),
  refused('two halves the wrong way round', '\udc00\ud800', 'bad_frame'),
  refused('a NUL', 'a\0b', 'bad_frame'),
  kept('4000 characters of one byte', 'a'.repeat(4_000)),
  kept('4000 characters of four bytes', '🙂'.repeat(4_000)),
  kept('4000 characters that JSON escapes', '"'.repeat(4_000)),
  kept('4000 control characters', '\u0001'.repeat(4_000)),
  kept('a blank text', ' \n\t\u00a0\u3000 '),
  kept('an invisible text', '\u200b\u200d\ufeff'),
  kept('3,999 combining marks', `e${MARKS.repeat(400).slice(2)}`),
  kept('a right-to-left override', '\u202egnp.exe \u2066\u2067\u2068 \u2069\u202c'),
  kept('what would be normalised', 'e\u0301 \u212b \ufb01 \u1e9b\u0323 가 가'),
  kept('line ends of every kind', 'a\nb\r\nc\rd\u2028e\u2029f\u0085g'),
  kept('terminal escapes', '\u001b[2J\u001b]0;owned\u0007'),
  kept('what looks like a frame', '{"t":"message","seq":1,"from":"u1"}'),
  kept('what looks like the end of the stored one', '"},{"t":"delete","of":1},{"text":"'),
  kept('SQL', "'); DROP TABLE messages; --"),
  kept('HTML', '<script>alert(1)</script>&lt;'),
  kept('spaces at both ends', '   a   '),
];

t.test('texts', (t) => withstand(t, place, TEXTS, 100));

const names = (count: number) => Array.from({ length: count }, (_, index) => `@${index.toString(36).padStart(2, '0')}`);

const MENTIONS: readonly Attack[] = [
  kept('a thousand names of nobody', names(1_000).join(' ')),
  kept('4000 at signs', '@'.repeat(4_000)),
  kept('a name without end', `@${'a'.repeat(3_999)}`),
  kept('names of dots and dashes', '@.-.-.-'.repeat(571)),
  kept('names of properties', '@constructor @__proto__ @toString @hasOwnProperty @all-'),
  {
    name: 'one member mentioned a thousand times is mentioned once',
    act: async () => {
      const { seq } = await ann.send(conv, '@bob '.repeat(800));
      return bob.next('message', { seq });
    },
    expect: { mentions: [bob.id] },
  },
  {
    name: 'who is no member is not mentioned',
    act: async () => {
      const { seq } = await ann.send(conv, 'hello @mallory');
      return { mentions: (await bob.next('message', { seq })).mentions ?? 'none' };
    },
    expect: { mentions: 'none' },
  },
];

t.test('mentions', (t) => withstand(t, place, MENTIONS, 50));

const badFrame = (field: string) => ({ t: 'error', code: 'bad_frame', field });

const CURSORS: readonly Attack[] = [
  odd('a negative cursor is refused', { t: 'sync', conv, after: -1 }, badFrame('after')),
  odd('half a cursor is refused', { t: 'sync', conv, after: 0.5 }, badFrame('after')),
  odd('a limit of 0 is refused, not raised', { t: 'sync', conv, after: 0, limit: 0 }, badFrame('limit')),
  odd('a limit above the most is refused, not cut', { t: 'sync', conv, after: 0, limit: 501 }, badFrame('limit')),
  odd('a history before nothing is refused', { t: 'history', conv, before: 0 }, badFrame('before')),
  odd('a history of too much is refused', { t: 'history', conv, limit: 201 }, badFrame('limit')),
  odd(
    'a history from two sides is refused',
    { t: 'history', conv, before: 5, after: 1 },
    { t: 'error', code: 'bad_frame' },
  ),
  odd('a mark below nothing is refused', { t: 'read', conv, n: -1 }, badFrame('n')),
  odd(
    'a history before the end of all numbers is the newest',
    { t: 'history', conv, before: Number.MAX_SAFE_INTEGER, limit: 1 },
    { t: 'history', more: true },
  ),
  odd(
    'a history around the end of all numbers is the newest',
    { t: 'history', conv, around: Number.MAX_SAFE_INTEGER, limit: 2 },
    { t: 'history', moreAfter: false },
  ),
  odd(
    'a history after the end is empty',
    { t: 'history', conv, after: Number.MAX_SAFE_INTEGER },
    { t: 'history', items: [], more: false },
  ),
  odd('a mark above the head counts as the head', { t: 'read', conv, n: Number.MAX_SAFE_INTEGER }, { t: 'ok' }),
  odd(
    'an edit of a message to come is not found',
    { t: 'edit', conv, seq: Number.MAX_SAFE_INTEGER, text: 'x' },
    { t: 'error', code: 'not_found' },
  ),
  odd(
    'an edit of what is no message is not found',
    { t: 'edit', conv, seq: 1, text: 'x' },
    { t: 'error', code: 'not_found' },
  ),
  odd(
    'a reply to a message to come is not found',
    { t: 'message', conv, text: 'x', reply: Number.MAX_SAFE_INTEGER },
    { t: 'error', code: 'not_found' },
  ),
  {
    name: 'a sync from the future is a reset and everything from the beginning',
    act: async (arena) => {
      const raw = await arena.enter(ann.account);
      const answer = await raw.ask({ t: 'sync', id: newId(), conv, after: Number.MAX_SAFE_INTEGER, limit: 1 });
      const reset = await raw.next('reset');
      await raw.close();
      return { reset, answer };
    },
    expect: { reset: { conv }, answer: { t: 'sync', from: 0, more: true } },
  },
  {
    name: 'a since from the future is a reset',
    act: async (arena) => {
      const { epoch } = ann.ready;
      const raw = await arena.enter(ann.account, { since: { epoch, convs: { [conv]: Number.MAX_SAFE_INTEGER } } });
      const reset = await raw.next('reset');
      await raw.close();
      return reset;
    },
    expect: { conv },
  },
  {
    name: 'a since of another log is a reset',
    act: async (arena) => {
      const raw = await arena.enter(ann.account, { since: { epoch: 'of another log', convs: { [conv]: 1 } } });
      const reset = await raw.next('reset');
      await raw.close();
      return reset;
    },
    expect: { conv },
  },
  {
    name: "a since of others' conversations, and of none, is gone",
    act: async (arena) => {
      const raw = await arena.enter(arena.attacker, {
        since: { epoch: ann.ready.epoch, convs: { [conv]: 1, nothing: 1, ['__proto__']: 1 } },
      });
      const gone = [await raw.next('gone'), await raw.next('gone'), await raw.next('gone')];
      await raw.close();
      return gone.map((frame) => frame.conv).sort();
    },
    expect: ['__proto__', conv, 'nothing'].sort(),
  },
];

t.test('cursors and numbers', (t) => withstand(t, place, CURSORS, 400));

t.test('somebody who has left is served nothing of it, whatever they ask', async (t) => {
  const [carl] = await server.clients('carl');
  const group = await ann.group([carl], { title: 'left' });
  const room = await ann.room({ title: 'left' });
  await carl.join(room);
  const sent = { [group]: await carl.send(group, 'mine'), [room]: await carl.send(room, 'mine') };
  for (const [left, code] of [
    [group, 'not_found'],
    [room, 'forbidden'],
  ] as const) {
    await carl.leave(left);
    await carl.next('gone', { conv: left });
    const seq = sent[left]?.seq ?? 0;
    const requests = [
      { t: 'sync', after: 0 },
      { t: 'history' },
      { t: 'history', around: seq },
      { t: 'message', text: 'again' },
      { t: 'edit', seq, text: 'changed' },
      { t: 'delete', seq, for: 'all' },
      { t: 'read', n: 1 },
    ];
    for (const request of requests)
      t.match(await carl.refused({ ...request, conv: left }), { code }, `${request.t}: ${code}`);
    const { seq: after } = await ann.send(left, 'behind your back');
    carl.signal({ t: 'typing', conv: left, on: true });
    await carl.fence();
    t.notOk(
      carl.changes(left).some((change) => change.seq >= after),
      'nothing is pushed any more',
    );
    t.notOk(
      ann.pushes.some((push) => push.t === 'typing' && push.conv === left),
      'nor is their typing',
    );
    t.equal((await ann.history(left, { around: seq, limit: 1 })).items[0]?.text, 'mine', 'what they wrote stays');
  }
  await place.staysWell(t);
});

t.test('somebody outside sees no more than of what does not exist', async (t) => {
  const [eve] = await server.clients('eve');
  const requests = [
    { t: 'sync', after: 0 },
    { t: 'history' },
    { t: 'message', text: 'hi' },
    { t: 'edit', seq: 2, text: 'hi' },
    { t: 'delete', seq: 2, for: 'all' },
    { t: 'join' },
    { t: 'leave' },
    { t: 'read', n: 1 },
  ];
  for (const request of requests) {
    const [real, unreal] = await Promise.all(
      [conv, 'no-such-conversation'].map((each) => eve.refused({ ...request, conv: each })),
    );
    const { id: _one, ...ofReal } = real ?? { id: '' };
    const { id: _other, ...ofUnreal } = unreal ?? { id: '' };
    t.match(ofReal, { code: 'not_found' }, request.t);
    t.same(ofReal, ofUnreal, 'in the same words');
  }
  await place.staysWell(t);
});

t.test('typing a thousand times a second is told at most once in three seconds', async (t) => {
  for (const [name, isOn] of [
    ['on and on', () => true],
    ['on and off', (count: number) => count % 2 === 0],
  ] as const) {
    const group = await ann.group([bob], { title: name });
    await bob.hears(group);
    const raw = await place.enter(ann.account);
    for (let count = 0; count < 1_000; count++) raw.send({ t: 'typing', conv: group, on: isOn(count) });
    await eventually(async () => (await raw.ask({ t: 'ping', id: newId() })).t === 'pong');
    const { seq } = await ann.send(group, 'done');
    await bob.next('message', { conv: group as never, seq });
    const told = bob.pushes.filter((push) => push.t === 'typing' && push.conv === group && push.on);
    t.equal(told.length, 1, name);
    t.equal(ann.pushes.filter((push) => push.t === 'typing' && push.conv === group).length, 0, 'and never to oneself');
    await raw.close();
  }
  await place.staysWell(t);
});
