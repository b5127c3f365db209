// Durable changes: the pushes that have a `seq`. A change's wire text is assembled once, where its number is
// given (in the log), stored as it is, and sent as it is to every reader.
import type { ConvId, ConvKind, Key, MessageNumber, Millis, Role, Seq, Standing, UserId } from './ids.ts';

export type ChangeType = 'conv' | 'message' | 'edit' | 'delete' | 'react' | 'pin' | 'member';

/** What every change has. */
interface Envelope {
  readonly conv: ConvId;
  readonly seq: Seq;
  readonly from: UserId;
  readonly at: Millis;
  /** The id of the request that caused it. */
  readonly key?: Key;
}

export interface FileRef {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly size: number;
}

export interface ConvFields {
  readonly title?: string;
  readonly topic?: string;
  readonly avatar?: string;
  readonly public?: boolean;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly deleted?: boolean;
}

/** Creation (seq 1: with `kind` and `members`) or change of a conversation's fields. */
export interface ConvChange extends Envelope, ConvFields {
  readonly t: 'conv';
  readonly kind?: ConvKind;
  readonly members?: readonly { readonly user: UserId; readonly role: Role }[];
}

export interface MessageChange extends Envelope {
  readonly t: 'message';
  readonly n: MessageNumber;
  readonly text: string;
  readonly reply?: Seq;
  readonly thread?: Seq;
  readonly files?: readonly FileRef[];
  /** User ids, or `["all"]`. */
  readonly mentions?: readonly string[];
  /** Only in a replay: the message has been deleted since, `text` is empty. */
  readonly deleted?: true;
}

export interface EditChange extends Envelope {
  readonly t: 'edit';
  readonly of: Seq;
  readonly text: string;
  readonly mentions?: readonly string[];
  readonly deleted?: true;
}

export interface DeleteChange extends Envelope {
  readonly t: 'delete';
  readonly of: Seq;
}

export interface ReactChange extends Envelope {
  readonly t: 'react';
  readonly of: Seq;
  readonly emoji: string;
  readonly on: boolean;
}

export interface PinChange extends Envelope {
  readonly t: 'pin';
  readonly of: Seq;
  readonly on: boolean;
}

export type MemberAct = 'join' | 'leave' | 'add' | 'invite' | 'kick' | 'ban' | 'role';

export interface MemberChange extends Envelope {
  readonly t: 'member';
  readonly user: UserId;
  readonly what: MemberAct;
  readonly role?: Role;
}

export type ChangeBody =
  | ConvChange
  | MessageChange
  | EditChange
  | DeleteChange
  | ReactChange
  | PinChange
  | MemberChange;

/** What a `member` change leaves its user as; undefined where it changes nothing in it (unknown acts of newer versions). */
export function standingAfter(change: MemberChange): Standing | undefined {
  switch (change.what) {
    case 'join':
    case 'add':
    case 'role':
      return change.role ?? 'member';
    case 'invite':
      return 'invited';
    case 'leave':
    case 'kick':
    case 'ban':
      return 'none';
    default:
      return undefined;
  }
}

/** A change that moves the guard: authorisation based on an older one must be made again (law 11 of the log). */
export function movesGuard(type: ChangeType): boolean {
  return type === 'conv' || type === 'member';
}

/** Only messages count in `n`. */
export function countsAsMessage(type: ChangeType): boolean {
  return type === 'message';
}

/**
 * A change's fields beside its envelope, as the inside of a JSON object (`"text":"hi","reply":3`).
 * The log puts the envelope with the numbers it gave in front.
 */
export function bodyText(fields: object): string {
  const json = JSON.stringify(fields);
  return json.slice(1, -1);
}

/** The push of a change, exactly as it is stored and sent. The Redis script assembles the same bytes. */
export function wireText(
  type: ChangeType,
  conv: string,
  seq: Seq,
  n: MessageNumber,
  from: string,
  at: Millis,
  key: string | null,
  body: string,
): string {
  const number = n > 0 ? `,"n":${n}` : '';
  const keyField = key === null ? '' : `,"key":"${key}"`;
  return `{"t":"${type}","conv":"${conv}","seq":${seq}${number},"from":"${from}","at":${at}${keyField},${body}}`;
}

export function parseChange(wire: string): ChangeBody {
  return JSON.parse(wire) as ChangeBody;
}

/** What stays of a change that cannot be stored: its numbers, and that there was something. */
export function withoutContent(wire: string): string {
  const { t, conv, seq, from, at, n, of } = parseChange(wire) as MessageChange & { readonly of?: Seq };
  return JSON.stringify({ t, conv, seq, n, from, at, of, text: '', deleted: true });
}

/** The wire text of a `message` or `edit` whose message has been deleted for all: its content is erased everywhere. */
export function erasedWire(wire: string): string {
  const {
    text: _text,
    files: _files,
    mentions: _mentions,
    deleted: _deleted,
    ...rest
  } = parseChange(wire) as MessageChange;
  return JSON.stringify({ ...rest, text: '', deleted: true });
}
