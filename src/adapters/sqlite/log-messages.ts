// What the log's two threads say to each other. One message a batch each way; strings travel to the worker as parallel
// arrays (cheap to clone) and never back: the answer is numbers, and the main side knows the rest.
// The worker answers every request exactly once, in the order of the requests.

import type { Append, Receipt } from '../../ports/log.ts';
import type { ChangeType } from '../../protocol/changes.ts';
import type { Millis } from '../../protocol/ids.ts';

export interface LogOptions {
  /** log.db, owned by the log alone. */
  readonly file: string;
  /** The store's file, read only, for what the log holds no more. */
  readonly storeFile: string;
}

/** Items by index; their drafts one after the other, `counts[i]` for item i. */
export interface Commit {
  readonly is: 'commit';
  readonly now: Millis;
  readonly convs: readonly string[];
  readonly users: readonly string[];
  readonly keys: readonly (string | null)[];
  readonly guards: Float64Array;
  readonly counts: Uint32Array;
  readonly types: readonly ChangeType[];
  readonly bodies: readonly string[];
  /** Changes up to here may go, in the same commit; 0 = none. */
  readonly trimTo: number;
}

/** The first request: the store's file has its tables. */
export interface Open {
  readonly is: 'open';
}

export type Request =
  | Open
  | Commit
  | { readonly is: 'read'; readonly after: number }
  | { readonly is: 'recall'; readonly conv: string; readonly user: string; readonly key: string }
  | { readonly is: 'close' };

/** Numbers an item gets in `Committed.numbers`: its verdict, then three that depend on it. */
export const NUMBERS_PER_ITEM = 4;
/** Then: seq of its first change, `n` of the conversation before it, at. */
export const VERDICT_NEW = 0;
/** Then: the seq, n and at its key stands for. */
export const VERDICT_DUP = 1;
/** Then: the current guard. */
export const VERDICT_MOVED = 2;

export interface Committed {
  readonly is: 'committed';
  readonly numbers: Float64Array;
  /** Offset before the batch; its changes have the next ones, in order. */
  readonly before: number;
  readonly trimmed: number;
  readonly untrimmedBytes: number;
}

export interface Opened {
  readonly is: 'opened';
  readonly epoch: string;
  readonly head: number;
  readonly trimmed: number;
  readonly untrimmedBytes: number;
}

export interface Refused {
  readonly is: 'refused';
  readonly reason: string;
}

export type Answer =
  | Opened
  | Refused
  | Committed
  /** Wire texts of the changes right after `after`; null: below the trim point. */
  | { readonly is: 'page'; readonly wires: readonly string[] | null }
  | { readonly is: 'recalled'; readonly receipt: Receipt | null }
  | { readonly is: 'failed'; readonly reason: string }
  | { readonly is: 'closed' };

export function packCommit(items: readonly Append[], now: Millis, trimTo: number): Commit {
  const convs: string[] = [];
  const users: string[] = [];
  const keys: (string | null)[] = [];
  const guards = new Float64Array(items.length);
  const counts = new Uint32Array(items.length);
  const types: ChangeType[] = [];
  const bodies: string[] = [];
  for (const [index, item] of items.entries()) {
    convs.push(item.conv);
    users.push(item.from);
    keys.push(item.key);
    guards[index] = item.guard;
    counts[index] = item.drafts.length;
    for (const draft of item.drafts) {
      types.push(draft.type);
      bodies.push(draft.body);
    }
  }
  return { is: 'commit', now, convs, users, keys, guards, counts, types, bodies, trimTo };
}
