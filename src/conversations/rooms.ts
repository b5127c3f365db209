// The directory of public rooms. Answered by the store alone, so a question first waits until the store holds everything
// acknowledged before it (promise 4); where that takes too long the answer says that it may be stale.
import type { Clock } from '../ports/clock.ts';
import type { ConversationStore, RoomEntry } from '../ports/conversations.ts';
import type { Log, Position } from '../ports/log.ts';
import type { MessageStore } from '../ports/store.ts';

/** Time the store is given to catch up: a commit takes milliseconds, an outage much longer. */
const MAX_WAIT_MS = 1_000;
const ASK_EVERY_MS = 5;

export interface RoomsDeps {
  readonly conversations: ConversationStore;
  readonly messages: MessageStore;
  readonly log: Log;
  readonly clock: Clock;
}

export interface RoomsPage {
  readonly items: readonly RoomEntry[];
  readonly cursor: string | null;
  readonly stale: boolean;
}

export class Rooms {
  readonly #deps: RoomsDeps;

  constructor(deps: RoomsDeps) {
    this.#deps = deps;
  }

  async search(query: string, cursor: string | null, limit: number): Promise<RoomsPage> {
    const stale = !(await this.#storeHoldsAll());
    return { ...(await this.#deps.conversations.rooms(query, cursor, limit)), stale };
  }

  async #storeHoldsAll(): Promise<boolean> {
    const { log, messages, clock } = this.#deps;
    const position = await log.readIndex().catch(() => null);
    if (position === null) return false;
    const untilMs = clock.monotonic() + MAX_WAIT_MS;
    while (!includes(await messages.watermark(), position)) {
      if (clock.monotonic() > untilMs) return false;
      await new Promise<void>((resolve) => clock.after(ASK_EVERY_MS, resolve));
    }
    return true;
  }
}

function includes(watermark: Position, position: Position): boolean {
  return position.every((offset, part) => (watermark[part] ?? 0) >= offset);
}
