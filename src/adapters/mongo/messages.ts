// Messages in MongoDB. Each read is one query of one moment; what comes from several collections is merged here.
// A state travels as text and is parsed by whoever asked: the wire of a message nobody acted on, or a state's JSON.
import type { Document } from 'mongodb';
import type { Receipt } from '../../ports/log.ts';
import type { HistoryPage, HistoryRange, MessageStore, SyncPage } from '../../ports/store.ts';
import { countsAsMessage, type parseChange } from '../../protocol/changes.ts';
import type { ConvId, Seq } from '../../protocol/ids.ts';
import { type ItemState, type MessageState, messageState } from '../../protocol/states.ts';
import { pageEnd, takePage } from '../page.ts';
import { shared } from '../waves.ts';
import type { Database } from './database.ts';
import type { ChangeDoc, MemberDoc, PartDoc } from './documents.ts';
import { type HeadRow, headsOf, LAST_SEQ, lastChange } from './heads.ts';
import type { Applier } from './store-apply.ts';

/** An item of a page, at its place in the page's order (null: past its bytes); or, once in each answer, the head of the conversation. */
type Row =
  | { readonly place: Seq; readonly text: string | null }
  | { readonly place: Seq; readonly member: Pick<MemberDoc, '_id' | 'role'> }
  | { readonly upTo: Seq };
type Item = Exclude<Row, { readonly upTo: Seq }>;

/** Each part is found in the order of an index, up to the limit: none is sorted or skipped through (law 8). */
export const MESSAGE_READS = {
  changes(conv: ConvId, after: Seq, limit: number, maxBytes?: number): Document[] {
    const ofConv = { $match: { _id: { $gt: { conv, seq: after }, $lte: { conv, seq: LAST_SEQ } } } };
    const page = [ofConv, { $sort: { _id: 1 } }, { $limit: limit }, textAt('$_id.seq', '$wire')];
    return [...page, ...textsUpTo(maxBytes), headOf(conv)];
  },

  history(conv: ConvId, range: HistoryRange, limit: number, maxBytes?: number): Document[] {
    const [above, below, direction] = 'before' in range ? [0, range.before, -1] : [range.after, LAST_SEQ, 1];
    const fresh = [
      { $match: { '_id.conv': conv, fresh: { $gt: above, $lt: below } } },
      { $sort: { fresh: direction } },
    ];
    const ofConv = { _id: { $gt: { conv, seq: above }, $lt: { conv, seq: below } } };
    const touched = [
      { $match: ofConv },
      { $sort: { _id: direction } },
      { $limit: limit },
      textAt('$_id.seq', '$state'),
    ];
    const page = [...fresh, { $limit: limit }, textAt('$fresh', '$wire'), also('touched', touched)];
    return [...page, ...textsUpTo(maxBytes, direction), headOf(conv)];
  },

  sync(conv: ConvId, after: Seq, limit: number, maxBytes?: number): Document[] {
    const fresh = [{ $match: { '_id.conv': conv, fresh: { $gt: after } } }, { $sort: { fresh: 1 } }, { $limit: limit }];
    const moved = { $match: { '_id.conv': conv, rev: { $gt: after } } };
    const touched = [moved, { $sort: { rev: 1 } }, { $limit: limit }, textAt('$rev', '$state')];
    const own = [{ $match: { _id: conv, rev: { $gt: after } } }, textAt('$rev', '$state')];
    const page = [...fresh, textAt('$fresh', '$wire'), also('touched', touched), ...textsUpTo(maxBytes)];
    return [...page, also('convs', own), also('members', membersUpTo(conv, after, limit)), headOf(conv)];
  },

  messages(conv: ConvId, seqs: readonly Seq[]): Document[] {
    const found = { _id: { $in: seqs.map((seq) => ({ conv, seq })) } };
    const touched = [{ $match: found }, textAt('$_id.seq', '$state')];
    const fresh = [{ $match: { ...found, fresh: { $exists: true } } }, textAt('$_id.seq', '$wire')];
    return [...fresh, also('touched', touched), headOf(conv)];
  },
} as const;

function textAt(place: string, text: string): Document {
  return { $project: { _id: 0, place, text } };
}

/**
 * Leaves out the texts that no page of so many bytes reaches; their places stay, and tell that there is more. What stands
 * before is counted by place: in `sync` a reply and the message it answers share one.
 */
function textsUpTo(maxBytes: number | undefined, direction = 1): Document[] {
  if (maxBytes === undefined) return [];
  const window = direction === 1 ? { range: ['unbounded', -1] } : { documents: ['unbounded', -1] };
  const sum = { $sum: { $strLenBytes: '$text' }, window };
  const before = { $setWindowFields: { sortBy: { place: direction }, output: { before: sum } } };
  const text = { $cond: [{ $gte: ['$before', maxBytes] }, null, '$text'] };
  return [before, { $project: { place: 1, text } }];
}

function also(coll: string, pipeline: readonly Document[]): Document {
  return { $unionWith: { coll, pipeline } };
}

function headOf(conv: ConvId): Document {
  return also('changes', [...lastChange(conv), { $project: { _id: 0, upTo: '$_id.seq' } }]);
}

/** The first ones after a rev, and all others of the last one's: a creation brings any number of members. */
function membersUpTo(conv: ConvId, after: Seq, limit: number): Document[] {
  const moved = { '_id.conv': conv, rev: { $gt: after } };
  const first = [{ $match: moved }, { $sort: { rev: 1 } }, { $limit: limit }, { $project: { rev: 1 } }];
  const upTo = { $match: { ...moved, $expr: { $lte: ['$rev', '$$last'] } } };
  return [
    ...first,
    { $group: { _id: null, last: { $max: '$rev' } } },
    { $lookup: { from: 'members', let: { last: '$last' }, pipeline: [upTo], as: 'member' } },
    { $unwind: '$member' },
    { $project: { _id: 0, place: '$member.rev', member: 1 } },
  ];
}

function isItem(row: Row): row is Item {
  return 'place' in row;
}

function upToOf(rows: readonly Row[]): Seq {
  return rows.find((row) => 'upTo' in row)?.upTo ?? 0;
}

function inOrder(rows: readonly Row[]): Item[] {
  return rows.filter(isItem).sort((one, other) => one.place - other.place);
}

/** @throws TypeError of a member, or beyond the bytes of a page: there is none */
function textOf(item: Item): string {
  if ('text' in item && item.text !== null) return item.text;
  throw new TypeError(`no text at ${item.place}`);
}

function itemOf(item: Item): ItemState {
  if ('member' in item) return { is: 'member', user: item.member._id.user, role: item.member.role, rev: item.place };
  const parsed = JSON.parse(textOf(item)) as ItemState | ReturnType<typeof parseChange>;
  if ('is' in parsed) return parsed;
  if (parsed.t === 'message') return messageState(parsed);
  throw new Error(`a change of type ${parsed.t} stands where a message does`);
}

function messageOf(item: Item): MessageState {
  return itemOf(item) as MessageState;
}

function historyPage(rows: readonly Row[], range: HistoryRange, limit: number, maxBytes?: number): HistoryPage {
  const items = inOrder(rows);
  if ('before' in range) items.reverse();
  const { kept, more } = takePage(items, limit, maxBytes);
  if ('before' in range) kept.reverse();
  return { items: kept.map(messageOf), more, upTo: upToOf(rows) };
}

/** Where members fill the page, those of later revs were not asked for. */
function syncPage(rows: readonly Row[], limit: number, maxBytes?: number): SyncPage {
  const upTo = upToOf(rows);
  const page = takePage(inOrder(rows), limit, maxBytes);
  const { kept } = page;
  const more = page.more || rows.filter((row) => 'member' in row).length > limit;
  return { items: kept.map(itemOf), to: pageEnd({ kept, more }, upTo), upTo };
}

function receiptOf({ _id: { seq }, type, n, at }: ChangeDoc): Receipt {
  return { seq, n: countsAsMessage(type) ? n : 0, at };
}

export function mongoMessages(database: Database, applier: Applier): MessageStore {
  return {
    apply: (changes, upTo, epochs = []) => applier.apply({ changes, upTo, epochs }),

    watermark: shared(async () => {
      const position: number[] = [];
      for (const { _id, offset } of await database.find<PartDoc>('parts', {})) position[_id] = offset;
      return Array.from(position, (offset) => offset ?? 0);
    }),

    async changes(conv, after, limit, maxBytes) {
      const rows = await database.read<Row>('changes', MESSAGE_READS.changes(conv, after, limit, maxBytes));
      const { kept } = takePage(inOrder(rows), limit, maxBytes);
      return { changes: kept.map((item) => ({ seq: item.place, wire: textOf(item) })), upTo: upToOf(rows) };
    },

    // One more than asked for tells whether there are more.
    async history(conv, range, limit, maxBytes) {
      const rows = await database.read<Row>('changes', MESSAGE_READS.history(conv, range, limit + 1, maxBytes));
      return historyPage(rows, range, limit, maxBytes);
    },

    async sync(conv, after, limit, maxBytes) {
      const rows = await database.read<Row>('changes', MESSAGE_READS.sync(conv, after, limit + 1, maxBytes));
      return syncPage(rows, limit, maxBytes);
    },

    async messages(conv, seqs) {
      const rows = await database.read<Row>('changes', MESSAGE_READS.messages(conv, seqs));
      return { items: inOrder(rows).map(messageOf), upTo: upToOf(rows) };
    },

    async recall(conv, user, key) {
      const [doc] = await database.find<ChangeDoc>('changes', { '_id.conv': conv, user, key });
      return doc === undefined ? null : receiptOf(doc);
    },

    async heads(convs) {
      const rows = await database.read<HeadRow>('convs', headsOf(convs));
      return new Map(rows.map(({ _id, head }) => [_id, head]));
    },
  };
}
