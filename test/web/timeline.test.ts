// From messages to rows: the pure part of the view, without a browser.
import t from 'tap';
import type { Conversation, MessageState, Sending } from '../../src/client/types.ts';
import { linesOf, readersOf, rowsOf } from '../../src/web/store/timeline.ts';

const NOON = new Date(2026, 10, 21, 12).getTime();
const MINUTE = 60_000;

function said(n: number, from: string, at: number, fields: Partial<MessageState> = {}): MessageState {
  return { is: 'message', seq: n + 1, n, rev: n + 1, from: from as never, at, text: `text ${n}`, ...fields };
}

function conversation(messages: readonly MessageState[], fields: Partial<Conversation> = {}): Conversation {
  return { messages, pending: [], hasNewer: false, receipts: new Map(), ...fields } as unknown as Conversation;
}

function sending(request: object, state: Sending['state'] = 'waiting'): Sending {
  return { id: 'key-00001', conv: 'c', request: { id: 'key-00001', ...request }, state, createdAt: NOON } as Sending;
}

const kinds = (rows: ReturnType<typeof rowsOf>) =>
  rows.map((row) => (row.is === 'line' ? (row.isFirst ? 'first' : 'next') : row.is));

t.test('what one says in a while is a paragraph; a day, an answer or another author begins a new one', async (t) => {
  const lines = linesOf(
    conversation([
      said(1, 'ann', NOON),
      said(2, 'ann', NOON + MINUTE),
      said(3, 'ann', NOON + 20 * MINUTE),
      said(4, 'bob', NOON + 21 * MINUTE),
      said(5, 'bob', NOON + 22 * MINUTE, { reply: 2 }),
      said(6, 'bob', NOON + 86_400_000),
    ]),
    'ann',
  );
  t.same(kinds(rowsOf(lines, null)), ['day', 'first', 'next', 'first', 'first', 'first', 'day', 'first']);
});

t.test('the divider stands before the first of others that is unread', async (t) => {
  const lines = linesOf(conversation([said(1, 'bob', NOON), said(2, 'ann', NOON), said(3, 'bob', NOON)]), 'ann');
  t.same(kinds(rowsOf(lines, 1)), ['day', 'first', 'first', 'divider', 'first']);
  t.same(kinds(rowsOf(lines, 3)), ['day', 'first', 'first', 'first']);
  t.same(kinds(rowsOf(lines, 0)), ['day', 'divider', 'first', 'first', 'first']);
  t.same(kinds(rowsOf(lines.slice(2), 1)), ['day', 'first'], 'and nowhere while its place is not held');
});

t.test('who came and went stands between the messages it happened between, and begins a new paragraph', async (t) => {
  const note = (seq: number, at = NOON) => ({ seq, at, from: 'ann', user: 'bob', what: 'add' }) as never;
  const pending = [sending({ t: 'message', conv: 'c', text: 'soon' })];
  const messages = [said(1, 'bob', NOON), said(3, 'bob', NOON), said(4, 'bob', NOON)];
  const lines = linesOf(conversation(messages, { pending }), 'ann');
  t.same(kinds(rowsOf(lines, null, [note(3)])), ['day', 'first', 'note', 'first', 'next', 'first']);
  t.same(kinds(rowsOf(lines, null, [note(1), note(7)])), ['day', 'note', 'first', 'next', 'next', 'note', 'first']);
  const yesterday = note(1, NOON - 86_400_000);
  t.same(kinds(rowsOf(lines, null, [yesterday])).slice(0, 4), ['day', 'note', 'day', 'first']);
  t.same(kinds(rowsOf([], null, [note(1)])), ['day', 'note'], 'where nothing was said too');
});

t.test('what is unsent comes last, and not at all while newer messages are not held', async (t) => {
  const pending = [sending({ t: 'message', conv: 'c', text: 'soon' })];
  const at = (hasNewer: boolean) =>
    linesOf(conversation([said(1, 'bob', NOON)], { pending, hasNewer }), 'ann').map(({ text }) => text);
  t.same(at(false), ['text 1', 'soon']);
  t.same(at(true), ['text 1']);
});

t.test('a row keeps its key from its first sight to its place in the conversation', async (t) => {
  const pending = [sending({ t: 'message', conv: 'c', text: 'soon' })];
  const [before] = linesOf(conversation([], { pending }), 'ann');
  const [after] = linesOf(conversation([said(1, 'ann', NOON, { key: 'key-00001' as never })]), 'ann');
  t.equal(before?.key, after?.key);
  const [foreign] = linesOf(conversation([said(1, 'bob', NOON, { key: 'key-00001' as never })]), 'ann');
  t.not(foreign?.key, after?.key, 'the key of somebody else is not one of ours');
});

t.test('a change under way is shown as done, a refused one is not', async (t) => {
  const message = [said(1, 'ann', NOON)];
  const edit = (state: Sending['state']) =>
    linesOf(
      conversation(message, { pending: [sending({ t: 'edit', conv: 'c', seq: 2, text: 'new' }, state)] }),
      'ann',
    )[0];
  t.match(edit('waiting'), { text: 'new', isEdited: true });
  t.match(edit('refused'), { text: 'text 1', isEdited: false });
  const pending = [sending({ t: 'delete', conv: 'c', seq: 2, for: 'all' })];
  t.match(linesOf(conversation(message, { pending }), 'ann')[0], { isDeleted: true });
});

t.test('who has read is known by their mark, and by what they said since', async (t) => {
  const receipts = new Map([
    ['ann', { read: 9, received: 9 }],
    ['bob', { read: 1, received: 2 }],
  ]);
  const marks = readersOf(conversation([said(1, 'ann', NOON), said(2, 'cleo', NOON)], { receipts }), 'ann');
  t.same(
    [...marks],
    [
      ['bob', 1],
      ['cleo', 2],
    ],
  );
});
