// The machine's time. Owns no state; its timers never keep the process alive.
import type { Clock } from '../../ports/clock.ts';

/** Longest delay a Node timer takes; a longer one would fire at once. */
const MAX_DELAY_MS = 2_147_483_647;

export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    every(ms, call) {
      const timer = setInterval(call, Math.min(ms, MAX_DELAY_MS)).unref();
      return () => clearInterval(timer);
    },
    after(ms, call) {
      const timer = setTimeout(call, Math.min(ms, MAX_DELAY_MS)).unref();
      return () => clearTimeout(timer);
    },
  };
}
