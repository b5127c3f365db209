// A histogram of times with 2 % wide buckets: small, mergeable, good enough for a 99th percentile. Microseconds.

const STEP = Math.log(1.02);
const BUCKETS = 1_024;

export class Histogram {
  readonly buckets: number[];

  constructor(buckets: readonly number[] = new Array<number>(BUCKETS).fill(0)) {
    this.buckets = [...buckets];
  }

  add(us: number): void {
    const bucket = us <= 1 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log(us) / STEP));
    this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1;
  }

  merge(other: readonly number[]): void {
    for (let index = 0; index < other.length; index++) {
      this.buckets[index] = (this.buckets[index] ?? 0) + (other[index] ?? 0);
    }
  }

  get count(): number {
    return this.buckets.reduce((sum, value) => sum + value, 0);
  }

  /** The time that a share of all stays within; NaN when there are none. */
  quantile(share: number): number {
    const wanted = this.count * share;
    if (wanted === 0) return Number.NaN;
    let seen = 0;
    for (let bucket = 0; bucket < this.buckets.length; bucket++) {
      seen += this.buckets[bucket] ?? 0;
      if (seen >= wanted) return Math.exp((bucket + 0.5) * STEP);
    }
    return Number.NaN;
  }

  /** Hands out what was counted and starts again. */
  take(): readonly number[] {
    const taken = [...this.buckets];
    this.buckets.fill(0);
    return taken;
  }
}
