// A lane is whoever's writes keep their order (promise 3): a connection, or one HTTP request. What can be decided at once
// goes straight on, many in flight; the first write that must wait (a state to look up, a guard that moved) holds back
// those behind it, and each of these goes on when everything before it has been answered.

interface Ordered {
  /** Place in the lane, ascending. */
  readonly order: number;
}

export class Lane<Held extends Ordered = Ordered> {
  #inFlight = 0;
  /** What the directory had counted when the oldest in flight was authorised. */
  #guardMoves = 0;
  #held: Held[] | null = null;
  #onIdle: (() => void) | null = null;

  /**
   * Whether a new write must not overtake: something is held back already, or something in flight may come back because
   * memberships or settings have changed since it was authorised.
   */
  isHolding(guardMoves: number): boolean {
    return this.#held !== null || (this.#inFlight > 0 && this.#guardMoves !== guardMoves);
  }

  enter(guardMoves: number): void {
    if (this.#inFlight++ === 0) this.#guardMoves = guardMoves;
  }

  leave(): void {
    if (--this.#inFlight > 0 || this.#onIdle === null) return;
    const onIdle = this.#onIdle;
    this.#onIdle = null;
    onIdle();
  }

  /** Keeps a write in its place; `proceed`, which never rejects, is called for each in turn. */
  holdBack(write: Held, proceed: (write: Held) => Promise<void>): void {
    if (this.#held === null) {
      this.#held = [write];
      void this.#release(this.#held, proceed);
      return;
    }
    const later = this.#held.findIndex(({ order }) => order > write.order);
    this.#held.splice(later === -1 ? this.#held.length : later, 0, write);
  }

  async #release(held: Held[], proceed: (write: Held) => Promise<void>): Promise<void> {
    for (;;) {
      if (this.#inFlight > 0) {
        await new Promise<void>((resolve) => {
          this.#onIdle = resolve;
        });
      }
      const next = held.shift();
      if (next === undefined) break;
      await proceed(next);
    }
    this.#held = null;
  }
}
