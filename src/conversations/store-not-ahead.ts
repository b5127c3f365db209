// The store as a node may show it where other nodes write it, too: what it tells waits until the tail has told as much.
// Shown sooner, the changes in between would be told a second time when the tail comes to them.
import { ChatError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ConversationStore } from '../ports/conversations.ts';
import type { Position } from '../ports/log.ts';
import type { TailMemory } from '../tail/index.ts';

/** A node that hears nothing of the log says `unavailable` then. */
const REACH_WITHIN_MS = 3_000;

interface Deps {
  readonly store: ConversationStore;
  readonly tail: TailMemory;
  readonly clock: Clock;
  /** What the store holds by now. @throws ChatError `unavailable` */
  position(): Promise<Position>;
}

export function storeNotAhead({ store, tail, clock, position }: Deps): ConversationStore {
  async function told<Answer>(answer: Promise<Answer>): Promise<Answer> {
    const value = await answer;
    // Asked after it: at least as far as what was read.
    const upTo = await position();
    if (!tail.hasReached(upTo)) await reach(upTo);
    return value;
  }

  async function reach(upTo: Position): Promise<void> {
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const cancel = clock.after(REACH_WITHIN_MS, () => reject(new ChatError('unavailable')));
    try {
      await Promise.race([tail.reach(upTo), tooLate]);
    } finally {
      cancel();
    }
  }

  return {
    load: (convs) => told(store.load(convs)),
    ofUser: (user) => told(store.ofUser(user)),
    rooms: (query, cursor, limit) => store.rooms(query, cursor, limit),
  };
}
