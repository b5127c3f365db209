// Time and chance of a simulation: nothing happens but by its queue, and the same seed makes the same things happen.
import type { Clock } from '../../../src/client/types.ts';
import { type Random, random } from '../../kit/random.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  /** Whose it is: an idle client has none. */
  readonly owner: string;
  readonly run: () => void;
}

const BEGIN_MS = 1_800_000_000_000;

export class World {
  readonly random: Random;
  nowMs = BEGIN_MS;
  readonly #onTrace: ((line: string) => void) | undefined;
  #order = 0;
  /** Latest first, so that the next one is at the end. */
  readonly #queue: Due[] = [];

  /** @param onTrace is told of every frame, to see what happened in a seed */
  constructor(seed: number, onTrace?: (line: string) => void) {
    this.random = random(seed);
    this.#onTrace = onTrace;
  }

  trace(who: string, what: object): void {
    this.#onTrace?.(`${Math.round(this.nowMs - BEGIN_MS)} ${who} ${JSON.stringify(what)}`);
  }

  /** @returns what takes it back */
  after(ms: number, run: () => void, owner = 'world'): () => void {
    const due = { atMs: this.nowMs + ms, order: this.#order++, owner, run };
    let [low, high] = [0, this.#queue.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle] as Due;
      if (other.atMs > due.atMs) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, due);
    return () => {
      const index = this.#queue.indexOf(due);
      if (index >= 0) this.#queue.splice(index, 1);
    };
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** A clock for somebody who can die: then nothing that waits happens any more. Its time is off by as much as told. */
  clock(owner: string, offMs: number, isAlive: () => boolean): Clock {
    return {
      now: () => this.nowMs + offMs,
      after: (ms, run) => this.after(ms, () => isAlive() && run(), owner),
    };
  }

  waiting(owner: string): number {
    return this.#queue.filter((due) => due.owner === owner).length;
  }

  /** Lets time pass; between any two things that happen all promises come to rest. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      await rest();
      const next = this.#queue.at(-1);
      if (next === undefined || next.atMs > untilMs) break;
      this.#queue.pop();
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = untilMs;
  }
}

function rest(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
