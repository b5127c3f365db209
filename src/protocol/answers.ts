// Frames only the server sends that are not changes: the opening, answers, ephemeral pushes.
import type { ErrorCode } from '../errors.ts';
import type { ConvId, ConvKind, MessageNumber, Millis, Role, Seq, SessionId, UserId } from './ids.ts';
import type { ItemState, MessageState } from './states.ts';

export interface Welcome {
  readonly t: 'welcome';
  readonly v: 1;
  readonly now: Millis;
  readonly heartbeat: Millis;
  readonly limits: {
    readonly frame: number;
    readonly text: number;
    readonly rate: number;
    readonly burst: number;
    readonly auth: Millis;
  };
}

export interface ReadyConv {
  readonly conv: ConvId;
  readonly kind: ConvKind;
  readonly title?: string;
  readonly seq: Seq;
  readonly n: MessageNumber;
  readonly read: MessageNumber;
  readonly role: Role | 'invited';
  /** The other side of a direct. */
  readonly peer?: UserId;
}

export interface Ready {
  readonly t: 'ready';
  readonly id: string;
  readonly user: { readonly id: UserId; readonly name: string };
  readonly session: SessionId;
  readonly epoch: string;
  readonly convs: readonly ReadyConv[];
  readonly more: boolean;
}

export interface ErrorAnswer {
  readonly t: 'error';
  readonly id?: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly retry: boolean;
  readonly after?: Millis;
  readonly field?: string;
}

export interface SyncAnswer {
  readonly t: 'sync';
  readonly id: string;
  readonly conv: ConvId;
  readonly epoch: string;
  readonly from: Seq;
  readonly to: Seq;
  readonly head: Seq;
  readonly more: boolean;
  readonly items: readonly ItemState[];
  readonly stale?: true;
}

export interface HistoryAnswer {
  readonly t: 'history';
  readonly id: string;
  readonly conv: ConvId;
  readonly items: readonly MessageState[];
  readonly more?: boolean;
  readonly moreBefore?: boolean;
  readonly moreAfter?: boolean;
  readonly stale?: true;
}

export type PresenceStatus = 'online' | 'away' | 'busy' | 'offline';

export type Ephemeral =
  | { readonly t: 'typing'; readonly conv: ConvId; readonly user: UserId; readonly on: boolean }
  | { readonly t: 'presence'; readonly user: UserId; readonly status: PresenceStatus; readonly seen: Millis }
  | {
      readonly t: 'receipt';
      readonly conv: ConvId;
      readonly user: UserId;
      readonly read: MessageNumber;
      readonly received: MessageNumber;
    }
  | { readonly t: 'unread'; readonly conv: ConvId; readonly read: MessageNumber; readonly n: MessageNumber };
