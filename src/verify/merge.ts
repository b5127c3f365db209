// Two sorted streams of rows side by side.
import type { Rows } from '../ports/audit.ts';

class Cursor<Row> {
  readonly #pages: AsyncIterator<readonly Row[]>;
  #page: readonly Row[] = [];
  #place = 0;

  constructor(rows: Rows<Row>) {
    this.#pages = rows[Symbol.asyncIterator]();
  }

  get current(): Row | undefined {
    return this.#page[this.#place];
  }

  next(): void {
    this.#place++;
  }

  /** @returns whether there is a current row */
  async fill(): Promise<boolean> {
    while (this.#place >= this.#page.length) {
      const { done, value } = await this.#pages.next();
      if (done === true) return false;
      this.#page = value;
      this.#place = 0;
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#pages.return?.();
  }
}

export type Order<Row> = (one: Row, other: Row) => number;

/** By conversation, then by each of the names; ids are ASCII, so that every store has them in this order. */
export function orderBy<Row extends object>(...names: readonly (keyof Row)[]): Order<Row> {
  return (one, other) => {
    for (const name of names) {
      if (one[name] < other[name]) return -1;
      if (one[name] > other[name]) return 1;
    }
    return 0;
  };
}

/**
 * Calls with the rows of both that have the same place, and with those that only one has.
 * @param pause waited for between two pages
 */
export async function side<Row>(
  left: Rows<Row>,
  right: Rows<Row>,
  order: Order<Row>,
  call: (left: Row | undefined, right: Row | undefined) => void,
  pause: () => Promise<void>,
): Promise<void> {
  const [one, other] = [new Cursor(left), new Cursor(right)];
  try {
    for (;;) {
      const [hasOne, hasOther] = [await one.fill(), await other.fill()];
      if (!hasOne && !hasOther) return;
      stepThrough(one, other, order, call);
      await pause();
    }
  } finally {
    await one.close();
    await other.close();
  }
}

/** As far as the pages go that are there. */
function stepThrough<Row>(
  one: Cursor<Row>,
  other: Cursor<Row>,
  order: Order<Row>,
  call: (left: Row | undefined, right: Row | undefined) => void,
): void {
  do {
    const [left, right] = [one.current, other.current];
    const place = left === undefined ? 1 : right === undefined ? -1 : order(left, right);
    call(place <= 0 ? left : undefined, place >= 0 ? right : undefined);
    if (place <= 0) one.next();
    if (place >= 0) other.next();
  } while (one.current !== undefined && other.current !== undefined);
}
