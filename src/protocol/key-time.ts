// The time that an idempotency key may carry: what it was made at, by its maker's clock.
import type { Key, Millis } from './ids.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** The time in a UUIDv7 (RFC 9562 section 5.7); -1 for any other key. */
export function keyTimeMs(key: Key): Millis {
  return UUID_V7.test(key) ? Number.parseInt(key.slice(0, 8) + key.slice(9, 13), 16) : -1;
}
