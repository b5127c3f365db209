// What a tap test is to the kit, outside of tap: what was started is ended again, last first, and what failed is kept.
import { isDeepStrictEqual } from 'node:util';

const open = new Set<Scope>();

/** For who is interrupted: nothing stays behind. */
export async function endAll(): Promise<void> {
  await Promise.all([...open].map((scope) => scope.end()));
}

export class Scope {
  readonly failures: string[] = [];
  readonly #ends: (() => unknown)[] = [];
  #isOver = false;

  constructor() {
    open.add(this);
  }

  teardown(end: () => unknown): void {
    this.#ends.push(end);
  }

  fail(text: string): void {
    if (!this.#isOver) this.failures.push(text);
  }

  comment(): void {}

  same(found: unknown, wanted: unknown, text: string): void {
    if (isDeepStrictEqual(found, wanted)) return;
    for (const line of Array.isArray(found) ? found : [JSON.stringify(found)]) this.fail(`${text}: ${line}`);
  }

  /** What cannot be ended is not worth the rest staying behind. */
  async end(): Promise<void> {
    this.#isOver = true;
    for (let end = this.#ends.pop(); end !== undefined; end = this.#ends.pop()) {
      await Promise.resolve()
        .then(end)
        .catch(() => undefined);
    }
    open.delete(this);
  }
}
