// The store as a node may show it where other nodes write it, too: what it tells waits until the tail has told as much.
// Shown sooner, the changes in between would be told a second time when the tail comes to them.
import type { Clock } from '../ports/clock.ts';
import type { ConversationStore } from '../ports/conversations.ts';
import type { Position } from '../ports/log.ts';
import { reachInTime, type TailMemory } from '../tail/index.ts';

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
    await reachInTime(tail, await position(), clock);
    return value;
  }

  return {
    load: (convs) => told(store.load(convs)),
    ofUser: (user) => told(store.ofUser(user)),
    rooms: (query, cursor, limit) => store.rooms(query, cursor, limit),
  };
}
