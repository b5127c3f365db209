// Token buckets: at most `burst` at once, refilled at `rate` a second.
//
// Laws
//  1. Over any time t a key is granted at most burst + rate × t, by all nodes that share the buckets together.
//  2. Items of one call are decided in their order; a refused item takes nothing.
//  3. A refusal says when the same cost would be granted, if nothing else is taken.
//  4. A rate of 0 grants everything.
//  5. Calls are answered in the order they were made: who asked later does not overtake.
//  6. `take` does not fail. While shared buckets cannot be asked, each node decides by stricter ones of its own: what law 1
//     allows is then exceeded by at most those, and never is everything granted or everything refused.
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
  /** One answer an item: 0 = granted, else milliseconds until it would be; a cost above the burst never is: Infinity. */
  take(items: readonly Take[]): Promise<readonly Millis[]> | readonly Millis[];
}
