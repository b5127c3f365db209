// What a mode brings: everything the domain stands on, behind its ports.
import type { SessionStore, UserStore } from '../ports/accounts.ts';
import type { Clock } from '../ports/clock.ts';
import type { ConversationStore } from '../ports/conversations.ts';
import type { Limiter } from '../ports/limiter.ts';
import type { Change, Log } from '../ports/log.ts';
import type { MarkStore } from '../ports/marks.ts';
import type { Signals } from '../ports/signals.ts';
import type { MessageStore } from '../ports/store.ts';
import type { Tallies } from '../ports/tallies.ts';
import type { TailMemory } from '../tail/index.ts';

export interface Adapters {
  /** Its tails feed `tail`, and it looks back into it. */
  openLog(tail: TailMemory): Promise<Log>;
  readonly messages: MessageStore;
  readonly conversations: ConversationStore;
  readonly marks: MarkStore;
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly limiter: Limiter;
  readonly tallies: Tallies;
  readonly signals: Signals;
  readonly clock: Clock;
  readonly secret: string;
  /** Null: this process is all there is. */
  readonly others: Others | null;
  /** What cannot be asked now. */
  missing(): readonly string[];
  /** Keeps a change that the store can never take, for people to look at. */
  setAside(change: Change, error: unknown): void;
  /** How many entries this node has taken out of the log that nobody appended. */
  foreignEntries(): number;
  close(): Promise<void>;
}

/** The other nodes that share log and store with this one. */
export interface Others {
  /** The name of this one. */
  readonly node: string;
  readonly parts: number;
  /** Whether this node carries the log into the store. */
  readonly persists: boolean;
  /** By part, the live nodes that do, and read it: one that is cut off from the log carries nothing. */
  carriers(): Promise<readonly (readonly string[])[]>;
}
