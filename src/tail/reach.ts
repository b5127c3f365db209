// Waiting until this node's tail has come as far as a position, for no longer than a reader is to wait.
import { ChatError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Position } from '../ports/log.ts';
import type { TailMemory } from './tail-memory.ts';

/** How long a read waits for what this node has not seen yet. */
const REACH_WITHIN_MS = 3_000;

/** @throws ChatError `unavailable` where the tail does not come as far in time: this node hears nothing of the log */
export async function reachInTime(tail: TailMemory, position: Position, clock: Clock): Promise<void> {
  if (tail.hasReached(position)) return;
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(REACH_WITHIN_MS, () => reject(new ChatError('unavailable')));
  try {
    await Promise.race([tail.reach(position), tooLate]);
  } finally {
    cancel();
  }
}
