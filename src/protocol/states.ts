// States: what the changes of a conversation add up to, item by item, as `sync` and `history` answer them.
// One fold, used by the store's views, by the tail laid over them, and by clients: all see the same state.
// Rules decided here, in the order of the log: a deleted message stays deleted whatever comes after.
import {
  type ChangeBody,
  type ConvChange,
  type ConvFields,
  type FileRef,
  type MemberChange,
  type MessageChange,
  standingAfter,
} from './changes.ts';
import type { ConvKind, Key, MessageNumber, Millis, Seq, Standing, UserId } from './ids.ts';

export interface MessageState {
  readonly is: 'message';
  readonly seq: Seq;
  readonly n: MessageNumber;
  /** seq of the last change that touched it. */
  readonly rev: Seq;
  readonly from: UserId;
  readonly at: Millis;
  readonly key?: Key;
  readonly text: string;
  readonly mentions?: readonly string[];
  readonly edited?: Millis;
  readonly deleted?: true;
  readonly reply?: Seq;
  readonly thread?: Seq;
  readonly files?: readonly FileRef[];
  readonly reactions?: Readonly<Record<string, readonly UserId[]>>;
  readonly pinned?: true;
  readonly replies?: number;
}

export interface MemberState {
  readonly is: 'member';
  readonly user: UserId;
  readonly role: Standing;
  readonly rev: Seq;
}

export interface ConvState extends ConvFields {
  readonly is: 'conv';
  readonly kind: ConvKind;
  readonly rev: Seq;
}

export type ItemState = MessageState | MemberState | ConvState;

/** The seqs of the messages whose state a change touches: itself for a message (and its thread's root), `of` for what acts on one. */
export function touchedBy(change: ChangeBody): readonly Seq[] {
  switch (change.t) {
    case 'message':
      return change.thread === undefined ? [change.seq] : [change.seq, change.thread];
    case 'edit':
    case 'delete':
    case 'react':
    case 'pin':
      return [change.of];
    default:
      return [];
  }
}

export function messageState(change: MessageChange): MessageState {
  const { t: _t, conv: _conv, ...fields } = change;
  return { is: 'message', rev: change.seq, ...fields };
}

/**
 * The state of a message after a change.
 * @param state its state before, of the message a seq of `touchedBy(change)` names
 * @returns the same object when the change has no effect on it
 */
export function foldMessage(state: MessageState, change: ChangeBody): MessageState {
  if (change.seq <= state.rev) return state;
  switch (change.t) {
    case 'edit':
      return state.deleted ? state : edited(state, change.text, change.mentions, change.at, change.seq);
    case 'delete':
      return state.deleted ? state : tombstone(state, change.seq);
    case 'message':
      return change.thread === state.seq ? { ...state, replies: (state.replies ?? 0) + 1, rev: change.seq } : state;
    default:
      return state;
  }
}

function edited(
  state: MessageState,
  text: string,
  mentions: readonly string[] | undefined,
  at: Millis,
  rev: Seq,
): MessageState {
  const { mentions: _before, ...rest } = state;
  return { ...rest, text, edited: at, rev, ...(mentions === undefined ? {} : { mentions }) };
}

function tombstone(state: MessageState, rev: Seq): MessageState {
  const { mentions: _m, files: _f, reactions: _r, pinned: _p, edited: _e, ...rest } = state;
  return { ...rest, text: '', deleted: true, rev };
}

export function memberStates(change: ConvChange | MemberChange): MemberState[] {
  if (change.t === 'conv') {
    return (change.members ?? []).map(({ user, role }) => ({ is: 'member', user, role, rev: change.seq }));
  }
  const role = standingAfter(change);
  return role === undefined ? [] : [{ is: 'member', user: change.user, role, rev: change.seq }];
}

/** The state of a conversation's own fields after a `conv` change; `state` is undefined for its creation. */
export function foldConv(state: ConvState | undefined, change: ConvChange): ConvState {
  const { t: _t, conv: _conv, seq, from: _from, at: _at, key: _key, members: _members, kind, ...fields } = change;
  if (state !== undefined && seq <= state.rev) return state;
  return { ...state, ...fields, is: 'conv', kind: state?.kind ?? kind ?? 'group', rev: seq };
}
