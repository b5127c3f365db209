// How long to wait before something that keeps ending is started again. Owns no timer: the caller says how long it lived.

const FIRST_MS = 100;
const MAX_MS = 10_000;
/** What lived this long was well; its end has nothing to do with the ends before. */
const STEADY_MS = 60_000;

export class Backoff {
  #nextMs = FIRST_MS;

  /** @returns ms to wait, twice as many each time, until one life was long */
  after(livedMs: number): number {
    if (livedMs >= STEADY_MS) this.#nextMs = FIRST_MS;
    const waitMs = this.#nextMs;
    this.#nextMs = Math.min(waitMs * 2, MAX_MS);
    return waitMs;
  }
}
