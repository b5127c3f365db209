// Heads of conversations: the last change of each is what they are. Each is one seek in the index of `_id` (law 8).
import type { Document } from 'mongodb';
import type { Head } from '../../ports/log.ts';
import type { ConvId, Seq } from '../../protocol/ids.ts';

export const LAST_SEQ: Seq = Number.MAX_SAFE_INTEGER;

const LAST = [{ $sort: { _id: -1 } }, { $limit: 1 }];

/** Found among `changes`: the last one of a conversation. */
export function lastChange(conv: ConvId): Document[] {
  return [{ $match: { _id: { $gt: { conv, seq: 0 }, $lte: { conv, seq: LAST_SEQ } } } }, ...LAST];
}

/** Adds to each of `convs` its `head`. */
export function withHead(): Document[] {
  const first = { $gt: ['$_id', { conv: '$$conv', seq: 0 }] };
  const last = { $lte: ['$_id', { conv: '$$conv', seq: LAST_SEQ }] };
  const fields = { _id: 0, seq: '$_id.seq', n: 1, guard: 1, at: 1 };
  const pipeline = [{ $match: { $expr: { $and: [first, last] } } }, ...LAST, { $project: fields }];
  return [{ $lookup: { from: 'changes', let: { conv: '$_id' }, pipeline, as: 'head' } }, { $unwind: '$head' }];
}

/** Found among `convs`: the heads of those that are known. */
export function headsOf(convs: readonly ConvId[]): Document[] {
  return [{ $match: { _id: { $in: [...convs] } } }, { $project: { _id: 1 } }, ...withHead()];
}

export interface HeadRow {
  readonly _id: ConvId;
  readonly head: Head;
}
