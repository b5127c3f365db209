// Work that has to wait for its turn: so many at once, and a bounded number waiting. Hashing of passwords, since each takes
// memory and a core; greetings, since all clients of a node that ends come to the others in the same second; pages of the
// store, since they can be long.
import { ChatError } from './errors.ts';

const RETRY_AFTER_MS = 2_000;

/** Does a work when its turn comes. @throws what the work throws */
export type InTurn = <Result>(work: () => Promise<Result>) => Promise<Result>;

/**
 * Runs so many works at once, the others in their order; a finished one hands its place to the next.
 * @param maxWaiting beyond it: @throws ChatError `overloaded`
 * @param maxWaitMs as well, in its turn, who has waited longer
 */
export function queue(maxAtOnce: number, maxWaiting: number, maxWaitMs = Number.POSITIVE_INFINITY): InTurn {
  const waiting: (() => void)[] = [];
  let running = 0;

  function place(): Promise<void> | undefined {
    if (running < maxAtOnce) {
      running++;
      return undefined;
    }
    if (waiting.length >= maxWaiting) throw overloaded();
    return new Promise((resolve) => waiting.push(resolve));
  }

  return async <Result>(work: () => Promise<Result>): Promise<Result> => {
    const cameMs = performance.now();
    await place();
    try {
      if (performance.now() - cameMs > maxWaitMs) throw overloaded();
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

function overloaded(): ChatError {
  return new ChatError('overloaded', { afterMs: RETRY_AFTER_MS });
}
