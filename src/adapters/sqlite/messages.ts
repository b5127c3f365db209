// Messages in SQLite: the reads of the worker thread that owns the file, and the port on the main thread.
// A state crosses as text and is parsed by whoever asked: the wire of a message nobody acted on, or a state's JSON.
import type { DatabaseSync } from 'node:sqlite';
import type { Head, Receipt } from '../../ports/log.ts';
import type { HistoryRange, MessageStore, StoredChange } from '../../ports/store.ts';
import type { parseChange } from '../../protocol/changes.ts';
import type { ConvId, Key, Seq, UserId } from '../../protocol/ids.ts';
import { type ItemState, type MessageState, messageState } from '../../protocol/states.ts';
import { pageEnd, takePage } from '../page.ts';
import { applyOperation } from './store-apply.ts';
import { packChanges } from './store-changes.ts';
import type { Call, CallOf } from './thread.ts';

function historySql(where: string, order: string): string {
  return `
    SELECT seq AS place, wire AS text FROM changes INDEXED BY changes_untouched
      WHERE conv = ?1 AND type = 'message' AND touched IS NULL AND ${where}
    UNION ALL SELECT seq, state FROM touched WHERE conv = ?1 AND ${where}
    ORDER BY place ${order} LIMIT ?3`;
}

/** Each is answered in the order of an index, merged where there are several; none sorts or skips (law 8). */
export const MESSAGE_READS = {
  upTo: 'SELECT seq FROM convs WHERE conv = ?',
  changes: 'SELECT seq AS place, wire AS text FROM changes WHERE conv = ? AND seq > ? ORDER BY seq LIMIT ?',
  before: historySql('seq < ?2', 'DESC'),
  after: historySql('seq > ?2', 'ASC'),
  sync: `
    SELECT seq AS place, wire AS text FROM changes INDEXED BY changes_untouched
      WHERE conv = ?1 AND type = 'message' AND touched IS NULL AND seq > ?2
    UNION ALL SELECT rev, state FROM touched INDEXED BY touched_rev WHERE conv = ?1 AND rev > ?2
    UNION ALL SELECT rev, json_object('is', 'member', 'user', user, 'role', role, 'rev', rev)
      FROM members INDEXED BY members_rev WHERE conv = ?1 AND rev > ?2
    UNION ALL SELECT rev, state FROM convs WHERE conv = ?1 AND rev > ?2
    ORDER BY place`,
  message: `
    SELECT coalesce(state, wire) AS text FROM changes LEFT JOIN touched USING (conv, seq)
    WHERE conv = ? AND seq = ? AND type = 'message'`,
  recall: 'SELECT seq, n, at FROM changes WHERE conv = ? AND user = ? AND key = ?',
  head: 'SELECT seq, n, guard, at FROM convs WHERE conv = ?',
} as const;

interface TextRow {
  readonly place: Seq;
  readonly text: string;
}

/** Read at once, then looked at whether they fill the page: far cheaper than row by row. */
const ROWS_AT_ONCE = 64;

/** Reads no further than it is asked to. @param read so many rows beyond a place, in order */
function* inChunks(read: (place: Seq, rows: number) => unknown[], from: Seq, mostRows: number): Generator<TextRow> {
  const wanted = Math.min(mostRows, ROWS_AT_ONCE);
  for (let place = from; ; ) {
    const rows = read(place, wanted) as TextRow[];
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < wanted) return;
    place = last.place;
  }
}

function textsOf(rows: readonly TextRow[]): string[] {
  return rows.map(({ text }) => text);
}

/** Operations `messages.*`. */
export function messageOperations(db: DatabaseSync) {
  const upToOf = db.prepare(MESSAGE_READS.upTo);
  const watermark = db.prepare('SELECT part, offset FROM watermark');
  const changes = db.prepare(MESSAGE_READS.changes);
  const before = db.prepare(MESSAGE_READS.before);
  const after = db.prepare(MESSAGE_READS.after);
  const sync = db.prepare(MESSAGE_READS.sync);
  const message = db.prepare(MESSAGE_READS.message);
  const recall = db.prepare(MESSAGE_READS.recall);
  const head = db.prepare(MESSAGE_READS.head);

  function upTo(conv: ConvId): Seq {
    return (upToOf.get(conv) as { seq: Seq } | undefined)?.seq ?? 0;
  }

  function readChanges(conv: ConvId, cursor: Seq, limit: number, maxBytes: number | undefined) {
    const rows = inChunks((place, count) => changes.all(conv, place, count), cursor, limit);
    const stored = takePage(rows, limit, maxBytes).kept.map(
      ({ place, text }): StoredChange => ({ seq: place, wire: text }),
    );
    return { changes: stored, upTo: upTo(conv) };
  }

  function readHistory(conv: ConvId, range: HistoryRange, limit: number, maxBytes: number | undefined) {
    const [statement, from] = 'before' in range ? [before, range.before] : [after, range.after];
    // One more than asked for tells whether there are more.
    const rows = inChunks((place, count) => statement.all(conv, place, count), from, limit + 1);
    const { kept, more } = takePage(rows, limit, maxBytes);
    if ('before' in range) kept.reverse();
    return { texts: textsOf(kept), more, upTo: upTo(conv) };
  }

  function readSync(conv: ConvId, cursor: Seq, limit: number, maxBytes: number | undefined) {
    const rows = sync.iterate(conv, cursor) as unknown as Iterable<TextRow>;
    const page = takePage(rows, limit, maxBytes);
    const head = upTo(conv);
    return { texts: textsOf(page.kept), to: pageEnd(page, head), upTo: head };
  }

  function readMessages(conv: ConvId, seqs: readonly Seq[]) {
    const rows = seqs.map((seq) => message.get(conv, seq) as TextRow | undefined);
    return { texts: rows.flatMap((row) => row?.text ?? []), upTo: upTo(conv) };
  }

  function readHeads(convs: readonly ConvId[]): (readonly [ConvId, Head])[] {
    const heads = convs.map((conv) => [conv, head.get(conv) as Head | undefined] as const);
    return heads.filter((entry): entry is readonly [ConvId, Head] => entry[1] !== undefined);
  }

  return {
    'messages.apply': applyOperation(db),
    'messages.watermark': () => watermark.all() as unknown as { part: number; offset: number }[],
    'messages.changes': readChanges,
    'messages.history': readHistory,
    'messages.sync': readSync,
    'messages.messages': readMessages,
    'messages.recall': (conv: ConvId, user: UserId, key: Key) =>
      (recall.get(conv, user, key) as Receipt | undefined) ?? null,
    'messages.heads': readHeads,
  };
}

function messageOf(text: string): MessageState {
  return itemOf(text) as MessageState;
}

function itemOf(text: string): ItemState {
  const parsed = JSON.parse(text) as ItemState | ReturnType<typeof parseChange>;
  if ('is' in parsed) return parsed;
  if (parsed.t === 'message') return messageState(parsed);
  throw new Error(`a change of type ${parsed.t} stands where a message does`);
}

export function sqliteMessages(call: Call): MessageStore {
  const run = call as CallOf<ReturnType<typeof messageOperations>>;
  return {
    apply: (changes, upTo) => run('messages.apply', packChanges(changes), upTo),

    async watermark() {
      const position: number[] = [];
      for (const { part, offset } of await run('messages.watermark')) position[part] = offset;
      return Array.from(position, (offset) => offset ?? 0);
    },

    changes: (conv, after, limit, maxBytes) => run('messages.changes', conv, after, limit, maxBytes),

    async history(conv, range, limit, maxBytes) {
      const { texts, more, upTo } = await run('messages.history', conv, range, limit, maxBytes);
      return { items: texts.map(messageOf), more, upTo };
    },

    async sync(conv, after, limit, maxBytes) {
      const { texts, to, upTo } = await run('messages.sync', conv, after, limit, maxBytes);
      return { items: texts.map(itemOf), to, upTo };
    },

    async messages(conv, seqs) {
      const { texts, upTo } = await run('messages.messages', conv, seqs);
      return { items: texts.map(messageOf), upTo };
    },

    recall: (conv, user, key) => run('messages.recall', conv, user, key),
    heads: async (convs) => new Map(await run('messages.heads', convs)),
  };
}
