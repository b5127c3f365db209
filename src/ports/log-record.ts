// What must be known of a log by others than itself, for the day it comes back having lost something: which log it is,
// into how many parts it is cut, the epoch of each part, and which nodes have read from it. Kept in the store's database,
// so that the two cannot be lost together unnoticed. Only logs that live on another server need one.
//
// Laws
//  1. The first `open` decides id and parts for ever; every later one gets the same, and one that wants other parts is refused.
//  2. The epoch of a part only grows, by one at a time unless told of a higher one; of any number of callers of `beginEpoch`
//     from the same number one moves it, and all get the number that holds afterwards. No epoch is used before `openEpoch`
//     has told that the log has begun it: one that has begun and is not open can be taken up by another caller.
//  3. A node is live from `keepAlive` until its lease has run out by the database's clock, or `leave`; `liveNodes` gives the
//     last report of each.
//  4. From the moment `beginEpoch` has moved a part on, the store takes no change of that part that was read under an older
//     epoch, and `stored` is where it stays.
//  5. A resolved write survives kill -9 and power loss, and is seen by every later read.
import type { Millis } from '../protocol/ids.ts';
import type { Position } from './log.ts';

export interface LogIdentity {
  /** Short and random: two logs never share it. */
  readonly id: string;
  readonly parts: number;
}

/** What a node has seen of the log. */
export interface NodeReport {
  readonly node: string;
  /** For each part, which life of the log's server the node reads from; null: from none. */
  readonly runs: readonly (string | null)[];
  /** The epoch of each part that `seen` is of. */
  readonly epochs: readonly number[];
  /** Final for every life of the server before that one. */
  readonly seen: Position;
  /** Whether the node carries the log into the store. */
  readonly persists: boolean;
}

export interface PartRecord {
  /** 0: no log of this part has ever begun. */
  readonly epoch: number;
  /** The latest one that the log may have changes of. */
  readonly opened: number;
  /** The store holds the part's changes up to here. */
  readonly stored: number;
  /** The latest time that one of their keys carries (protocol/key-time.ts), 0 where none does. */
  readonly latestKeyMs: Millis;
}

export interface LogRecord {
  /** @throws StartError the log is cut into another number of parts */
  open(parts: number): Promise<LogIdentity>;
  /** By part. */
  epochs(): Promise<readonly PartRecord[]>;
  /**
   * @param above an epoch that the log has got to, where that is higher than `from`: the record is an older one put back
   * @returns the part as it is now: its epoch is the next after both, or what another caller made of it meanwhile
   */
  beginEpoch(part: number, from: number, above?: number): Promise<PartRecord>;
  /** The log has begun this epoch; one that is not the latest changes nothing. */
  openEpoch(part: number, epoch: number): Promise<void>;
  /** Makes or prolongs the lease of a node, with its report. */
  keepAlive(report: NodeReport, leaseMs: Millis): Promise<void>;
  liveNodes(): Promise<readonly NodeReport[]>;
  leave(node: string): Promise<void>;
}
