// Changes of members and settings take turns in their conversation. Side by side the log would take one of a batch and
// refuse the others, and all that was said meanwhile (law 11): a thousand who join at once would be half a million refusals.
import type { ConvId } from '../protocol/ids.ts';

export class Turns {
  /** Who waits, by conversation; there is an entry while somebody has the turn. */
  readonly #waiting = new Map<ConvId, (() => void)[]>();

  /**
   * @param isNext before all that wait
   * @returns what ends the turn
   */
  async take(conv: ConvId, isNext: boolean): Promise<() => void> {
    const waiting = this.#waiting.get(conv);
    if (waiting === undefined) this.#waiting.set(conv, []);
    else await new Promise<void>((resolve) => (isNext ? waiting.unshift(resolve) : waiting.push(resolve)));
    return () => this.#end(conv);
  }

  /** The next one comes a turn of the event loop later: messages that the last one moved go on before it. */
  #end(conv: ConvId): void {
    const next = this.#waiting.get(conv)?.shift();
    if (next === undefined) this.#waiting.delete(conv);
    else setImmediate(next);
  }
}
