// Admission: how many connections are greeted at once. When a node ends, all of its clients come to the others in the same
// second; each greeting holds what it asked for until it is answered, and the rest wait for their turn in order of arrival.

export class Admission {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** @param most greeted at once */
  constructor(most: number) {
    this.#free = most;
  }

  /** Resolves when it is one's turn; it lasts until `leave`. */
  enter(): Promise<void> {
    if (this.#free === 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#free--;
    return Promise.resolve();
  }

  /** One's turn goes to whoever has waited longest. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
