// Token buckets within one process, one number a key: the moment its bucket is full again (the generic cell rate
// algorithm). A full bucket is no bucket, so keys that fell idle are forgotten as others come.
import type { Clock } from '../../ports/clock.ts';
import type { Bucket, Limiter, Take } from '../../ports/limiter.ts';
import type { Millis } from '../../protocol/ids.ts';

/** Keys beyond this many share one bucket: stricter for them, and memory stays bounded whatever keys are made up. */
const MAX_KEYS = 100_000;
const SHARED_KEY = '';

/** Float error of a chain of additions; far below anything a caller could use. */
const SLACK_MS = 1e-6;

export interface MemoryLimiter extends Limiter {
  take(items: readonly Take[]): readonly Millis[];
  /** How many keys are remembered. */
  readonly keys: number;
}

/** @returns answers at once. A cost above the burst can never be granted: its wait is Infinity. */
export function memoryLimiter(bucket: Bucket, clock: Clock, maxKeys = MAX_KEYS): MemoryLimiter {
  const tokenMs = 1_000 / bucket.rate;
  const burstMs = bucket.burst * tokenMs;
  /** In the order of the last grant: no entry is full later than burstMs after it. */
  const fullAt = new Map<string, Millis>();

  function takeOne({ key: asked, cost }: Take, now: Millis): Millis {
    if (cost > bucket.burst) return Number.POSITIVE_INFINITY;
    const key = fullAt.has(asked) || fullAt.size < maxKeys ? asked : SHARED_KEY;
    const next = Math.max(fullAt.get(key) ?? now, now) + cost * tokenMs;
    const waitMs = next - now - burstMs;
    if (waitMs > SLACK_MS) return Math.ceil(waitMs);
    fullAt.delete(key);
    fullAt.set(key, next);
    return 0;
  }

  function forgetIdle(now: Millis): void {
    for (const [key, full] of fullAt) {
      if (full > now) return;
      fullAt.delete(key);
    }
  }

  return {
    take(items) {
      if (bucket.rate === 0) return items.map(() => 0);
      const now = clock.monotonic();
      forgetIdle(now);
      return items.map((item) => takeOne(item, now));
    },
    get keys() {
      return fullAt.size;
    },
  };
}
