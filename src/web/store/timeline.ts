// From messages and what is on its way to the rows of a conversation: days, who said it, where the unread begin. Pure.
import type { Conversation, MessageState, Sending } from '../../client/types.ts';
import type { Note } from './notes.ts';

/** A message as it is shown: one of the server's, or one of one's own that it does not have yet. */
export interface Line {
  /** The same from the first key to the end of the conversation. */
  readonly key: string;
  /** Null where the server has not given it yet. */
  readonly seq: number | null;
  readonly n: number | null;
  readonly from: string;
  readonly at: number;
  readonly text: string;
  readonly isOwn: boolean;
  readonly isEdited: boolean;
  readonly isDeleted: boolean;
  /** User ids, or `all`. */
  readonly mentions: readonly string[];
  readonly mentionsMe: boolean;
  readonly reply: number | null;
  /** Of the message itself, or of a change of it. */
  readonly sending: Sending | null;
}

export type Row =
  | { readonly is: 'day'; readonly key: string; readonly at: number }
  | { readonly is: 'divider'; readonly key: string }
  | { readonly is: 'note'; readonly key: string; readonly note: Note }
  | { readonly is: 'line'; readonly key: string; readonly line: Line; readonly isFirst: boolean };

const NOBODY: readonly string[] = [];
/** What somebody says within this time is one paragraph. */
const PARAGRAPH_MS = 300_000;

export function linesOf(conversation: Conversation, me: string): Line[] {
  const { messages, pending, hasNewer } = conversation;
  const changes = new Map<number, Sending>();
  const unsent: Line[] = [];
  for (const sending of pending) {
    const { request } = sending;
    if ((request.t === 'edit' || request.t === 'delete') && sending.state !== 'refused')
      changes.set(request.seq, sending);
    if (request.t === 'message') unsent.push(unsentLine(sending, me));
  }
  const lines = messages.map((message) => lineOf(message, me, changes.get(message.seq) ?? null));
  return hasNewer ? lines : [...lines, ...unsent];
}

/** Lines are the same objects for as long as nothing in them changes: only what is new is drawn again. */
const drawn = new WeakMap<
  MessageState,
  { readonly me: string; readonly change: Sending | null; readonly line: Line }
>();

function lineOf(message: MessageState, me: string, change: Sending | null): Line {
  const last = drawn.get(message);
  if (last !== undefined && last.me === me && last.change === change) return last.line;
  const line = newLine(message, me, change);
  drawn.set(message, { me, change, line });
  return line;
}

function newLine(message: MessageState, me: string, change: Sending | null): Line {
  const { seq, n, from, at, key, mentions = NOBODY } = message;
  const isOwn = from === me;
  const request = change?.request;
  return {
    // Keys of others are theirs to choose, and might be anything.
    key: isOwn && key !== undefined ? key : `${seq}`,
    seq,
    n,
    from,
    at,
    text: request?.t === 'edit' ? request.text : message.text,
    isOwn,
    isEdited: message.edited !== undefined || request?.t === 'edit',
    isDeleted: message.deleted === true || request?.t === 'delete',
    mentions,
    mentionsMe: !isOwn && (mentions.includes(me) || mentions.includes('all')),
    reply: message.reply ?? null,
    sending: change,
  };
}

function unsentLine(sending: Sending, me: string): Line {
  const { request, id, createdAt } = sending;
  const { text = '', reply = null } = request.t === 'message' ? request : {};
  return {
    key: id,
    seq: null,
    n: null,
    from: me,
    at: createdAt,
    text,
    isOwn: true,
    isEdited: false,
    isDeleted: false,
    mentions: NOBODY,
    mentionsMe: false,
    reply,
    sending,
  };
}

/**
 * @param readBefore the first unread stands after this number of a message; null: no such mark
 * @param notes ascending by `seq`
 */
export function rowsOf(lines: readonly Line[], readBefore: number | null, notes: readonly Note[] = []): Row[] {
  const rows: Row[] = [];
  const ahead = [...notes];
  let lastAt: number | undefined;
  /** What a line may go on from. */
  let last: Line | undefined;
  // Where the first that is held is beyond it, nobody knows where the unread begin.
  let isDivided = readBefore === null || (lines[0]?.n ?? 0) > readBefore + 1;

  function addDay(at: number, key: string): void {
    if (lastAt === undefined || dayOf(lastAt) !== dayOf(at)) {
      rows.push({ is: 'day', key: `day of ${key}`, at });
      last = undefined;
    }
    lastAt = at;
  }

  function addNotes(before: number | null): void {
    while (ahead[0] !== undefined && (before === null || ahead[0].seq < before)) {
      const note = ahead.shift() as Note;
      addDay(note.at, `note ${note.seq}`);
      rows.push({ is: 'note', key: `note ${note.seq}`, note });
      last = undefined;
    }
  }

  function addLine(line: Line): void {
    addDay(line.at, line.key);
    if (!isDivided && !line.isOwn && line.n !== null && line.n > (readBefore ?? 0)) {
      rows.push({ is: 'divider', key: 'divider' });
      isDivided = true;
      last = undefined;
    }
    const isSame = last?.from === line.from && line.at - last.at < PARAGRAPH_MS && line.reply === null;
    rows.push({ is: 'line', key: line.key, line, isFirst: !isSame });
    last = line;
  }

  for (const line of lines) {
    addNotes(line.seq);
    addLine(line);
  }
  addNotes(null);
  return rows;
}

/** By the calendar of who looks. */
function dayOf(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
}

/** How far each of the others has read, by what they told and what they said since. */
export function readersOf(conversation: Conversation, me: string): ReadonlyMap<string, number> {
  const marks = new Map<string, number>();
  for (const [user, { read }] of conversation.receipts) if (user !== me) marks.set(user, read);
  for (const { from, n } of conversation.messages) {
    if (from !== me && n > (marks.get(from) ?? 0)) marks.set(from, n);
  }
  return marks;
}
