// Whether something is worth asking. After a failure it is left alone but for one small question a second, until that is
// answered: nobody waits for what does not answer, and nothing piles up in front of it.
import type { Clock } from '../../ports/clock.ts';
import type { Millis } from '../../protocol/ids.ts';

const PROBE_EVERY_MS = 1_000;

export interface CircuitOptions {
  readonly clock: Clock;
  /** The small question. */
  probe(): Promise<unknown>;
  /** Told once for any number of failures until it answers again. */
  onFault(error: unknown): void;
}

export class Circuit {
  readonly #options: CircuitOptions;
  #isOpen = false;
  #isProbing = false;
  #probedMs: Millis = 0;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  /** The answer; undefined where none is to be had now. Never rejects. */
  async ask<Answer>(question: () => Promise<Answer>): Promise<Answer | undefined> {
    if (this.#isOpen) return void this.#probe();
    try {
      return await question();
    } catch (error) {
      this.#onFailed(error);
      return undefined;
    }
  }

  #onFailed(error: unknown): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#probedMs = this.#options.clock.monotonic();
    this.#options.onFault(error);
  }

  #probe(): void {
    const now = this.#options.clock.monotonic();
    if (this.#isProbing || now - this.#probedMs < PROBE_EVERY_MS) return;
    this.#isProbing = true;
    this.#probedMs = now;
    void this.#options.probe().then(
      () => this.#onProbed(false),
      () => this.#onProbed(true),
    );
  }

  #onProbed(isOpen: boolean): void {
    this.#isProbing = false;
    this.#isOpen = isOpen;
  }
}
