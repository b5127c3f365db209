// Loads the pages of a conversation that are about to be seen, one at a time, and lets go of those far away.
import { useRef, useState } from 'preact/hooks';
import type { Conversation } from '../../client/types.ts';
import type { ScrollKeeper } from './scroll-keeper.ts';

const PAGE = 60;
/** The server gives so many at a time. */
const MAX_PAGE = 200;
/** So many that were read already are shown before the unread. */
const BEFORE_UNREAD = 15;
/** Messages held, and so drawn, at most; beyond, the far end is let go. */
const MAX_HELD = 240;
/** A page is asked for when so little is left to scroll. */
const AHEAD_PX = 1_200;

export interface Pages {
  /** Nothing could be loaded the last time. */
  readonly isFailed: boolean;
  /** Holds the newest page. */
  open(): Promise<void>;
  /** Holds the messages around one. */
  around(seq: number): Promise<void>;
  /** To be called after each drawing and at each scroll. */
  fill(): void;
}

export function usePages(conversation: Conversation, keeper: ScrollKeeper): Pages {
  const [isFailed, setFailed] = useState(false);
  const isBusy = useRef(false);
  /** What had been loaded was drawn before loading ended: what is missing now was not asked for. */
  const isWanted = useRef(false);

  async function load(page: () => Promise<void>): Promise<void> {
    isBusy.current = true;
    isWanted.current = false;
    try {
      await page();
      setFailed(false);
    } catch {
      // The next try is somebody's scroll, or the connection's return.
      isWanted.current = false;
      setFailed(true);
    } finally {
      isBusy.current = false;
    }
    if (isWanted.current) fill();
  }

  /** Lets go of what is more than is held, at one of the ends. */
  function trim(end: 'older' | 'newer'): void {
    const { messages } = conversation;
    const kept = end === 'older' ? messages.slice(-MAX_HELD) : messages.slice(0, MAX_HELD);
    const [first, last] = [kept[0], kept.at(-1)];
    if (kept.length < messages.length && first && last) conversation.trim(first.seq, last.seq);
  }

  async function older(): Promise<void> {
    await conversation.older(PAGE);
    trim('newer');
  }

  async function newer(): Promise<void> {
    await conversation.newer(PAGE);
    trim('older');
  }

  function fill(): void {
    isWanted.current = isBusy.current;
    if (!conversation.isOpen || isBusy.current) return;
    if (conversation.hasOlder && keeper.scrolledPx < AHEAD_PX) void load(older);
    else if (conversation.hasNewer && keeper.toEndPx() < AHEAD_PX) void load(newer);
    else if (keeper.isAtEnd && conversation.messages.length > 2 * MAX_HELD) trim('older');
  }

  return {
    isFailed,
    // All that is unread, as far as that is possible: one begins where it begins.
    open: () => load(() => conversation.open(Math.min(Math.max(conversation.unread + BEFORE_UNREAD, PAGE), MAX_PAGE))),
    around: (seq) => load(() => conversation.around(seq, PAGE)),
    fill,
  };
}
