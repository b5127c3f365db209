// The log's keys in Redis. All keys of a part carry its hash tag, so that a Redis Cluster keeps them on one server
// (redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec, "Hash tags").
import type { ConvId, Key, UserId } from '../../protocol/ids.ts';

export interface PartKeys {
  readonly log: string;
  /** log (its id), run, epoch, head, trimmed, and what the scripts count. */
  readonly meta: string;
  /** `seq n guard at offset` of conversations, those left out that have been silent for long and are stored as they are. */
  readonly heads: string;
  /** With the number of a slot of time behind it: the receipts of keys. */
  readonly receipts: string;
  /** Of who sends keys of a time to come, until when each of theirs is looked up. */
  readonly ahead: string;
  /** Held by who recovers the part. */
  readonly lock: string;
  /** What the store can never take, and what somebody else has put into the stream. */
  readonly dead: string;
  /** The stream of before, where the part began anew without it. */
  readonly aside: string;
}

/** The stream's group of a node: its position, for the operator and for the trim. */
export const NODE_GROUP = 'node:';

export function partKeys(part: number): PartKeys {
  const prefix = `chat:{${part}}`;
  return {
    log: `${prefix}:log`,
    meta: `${prefix}:meta`,
    heads: `${prefix}:heads`,
    receipts: `${prefix}:keys:`,
    ahead: `${prefix}:ahead`,
    lock: `${prefix}:recovery`,
    dead: `${prefix}:dead`,
    aside: `${prefix}:aside`,
  };
}

/** FNV-1a, 32 bit: the part of a conversation, for ever. */
export function partOf(conv: ConvId, parts: number): number {
  let state = 0x811c9dc5;
  for (let index = 0; index < conv.length; index++) state = Math.imul(state ^ conv.charCodeAt(index), 0x01000193);
  return (state >>> 0) % parts;
}

/** The field of a key's receipt, as the append script names it. */
export function receiptField(conv: ConvId, user: UserId, key: Key): string {
  return `${conv} ${user} ${key}`;
}
