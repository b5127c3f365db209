// Ids of conversations come from their creation, so that a repeat, or both sides of a direct at once, meet in the same place.
import { createHash } from 'node:crypto';
import type { ConvId, UserId } from '../protocol/ids.ts';

/** The one direct conversation of two users, whoever opens it. */
export function directId(one: UserId, other: UserId): ConvId {
  return hashId('direct', ...[one, other].sort());
}

/** The conversation a user creates under an idempotency key. */
export function createdId(creator: UserId, key: string): ConvId {
  return hashId('created', creator, key);
}

/** 128 bits of SHA-256: two of them meet by accident never. The parts hold no NUL, by the alphabet of ids. */
function hashId(...parts: string[]): ConvId {
  return createHash('sha256').update(parts.join('\0')).digest().subarray(0, 16).toString('base64url') as ConvId;
}
