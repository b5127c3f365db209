// A clock that stands still until a test moves it. Timers fall due in the order of their time.
import type { Clock } from '../../src/ports/clock.ts';

export interface FakeClock extends Clock {
  /** Moves time and calls what fell due, each at its own moment. */
  advance(ms: number): void;
}

interface Timer {
  dueMs: number;
  readonly everyMs: number | null;
  readonly call: () => void;
}

export function fakeClock(startMs = 1_794_000_000_000): FakeClock {
  const timers = new Set<Timer>();
  let elapsedMs = 0;

  function start(ms: number, everyMs: number | null, call: () => void): () => void {
    const timer = { dueMs: elapsedMs + ms, everyMs, call };
    timers.add(timer);
    return () => timers.delete(timer);
  }

  function nextDue(untilMs: number): Timer | undefined {
    const due = [...timers].filter((timer) => timer.dueMs <= untilMs);
    return due.sort((one, other) => one.dueMs - other.dueMs)[0];
  }

  return {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    every: (ms, call) => start(Math.max(1, ms), Math.max(1, ms), call),
    after: (ms, call) => start(ms, null, call),
    advance(ms) {
      const untilMs = elapsedMs + ms;
      for (let timer = nextDue(untilMs); timer !== undefined; timer = nextDue(untilMs)) {
        elapsedMs = timer.dueMs;
        if (timer.everyMs === null) timers.delete(timer);
        else timer.dueMs += timer.everyMs;
        timer.call();
      }
      elapsedMs = untilMs;
    },
  };
}
