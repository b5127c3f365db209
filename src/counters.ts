// What the process counts while it works: plain numbers, cheap enough for the hot path. http/metrics.ts shows them.

/** Upper bounds of the histogram's buckets, ms. */
export const LATENCY_BUCKETS_MS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000] as const;

export class Histogram {
  /** One count a bucket, and one for everything above. */
  readonly counts: number[] = new Array(LATENCY_BUCKETS_MS.length + 1).fill(0);
  sum = 0;
  count = 0;

  observe(valueMs: number, times = 1): void {
    const found = LATENCY_BUCKETS_MS.findIndex((bound) => valueMs <= bound);
    const bucket = found === -1 ? LATENCY_BUCKETS_MS.length : found;
    this.counts[bucket] = (this.counts[bucket] as number) + times;
    this.sum += valueMs * times;
    this.count += times;
  }
}

export class Counters {
  /** Changes made durable. */
  appended = 0;
  /** Repeats answered with their first answer. */
  repeated = 0;
  /** Appends the guard refused and the path authorised again. */
  reauthorised = 0;
  /** Changes handed to connections, one a connection. */
  delivered = 0;
  /** Times a connection was told to pull. */
  behind = 0;
  /** Ephemeral frames dropped because a connection was slow. */
  dropped = 0;
  refusedByLimiter = 0;
  /** Changes the store can never take, set aside. */
  poisoned = 0;
  closed = new Map<number, number>();
  errors = new Map<string, number>();
  /** From the turn a request arrived in to its `ok`. */
  readonly ackMs = new Histogram();

  closedWith(code: number): void {
    this.closed.set(code, (this.closed.get(code) ?? 0) + 1);
  }

  failedWith(code: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }
}
