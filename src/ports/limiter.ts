// Token buckets: at most `burst` at once, refilled at `rate` a second.
//
// Laws
//  1. Over any time t a key is granted at most burst + rate × t.
//  2. Items of one call are decided in their order; a refused item takes nothing.
//  3. A refusal says when the same cost would be granted, if nothing else is taken.
//  4. A rate of 0 grants everything.
import type { Millis } from '../protocol/ids.ts';

export interface Take {
  /** Whose bucket. */
  readonly key: string;
  readonly cost: number;
}

export interface Bucket {
  /** Tokens a second; 0 = no limit. */
  readonly rate: number;
  readonly burst: number;
}

export interface Limiter {
  /** One answer an item: 0 = granted, else milliseconds until it would be. */
  take(items: readonly Take[]): Promise<readonly Millis[]> | readonly Millis[];
}
