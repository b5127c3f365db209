// The fold: what changes add up to is the same however often, and from wherever, they are applied again.
import * as fc from 'fast-check';
import t from 'tap';
import type { ChangeBody, ConvChange, EditChange, MemberChange, MessageChange } from '../../src/protocol/changes.ts';
import type { ConvId, Key, Seq, UserId } from '../../src/protocol/ids.ts';
import {
  type ConvState,
  foldConv,
  foldMessage,
  type MessageState,
  memberStates,
  messageState,
  touchedBy,
} from '../../src/protocol/states.ts';

const CONV = 'c1' as ConvId;
const ANN = 'u1' as UserId;

interface Act {
  readonly kind: 'message' | 'reply' | 'edit' | 'delete' | 'member';
  readonly pick: number;
  readonly text: string;
}

const anAct: fc.Arbitrary<Act> = fc.record({
  kind: fc.constantFrom('message', 'message', 'reply', 'edit', 'edit', 'delete', 'member'),
  pick: fc.nat(),
  text: fc.string({ unit: 'grapheme', maxLength: 8 }),
});

/** A conversation's changes from its creation on, as the log would number them; each frozen. */
const aHistory = fc.array(anAct, { maxLength: 40 }).map((acts) => {
  const changes: ChangeBody[] = [];
  const messages: Seq[] = [];
  let n = 0;
  for (const { kind, pick, text } of acts) {
    const of = messages[pick % Math.max(1, messages.length)];
    const seq = changes.length + 2;
    const envelope = { conv: CONV, seq, from: ANN, at: 1_000 + seq };
    if (kind === 'member') changes.push({ ...envelope, t: 'member', user: ANN, what: 'join' });
    else if (kind === 'message' || of === undefined)
      changes.push({ ...envelope, t: 'message', n: ++n, text, mentions: ['u2'] });
    else if (kind === 'reply') changes.push({ ...envelope, t: 'message', n: ++n, text, thread: of });
    else if (kind === 'edit') changes.push({ ...envelope, t: 'edit', of, text });
    else changes.push({ ...envelope, t: 'delete', of });
    if (changes.at(-1)?.t === 'message') messages.push(seq);
  }
  return changes.map((change) => Object.freeze(change));
});

type States = ReadonlyMap<Seq, MessageState>;

function fold(changes: readonly ChangeBody[], from: States = new Map()): States {
  const states = new Map(from);
  for (const change of changes) {
    if (change.t === 'message' && !states.has(change.seq)) states.set(change.seq, Object.freeze(messageState(change)));
    for (const seq of touchedBy(change)) {
      const state = states.get(seq);
      if (state !== undefined) states.set(seq, Object.freeze(foldMessage(state, change)));
    }
  }
  return states;
}

/** The same, told from scratch: what docs/protocol.md says a message is, message by message. */
function expected(changes: readonly ChangeBody[]): States {
  const states = new Map<Seq, MessageState>();
  for (const message of changes.filter((change): change is MessageChange => change.t === 'message')) {
    const later = changes.filter((change) => change.seq > message.seq && touchedBy(change).includes(message.seq));
    const deletion = later.find((change) => change.t === 'delete');
    const edits = later.filter(
      (change): change is EditChange => change.t === 'edit' && !(deletion && change.seq > deletion.seq),
    );
    const replies = later.filter((change) => change.t === 'message').length;
    const lastEdit = edits.at(-1);
    const touches = [
      message,
      ...edits,
      ...(deletion ? [deletion] : []),
      ...later.filter((change) => change.t === 'message'),
    ];
    const content = deletion ? { text: '', deleted: true as const } : contentOf(message, lastEdit);
    const { seq, n, from, at, thread } = message;
    const optional = { ...(thread === undefined ? {} : { thread }), ...(replies === 0 ? {} : { replies }) };
    const rev = Math.max(...touches.map((change) => change.seq));
    states.set(seq, { is: 'message', seq, n, rev, from, at, ...content, ...optional });
  }
  return states;
}

function contentOf(message: MessageChange, lastEdit: EditChange | undefined) {
  if (lastEdit !== undefined) return { text: lastEdit.text, edited: lastEdit.at };
  return { text: message.text, ...(message.mentions === undefined ? {} : { mentions: message.mentions }) };
}

t.test('a message is what its last edit made it, or a tombstone', async () => {
  await fc.assert(
    fc.property(aHistory, (changes) => {
      const [got, wanted] = [fold(changes), expected(changes)];
      for (const [seq, state] of wanted) if (!sameState(got.get(seq), state)) throw new Error(`message ${seq}`);
      return got.size === wanted.size;
    }),
    { numRuns: 500 },
  );
});

function sameState(one: MessageState | undefined, other: MessageState): boolean {
  const sorted = (state: object | undefined) => JSON.stringify(Object.entries(state ?? {}).sort());
  return sorted(one) === sorted(other);
}

t.test('a change applied twice is applied once', async () => {
  await fc.assert(
    fc.property(aHistory, (changes) => {
      const twice = fold(changes.flatMap((change) => [change, change]));
      return [...fold(changes)].every(([seq, state]) => sameState(twice.get(seq), state));
    }),
  );
});

t.test('states laid over by changes they hold already, in part or whole, stay as they are', async () => {
  await fc.assert(
    fc.property(aHistory, fc.nat(40), fc.nat(40), (changes, one, other) => {
      const [from, upTo] = [Math.min(one, other), Math.max(one, other)];
      const overlaid = fold(changes.slice(from), fold(changes.slice(0, upTo)));
      return [...fold(changes)].every(([seq, state]) => sameState(overlaid.get(seq), state));
    }),
    { numRuns: 500 },
  );
});

t.test('a change without effect gives back the very same object', async (t) => {
  const base = messageState(message(2, 'hi'));
  t.equal(foldMessage(base, message(2, 'hi')), base, 'its own creation');
  t.equal(foldMessage(base, { ...envelope(2), t: 'edit', of: 2, text: 'older' }), base, 'not newer than it');
  const gone = foldMessage(base, { ...envelope(3), t: 'delete', of: 2 });
  t.equal(foldMessage(gone, { ...envelope(4), t: 'edit', of: 2, text: 'late' }), gone, 'an edit of what is deleted');
  t.equal(foldMessage(gone, { ...envelope(4), t: 'delete', of: 2 }), gone, 'a second deletion');
  t.equal(foldMessage(base, { ...envelope(4), t: 'member', user: ANN, what: 'leave' }), base, 'not about messages');
});

t.test('a deletion wins over all that comes after it, and leaves nothing of the content', async (t) => {
  const files = [{ id: 'f1', name: 'a.txt', type: 'text/plain', size: 1 }];
  const whole = messageState({
    ...message(2, 'secret'),
    files,
    mentions: ['u2'],
    reply: 1,
    thread: 1,
    key: 'k'.repeat(8) as Key,
  });
  const rich: MessageState = { ...whole, reactions: { '👍': [ANN] }, pinned: true, edited: 5, replies: 2 };
  const gone = foldMessage(rich, { ...envelope(9), t: 'delete', of: 2 });
  const { text: _text, files: _files, mentions: _mentions, ...kept } = whole;
  t.same(gone, { ...kept, text: '', deleted: true, replies: 2, rev: 9 });
  const replied = foldMessage(gone, { ...message(10, 'still here'), thread: 2 });
  t.same(replied, { ...gone, replies: 3, rev: 10 }, 'replies still count');
});

t.test('an edit takes the mentions of the new text, also when it has none', async (t) => {
  const base = messageState({ ...message(2, 'hi @bob'), mentions: ['u2'] });
  t.same(foldMessage(base, { ...envelope(3), t: 'edit', of: 2, text: 'hi' }), {
    ...messageState(message(2, 'hi')),
    edited: 1_003,
    rev: 3,
  });
  t.match(foldMessage(base, { ...envelope(3), t: 'edit', of: 2, text: '@all', mentions: ['all'] }), {
    mentions: ['all'],
  });
});

t.test('changes name the messages they touch', async (t) => {
  t.same(touchedBy(message(2, 'hi')), [2]);
  t.same(touchedBy({ ...message(3, 'hi'), thread: 2 }), [3, 2]);
  for (const type of ['edit', 'delete', 'react', 'pin']) {
    t.same(touchedBy({ ...envelope(3), t: type, of: 2 } as ChangeBody), [2], type);
  }
  t.same(touchedBy({ ...envelope(3), t: 'member', user: ANN, what: 'join' }), []);
  t.same(touchedBy({ ...envelope(1), t: 'conv', kind: 'group' }), []);
});

t.test('a membership is what its last act left', async (t) => {
  const after = (what: string, role?: string) =>
    memberStates({ ...envelope(7), t: 'member', user: ANN, what, ...(role ? { role } : {}) } as MemberChange);
  const is = (role: string) => [{ is: 'member', user: ANN, role, rev: 7 }];
  t.same(after('join'), is('member'));
  t.same(after('add', 'moderator'), is('moderator'));
  t.same(after('role', 'owner'), is('owner'));
  t.same(after('invite'), is('invited'));
  for (const what of ['leave', 'kick', 'ban']) t.same(after(what), is('none'), what);
  t.same(after('some act of a newer version'), []);
  const creation: ConvChange = { ...envelope(1), t: 'conv', kind: 'group', members: [{ user: ANN, role: 'owner' }] };
  t.same(memberStates(creation), [{ is: 'member', user: ANN, role: 'owner', rev: 1 }]);
  t.same(memberStates({ ...envelope(2), t: 'conv', title: 'new' }), []);
});

t.test("a conversation's fields are those of its last changes, and applying one again changes nothing", async (t) => {
  const creation: ConvChange = { ...envelope(1), t: 'conv', kind: 'room', title: 'a', public: true, members: [] };
  const created = foldConv(undefined, creation);
  t.same(created, { is: 'conv', kind: 'room', title: 'a', public: true, rev: 1 });
  t.equal(foldConv(created, creation), created);
  const renamed = foldConv(created, { ...envelope(5), t: 'conv', title: 'b', key: 'k'.repeat(8) as Key });
  t.same(renamed, { ...created, title: 'b', rev: 5 });
  t.equal(foldConv(renamed, { ...envelope(4), t: 'conv', title: 'older' }), renamed);
  t.same(foldConv(renamed, { ...envelope(6), t: 'conv', deleted: true }), { ...renamed, deleted: true, rev: 6 });
  await fc.assert(
    fc.property(fc.array(fc.record({ title: fc.string(), public: fc.boolean() }, { requiredKeys: [] })), (fields) => {
      const changes = fields.map((each, at): ConvChange => ({ ...envelope(at + 2), t: 'conv', ...each }));
      const once = changes.reduce<ConvState>(foldConv, created);
      const again = [creation, ...changes].reduce<ConvState>(foldConv, once);
      return again === once && once.kind === 'room' && once.rev === fields.length + 1;
    }),
  );
});

function envelope(seq: Seq) {
  return { conv: CONV, seq, from: ANN, at: 1_000 + seq };
}

function message(seq: Seq, text: string): MessageChange {
  return { ...envelope(seq), t: 'message', n: seq - 1, text };
}
