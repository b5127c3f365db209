// Delivery: one reader of the log, which feeds the path and this node's memory. Where the log has gone on without this node
// it begins again at the store's watermark, and so does everybody connected, in one turn: nobody is shown half of each view.
import { ChatError } from '../errors.ts';
import { type Log, type Position, PositionLost, type Tail } from '../ports/log.ts';
import type { TailMemory } from '../tail/index.ts';

const RETRY_MS = 500;

interface Deps {
  readonly log: Log;
  readonly tail: TailMemory;
  /** Where the store is, one number a part. @throws ChatError `unavailable` */
  position(): Promise<Position>;
  /** Until the tail ends. @throws PositionLost */
  deliver(reading: Tail): Promise<void>;
  /** What beside the memory must begin again; null: nobody else writes the log, and a lost place is a defect. */
  readonly onLost: (() => void) | null;
}

export class Delivery {
  readonly #deps: Deps;
  #reading: Tail | undefined;
  #isStopped = false;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Before `run`. The memory may be older: the store has gone on while the log was being opened. */
  async begin(): Promise<void> {
    await this.#begin(() => undefined);
  }

  /**
   * Runs until `stop`.
   * @throws what is none of the failures that pass
   */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        return await this.#deps.deliver(this.#reading as Tail);
      } catch (error) {
        const { onLost } = this.#deps;
        if (!(error instanceof PositionLost) || onLost === null) throw error;
        this.#deps.tail.interrupt();
        await this.#begin(onLost);
      }
    }
  }

  /** Resolves when the memory has all that the store lacks; never where `stop` comes first. */
  async caughtUp(): Promise<void> {
    const { log, tail } = this.#deps;
    await this.#insist(async () => tail.reach(await log.readIndex()));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#reading?.return();
  }

  async #begin(restart: () => void): Promise<void> {
    const { log, tail, position } = this.#deps;
    const from = await this.#insist(position);
    if (from === undefined) return;
    restart();
    tail.restart(from, log.state().epoch);
    this.#reading = log.tail(from);
  }

  /** Tries until it is done; undefined once stopped. */
  async #insist<Result>(attempt: () => Promise<Result>): Promise<Result | undefined> {
    while (!this.#isStopped) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof ChatError && error.code === 'unavailable')) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    return undefined;
  }
}
