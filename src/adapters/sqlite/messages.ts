// Messages in SQLite: the reads of the worker thread that owns the file, and the port on the main thread.
// A state crosses as text and is parsed by whoever asked: the wire of a message nobody acted on, or a state's JSON.
import type { DatabaseSync } from 'node:sqlite';
import type { Head, Receipt } from '../../ports/log.ts';
import type { HistoryRange, MessageStore, StoredChange } from '../../ports/store.ts';
import type { parseChange } from '../../protocol/changes.ts';
import type { ConvId, Key, Seq, UserId } from '../../protocol/ids.ts';
import { type ItemState, type MessageState, messageState } from '../../protocol/states.ts';
import { applyOperation } from './store-apply.ts';
import { packChanges } from './store-changes.ts';
import type { Call, CallOf } from './thread.ts';

function historySql(where: string, order: string): string {
  return `
    SELECT seq, wire AS text FROM changes INDEXED BY changes_untouched
      WHERE conv = ?1 AND type = 'message' AND touched IS NULL AND ${where}
    UNION ALL SELECT seq, state FROM touched WHERE conv = ?1 AND ${where}
    ORDER BY seq ${order} LIMIT ?3`;
}

/** Each is answered in the order of an index, merged where there are several; none sorts or skips (law 8). */
export const MESSAGE_READS = {
  upTo: 'SELECT seq FROM convs WHERE conv = ?',
  changes: 'SELECT seq, wire FROM changes WHERE conv = ? AND seq > ? ORDER BY seq LIMIT ?',
  before: historySql('seq < ?2', 'DESC'),
  after: historySql('seq > ?2', 'ASC'),
  sync: `
    SELECT seq AS rev, wire AS text FROM changes INDEXED BY changes_untouched
      WHERE conv = ?1 AND type = 'message' AND touched IS NULL AND seq > ?2
    UNION ALL SELECT rev, state FROM touched INDEXED BY touched_rev WHERE conv = ?1 AND rev > ?2
    UNION ALL SELECT rev, json_object('is', 'member', 'user', user, 'role', role, 'rev', rev)
      FROM members INDEXED BY members_rev WHERE conv = ?1 AND rev > ?2
    UNION ALL SELECT rev, state FROM convs WHERE conv = ?1 AND rev > ?2
    ORDER BY rev`,
  message: `
    SELECT coalesce(state, wire) AS text FROM changes LEFT JOIN touched USING (conv, seq)
    WHERE conv = ? AND seq = ? AND type = 'message'`,
  recall: 'SELECT seq, n, at FROM changes WHERE conv = ? AND user = ? AND key = ?',
  head: 'SELECT seq, n, guard, at FROM convs WHERE conv = ?',
} as const;

interface TextRow {
  readonly rev: Seq;
  readonly text: string;
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

  function readHistory(conv: ConvId, range: HistoryRange, limit: number) {
    const rows =
      'before' in range ? before.all(conv, range.before, limit + 1) : after.all(conv, range.after, limit + 1);
    const texts = (rows as unknown as TextRow[]).slice(0, limit).map(({ text }) => text);
    if ('before' in range) texts.reverse();
    return { texts, more: rows.length > limit, upTo: upTo(conv) };
  }

  function readSync(conv: ConvId, cursor: Seq, limit: number) {
    const texts: string[] = [];
    let to = cursor;
    for (const { rev, text } of sync.iterate(conv, cursor) as unknown as Iterable<TextRow>) {
      if (texts.length >= limit && rev > to) return { texts, to, upTo: upTo(conv) };
      texts.push(text);
      to = rev;
    }
    return { texts, to: upTo(conv), upTo: upTo(conv) };
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
    'messages.changes': (conv: ConvId, cursor: Seq, limit: number) => ({
      changes: changes.all(conv, cursor, limit) as unknown as StoredChange[],
      upTo: upTo(conv),
    }),
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

    changes: (conv, after, limit) => run('messages.changes', conv, after, limit),

    async history(conv, range, limit) {
      const { texts, more, upTo } = await run('messages.history', conv, range, limit);
      return { items: texts.map(messageOf), more, upTo };
    },

    async sync(conv, after, limit) {
      const { texts, to, upTo } = await run('messages.sync', conv, after, limit);
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
