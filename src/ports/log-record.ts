// What must be known of a log by others than itself, for the day it comes back having lost something: which log it is,
// into how many parts it is cut, the epoch of each part, and which nodes have read from it. Kept in the store's database,
// so that the two cannot be lost together unnoticed. Only logs that live on another server need one.
//
// Laws
//  1. The first `open` decides id and parts for ever; every later one gets the same, and one that wants other parts is refused.
//  2. The epoch of a part only grows, by one at a time; of any number of callers of `beginEpoch` from the same number one
//     moves it, and all get the number that holds afterwards.
//  3. A node is live from `keepAlive` until its lease has run out by the database's clock, or `leave`.
//  4. A resolved write survives kill -9 and power loss, and is seen by every later read.
import type { Millis } from '../protocol/ids.ts';

export interface LogIdentity {
  /** Short and random: two logs never share it. */
  readonly id: string;
  readonly parts: number;
}

export interface LogRecord {
  /** @throws StartError the log is cut into another number of parts */
  open(parts: number): Promise<LogIdentity>;
  /** One number a part, from 1. */
  epochs(): Promise<readonly number[]>;
  /** @returns the epoch of the part that holds now: `from` + 1, or what another caller made of it meanwhile */
  beginEpoch(part: number, from: number): Promise<number>;
  /** Makes or prolongs the lease of a node. */
  keepAlive(node: string, leaseMs: Millis): Promise<void>;
  /** Nodes whose lease has not run out. */
  liveNodes(): Promise<readonly string[]>;
  leave(node: string): Promise<void>;
}
