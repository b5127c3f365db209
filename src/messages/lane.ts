// A lane is whoever's writes keep their order (promise 3): a connection, or one HTTP request. What can be decided at once
// goes straight on, many in flight; the first write that must wait (a state to look up, a guard that moved) holds back
// those behind it, and each of these goes on when everything before it has been answered.

/** Lets a held write go on; never rejects. What it gives is called once the write has been answered. */
type Proceed<Held> = (write: Held) => Promise<(() => void) | null>;

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

  /** Keeps a write in its place; `proceed` is called for each in turn. */
  holdBack(write: Held, proceed: Proceed<Held>): void {
    if (this.#held === null) {
      this.#held = [write];
      void this.#release(this.#held, proceed);
      return;
    }
    const later = this.#held.findIndex(({ order }) => order > write.order);
    this.#held.splice(later === -1 ? this.#held.length : later, 0, write);
  }

  async #release(held: Held[], proceed: Proceed<Held>): Promise<void> {
    for (;;) {
      if (this.#inFlight > 0) await this.#idle();
      const next = held.shift();
      if (next === undefined) break;
      const onAnswered = await proceed(next);
      if (onAnswered === null) continue;
      if (this.#inFlight > 0) await this.#idle();
      onAnswered();
    }
    this.#held = null;
  }

  #idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }
}
