// What a server may send, as types: the shapes of src/protocol, and those too small to have a name there.
import type { Ephemeral, ErrorAnswer, HistoryAnswer, Ready, SyncAnswer, Welcome } from '../../src/protocol/answers.ts';
import type { ChangeBody } from '../../src/protocol/changes.ts';

export interface Ok {
  readonly t: 'ok';
  readonly id: string;
  readonly conv?: string;
  readonly seq?: number;
  readonly n?: number;
  readonly at?: number;
  readonly dup?: true;
}

/** The `ok` of a message: always numbered. */
export interface Sent extends Ok {
  readonly conv: string;
  readonly seq: number;
  readonly n: number;
  readonly at: number;
}

export interface Pong {
  readonly t: 'pong';
  readonly id: string;
  readonly now: number;
}

export type Answer = Ok | Pong | Ready | SyncAnswer | HistoryAnswer | ErrorAnswer;
export type AnswerOf<T extends Answer['t']> = Extract<Answer, { t: T }>;

type Turn =
  | { readonly t: 'caught_up' | 'behind'; readonly conv: string; readonly seq: number }
  | { readonly t: 'reset'; readonly conv: string; readonly seq: number; readonly epoch: string }
  | { readonly t: 'gone'; readonly conv: string }
  | { readonly t: 'bye'; readonly after: number; readonly code: number };

export type Change = ChangeBody;
export type Push = Change | Ephemeral | Welcome | Turn;
export type PushOf<T extends Push['t']> = Push extends infer P
  ? P extends { t: infer U }
    ? T extends U
      ? P
      : never
    : never
  : never;
export type ServerFrame = Answer | Push;

const CHANGES = new Set(['conv', 'message', 'edit', 'delete', 'react', 'pin', 'member']);
const ANSWERS = new Set(['ok', 'pong', 'ready', 'sync', 'history', 'error']);

export function isChange(frame: ServerFrame): frame is Change {
  return CHANGES.has(frame.t);
}

export function isAnswer(frame: ServerFrame): frame is Answer {
  return ANSWERS.has(frame.t);
}
