// Up to where a conversation has been told, without gaps; and the pulls that fill those. What a pull brings is told as one,
// after its last page: a page before leaves out what has changed again since, so it is no place to go on from.
import type { SyncAnswer } from '../protocol/answers.ts';
import type { Seq } from '../protocol/ids.ts';
import type { ItemState } from '../protocol/states.ts';

interface Pull {
  readonly from: Seq;
  after: Seq;
  readonly items: ItemState[];
}

export interface Owner {
  ask(after: Seq): Promise<SyncAnswer>;
  /** All final states changed after `from`. */
  onPulled(cursor: Cursor, items: readonly ItemState[], from: Seq): void;
  /** One is not in it any more. */
  onRefused(cursor: Cursor): void;
}

export interface Cursor {
  readonly conv: string;
  /** Whether one is a member: who is invited is told of what concerns themselves only, and no cursor counts. */
  isInside: boolean;
  /** Neither shown to the server on this connection nor told by `ready`: where it is shows with its next change, or over HTTP. */
  isAdrift?: boolean;
  /** -1: what was told counts in a log that is no more. */
  at: Seq;
  /** The last change known to exist. */
  head: Seq;
  /** Whether a change that was pushed is the next one, which it is then told as. Pulls when one before it is missing. */
  advance(seq: Seq): boolean;
  /** The server has told of everything up to here. */
  reach(seq: Seq): void;
  /** Begins at a head of a new log. */
  restart(head: Seq): void;
  /** Ends early where the connection does, to be gone on with when the next one says `behind`. */
  pull(): Promise<void>;
}

export function createCursor(conv: string, seq: Seq, isInside: boolean, owner: Owner): Cursor {
  const cursor: Cursor = { conv, isInside, at: seq, head: seq, advance, reach, restart, pull };
  let current: Pull | undefined;
  let isPulling = false;
  let hasBegun = false;

  function advance(seq: Seq): boolean {
    cursor.head = Math.max(cursor.head, seq);
    // Heard of over HTTP before the pushes that came on the way: those are still to be told.
    if (!hasBegun) cursor.at = Math.min(cursor.at, seq - 1);
    hasBegun = true;
    if (isPulling || seq <= cursor.at) return false;
    if (cursor.at < 0 || seq > cursor.at + 1) {
      void pull();
      return false;
    }
    cursor.at = seq;
    // Left over from a connection that ended: the changes themselves have come instead.
    current = undefined;
    return true;
  }

  function reach(seq: Seq): void {
    cursor.head = Math.max(cursor.head, seq);
    if (cursor.at < cursor.head) void pull();
  }

  function restart(head: Seq): void {
    cursor.at = -1;
    cursor.head = head;
    current = pullFrom(head);
    void pull();
  }

  async function pull(): Promise<void> {
    if (isPulling) return;
    isPulling = hasBegun = true;
    try {
      while (await pullPage());
    } catch (refusal) {
      if (refusal) owner.onRefused(cursor);
    }
    isPulling = false;
  }

  /** @returns whether there is more */
  async function pullPage(): Promise<boolean> {
    current ??= pullFrom(cursor.at);
    const pulled = current;
    const { items, to, more, head } = await owner.ask(pulled.after);
    if (current !== pulled) return true;
    cursor.head = Math.max(cursor.head, head);
    pulled.after = to;
    pulled.items.push(...items);
    if (more) return true;
    current = undefined;
    cursor.at = Math.max(cursor.at, to);
    owner.onPulled(cursor, pulled.items, pulled.from);
    // Pushes were passed over meanwhile. A node that knows less answers less, and pushes the rest when it knows.
    return cursor.head > cursor.at && to > pulled.from;
  }

  return cursor;
}

function pullFrom(seq: Seq): Pull {
  return { from: seq, after: seq, items: [] };
}
