// What differs between the views and what they have to be: told at once, or mended first, so many at a time.
import type { Mend, StoreAudit } from '../ports/audit.ts';
import type { Report } from './report.ts';
import type { Difference } from './view-laws.ts';

/** Of one transaction, and held in memory until then. */
const MENDS_AT_ONCE = 1_000;
const CHARS_AT_ONCE = 4_194_304;

export class Differences {
  readonly #store: StoreAudit | null;
  readonly #report: Report;
  #waiting: (Difference & { readonly mend: Mend })[] = [];
  #chars = 0;

  /** @param store to be mended; null: nothing is */
  constructor(store: StoreAudit | null, report: Report) {
    this.#store = store;
    this.#report = report;
  }

  add(difference: Difference): void {
    const { law, place, text, mend } = difference;
    if (this.#store === null || mend === undefined) {
      this.#report.add(law, place, text);
      return;
    }
    this.#waiting.push({ ...difference, mend });
    if (mend.is !== 'mark' && mend.row !== null && 'state' in mend.row) this.#chars += mend.row.state?.length ?? 0;
  }

  /** To be called between two pages. */
  async pause(): Promise<void> {
    if (this.#waiting.length >= MENDS_AT_ONCE || this.#chars >= CHARS_AT_ONCE) await this.flush();
  }

  async flush(): Promise<void> {
    const mends = this.#waiting;
    if (mends.length === 0) return;
    this.#waiting = [];
    this.#chars = 0;
    await this.#store?.mend(mends.map(({ mend }) => mend));
    for (const { law, place, text } of mends) this.#report.add(law, place, text, true);
  }
}
