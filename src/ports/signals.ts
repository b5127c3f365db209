// Signals: what is told to all nodes at once and kept nowhere (typing, presence, marks that moved, sessions that ended).
//
// Laws
//  1. A published signal reaches every subscriber of every live node at most once, the publisher's own included.
//  2. Signals of one publisher arrive in the order they were published.
//  3. Delivery is never synchronous with `publish`.
//  4. Signals may be lost; nothing that must be right may depend on one alone.
import type { PresenceStatus } from '../protocol/answers.ts';
import type { ConvId, MessageNumber, Millis, SessionId, UserId } from '../protocol/ids.ts';

export type Signal =
  | { readonly is: 'typing'; readonly conv: ConvId; readonly user: UserId; readonly on: boolean }
  | {
      readonly is: 'presence';
      readonly user: UserId;
      readonly status: PresenceStatus;
      readonly seen: Millis;
      /** Who hears of it: the user's direct and group conversations. */
      readonly convs: readonly ConvId[];
    }
  | {
      readonly is: 'mark';
      readonly conv: ConvId;
      readonly user: UserId;
      readonly read: MessageNumber;
      readonly received: MessageNumber;
      /** Connection the mark came by, which needs no echo. */
      readonly by: string | null;
    }
  | { readonly is: 'ended'; readonly sessions: readonly SessionId[] };

export interface Signals {
  publish(signal: Signal): void;
  subscribe(onSignal: (signal: Signal) => void): () => void;
}
