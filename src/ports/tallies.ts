// Tallies: how often something happened since its window of time began (requests of an address, attempts to sign in).
//
// Laws
//  1. The first count of a key begins its window; counted are 1, 2, 3, ... until the window ends, by all nodes that share
//     the tallies together; the next count begins another window.
//  2. `leftMs` is what is left of the window: above 0, at most the window, and not prolonged by counting.
//  3. Keys do not count for each other.
//  4. `count` does not fail. While shared tallies cannot be asked, each node tells its own, every one counted for several:
//     a limit on them is stricter then, and never gone.
import type { Millis } from '../protocol/ids.ts';

export interface Tally {
  readonly count: number;
  readonly leftMs: Millis;
}

export interface Tallies {
  count(key: string, windowMs: Millis): Promise<Tally> | Tally;
}
