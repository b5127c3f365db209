// Tallies within one process. Windows that ended are forgotten as others begin; a flood of made-up keys shares one tally.
import type { Clock } from '../../ports/clock.ts';
import type { Tallies, Tally } from '../../ports/tallies.ts';
import type { Millis } from '../../protocol/ids.ts';

/** Keys beyond this many count together: stricter for them, and memory stays bounded. */
const MAX_KEYS = 50_000;
const SHARED_KEY = '';

export interface MemoryTallies extends Tallies {
  count(key: string, windowMs: Millis): Tally;
  /** How many keys are remembered. */
  readonly keys: number;
}

export function memoryTallies(clock: Clock, maxKeys = MAX_KEYS): MemoryTallies {
  /** In the order in which their windows began. */
  const windows = new Map<string, { count: number; readonly endsMs: Millis }>();

  /** Stops at the first that goes on; a longer window may keep ended ones behind it a while, within the bound. */
  function forgetEnded(now: Millis): void {
    for (const [key, { endsMs }] of windows) {
      if (endsMs > now) return;
      windows.delete(key);
    }
  }

  return {
    count(asked, windowMs) {
      const now = clock.monotonic();
      forgetEnded(now);
      const key = windows.has(asked) || windows.size < maxKeys ? asked : SHARED_KEY;
      let window = windows.get(key);
      if (window === undefined || window.endsMs <= now) {
        window = { count: 0, endsMs: now + windowMs };
        windows.delete(key);
        windows.set(key, window);
      }
      window.count++;
      return { count: window.count, leftMs: window.endsMs - now };
    },
    get keys() {
      return windows.size;
    },
  };
}
