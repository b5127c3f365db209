// The heads of conversations as this process left them when it last wrote to their part. They are true only for as long as
// the part has had no batch since, which the part's document tells (`batches`): so they are asked for with that number,
// inside the transaction that holds the part. Bounded: the heads used longest ago are forgotten.
import type { Head } from '../../ports/log.ts';
import type { ConvId } from '../../protocol/ids.ts';

const MAX_HEADS = 10_000;
const NO_HEADS: ReadonlyMap<ConvId, Head> = new Map();

export class PartMemory {
  #batches: number | undefined;
  readonly #heads = new Map<ConvId, Head>();

  /** How many batches the part had after the last one of this process. */
  get batches(): number | undefined {
    return this.#batches;
  }

  /** @param batches of the part before the one that is under way */
  headsAt(batches: number): ReadonlyMap<ConvId, Head> {
    return this.#batches === batches ? this.#heads : NO_HEADS;
  }

  /**
   * After a batch has been committed.
   * @param before batches of the part before it
   */
  remember(before: number, heads: ReadonlyMap<ConvId, Head>): void {
    if (this.#batches !== before) this.#heads.clear();
    this.#batches = before + 1;
    for (const [conv, head] of heads) {
      this.#heads.delete(conv);
      this.#heads.set(conv, head);
    }
    for (const conv of this.#heads.keys()) {
      if (this.#heads.size <= MAX_HEADS) break;
      this.#heads.delete(conv);
    }
  }
}
