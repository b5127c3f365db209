// Signals: what is told to all nodes at once and kept nowhere (typing, who is where, marks that moved, sessions that ended).
//
// Laws
//  1. A published signal reaches every subscriber of every live node at most once, the publisher's own included.
//  2. Signals of one publisher arrive in the order they were published.
//  3. Delivery is never synchronous with `publish`.
//  4. Signals may be lost; nothing that must be right may depend on one alone.
//  5. The publisher's own subscribers get every signal, whatever becomes of the other nodes. Nothing waits for other nodes:
//     what cannot be told to them now is lost to them.
//  6. `isCut` is true within 5 s of the moment from which other nodes cannot be heard, and false again once they can be.
import type { PresenceStatus } from '../protocol/answers.ts';
import type { ConvId, MessageNumber, Millis, SessionId, UserId } from '../protocol/ids.ts';

/** A process, from its start to its end: one that starts again is another. */
export type NodeId = string;

/** A user some node has connections of: what they add up to, and since when. */
export type Stated = readonly [user: UserId, status: PresenceStatus, seen: Millis];

export type Signal =
  | { readonly is: 'typing'; readonly conv: ConvId; readonly user: UserId; readonly on: boolean }
  | {
      /** What the user's connections on the publisher's node add up to. */
      readonly is: 'presence';
      readonly user: UserId;
      readonly status: PresenceStatus;
      readonly seen: Millis;
      /** Who hears of it: the user's direct and group conversations. */
      readonly convs: readonly ConvId[];
    }
  | {
      /** The publisher lives, and this is what all its statements amount to. */
      readonly is: 'alive';
      readonly users: number;
      readonly digest: number;
    }
  /** A node is asked for all its statements; null: every node. */
  | { readonly is: 'who'; readonly node: NodeId | null }
  /** Part `part` (from 0) of `parts` of all statements of the publisher. */
  | { readonly is: 'everyone'; readonly part: number; readonly parts: number; readonly users: readonly Stated[] }
  /** The publisher ends in good order. */
  | { readonly is: 'left' }
  | {
      readonly is: 'mark';
      readonly conv: ConvId;
      readonly user: UserId;
      readonly read: MessageNumber;
      readonly received: MessageNumber;
      /** Connection the mark came by, which needs no echo. */
      readonly by: string | null;
      /** The user has moved it back. */
      readonly back?: boolean;
    }
  | { readonly is: 'ended'; readonly sessions: readonly SessionId[] };

export type OnSignal = (signal: Signal, from: NodeId) => void;

export interface Signals {
  /** Whose signals `publish` publishes. */
  readonly node: NodeId;
  readonly isCut: boolean;
  publish(signal: Signal): void;
  subscribe(onSignal: OnSignal): () => void;
}
