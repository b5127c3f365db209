// The log's keys in Redis. All keys of a part carry its hash tag, so that a Redis Cluster keeps them on one server
// (redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec, "Hash tags").
import { hash } from 'node:crypto';
import type { ConvId, Key, UserId } from '../../protocol/ids.ts';

export interface PartKeys {
  readonly log: string;
  /** epoch, head, trimmed, and what the script counts. */
  readonly meta: string;
  /** `seq n guard at` of every conversation that has had a change since the part began. */
  readonly heads: string;
  /** With the number of a slot of time behind it: the receipts of keys. */
  readonly receipts: string;
  readonly recovery: string;
  /** What the store can never take. */
  readonly dead: string;
}

/** The stream's group of a node: its position, for the operator and for the trim. */
export const NODE_GROUP = 'node:';
/** The group of whoever carries the log into the store. */
export const PERSIST_GROUP = 'persist';

export function partKeys(part: number): PartKeys {
  const prefix = `chat:{${part}}`;
  return {
    log: `${prefix}:log`,
    meta: `${prefix}:meta`,
    heads: `${prefix}:heads`,
    receipts: `${prefix}:keys:`,
    recovery: `${prefix}:recovery`,
    dead: `${prefix}:dead`,
  };
}

/** FNV-1a, 32 bit: the part of a conversation, for ever. */
export function partOf(conv: ConvId, parts: number): number {
  let state = 0x811c9dc5;
  for (let index = 0; index < conv.length; index++) state = Math.imul(state ^ conv.charCodeAt(index), 0x01000193);
  return (state >>> 0) % parts;
}

/** 132 bits of a hash: two keys that share them within minutes are not to be expected (2^-90 at a million keys). */
export function receiptField(conv: ConvId, user: UserId, key: Key): string {
  return hash('sha256', `${conv} ${user} ${key}`, 'base64url').slice(0, 22);
}

const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** The time a UUIDv7 carries (RFC 9562 section 5.7), ms; -1 for any other key. */
export function keyTimeMs(key: Key): number {
  const found = UUID_V7.exec(key);
  return found === null ? -1 : Number.parseInt(`${found[1]}${found[2]}`, 16);
}
