// Sessions that ended on other nodes. A signal tells of each at once; since signals may be lost, the store is asked too, and
// whatever it names that is known already is told again: no socket outlives its session by more than the interval.
import type { SessionStore } from '../ports/accounts.ts';
import type { Clock } from '../ports/clock.ts';
import type { Millis, SessionId } from '../protocol/ids.ts';

const ASK_EVERY_MS = 2_000;
/** Asked for twice, so that what became visible late is not missed. */
const OVERLAP_MS = 5_000;

interface Options {
  readonly sessions: SessionStore;
  readonly clock: Clock;
  onEnded(sessions: readonly SessionId[]): void;
}

/** Asks until stopped. While the store cannot be asked nothing is told; afterwards all of the time between. */
export function watchEnded({ sessions, clock, onEnded }: Options): () => void {
  let askedMs: Millis = clock.monotonic();
  let isAsking = false;
  return clock.every(ASK_EVERY_MS, () => {
    if (isAsking) return;
    isAsking = true;
    const now = clock.monotonic();
    sessions
      .endedWithin(now - askedMs + OVERLAP_MS)
      .then(
        (ended) => {
          askedMs = now;
          if (ended.length > 0) onEnded(ended);
        },
        () => {},
      )
      .finally(() => {
        isAsking = false;
      });
  });
}
