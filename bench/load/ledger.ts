// Counts every delivery by connection, conversation and seq. It knows a repeat from a late one, and after a
// reckoning with the conversations' heads it knows what never came. It never forgives: a gap is a gap.

/** What one connection has seen of one conversation. */
export class Cursor {
  last: number;
  /** Numbers passed over, which may still come late. */
  missing: Set<number> | null = null;

  constructor(last: number) {
    this.last = last;
  }
}

export class Ledger {
  delivered = 0;
  /** Pulled by `sync` instead of pushed. */
  pulled = 0;
  repeated = 0;
  reordered = 0;
  lost = 0;
  readonly #heads = new Map<string, number>();

  see(cursor: Cursor, seq: number): void {
    this.delivered++;
    if (seq === cursor.last + 1) cursor.last = seq;
    else this.#seeOutOfTurn(cursor, seq);
  }

  /** As `see`, of a page that was asked for. */
  pull(cursor: Cursor, seq: number): void {
    this.see(cursor, seq);
    this.delivered--;
    this.pulled++;
  }

  /** A page was said to reach so far: what of it has not come is missing. */
  cover(cursor: Cursor, to: number): void {
    for (let gap = cursor.last + 1; gap <= to; gap++) {
      cursor.missing ??= new Set();
      cursor.missing.add(gap);
      cursor.last = gap;
    }
  }

  #seeOutOfTurn(cursor: Cursor, seq: number): void {
    if (seq > cursor.last) {
      cursor.missing ??= new Set();
      for (let gap = cursor.last + 1; gap < seq; gap++) cursor.missing.add(gap);
      cursor.last = seq;
    } else if (cursor.missing?.delete(seq)) {
      this.reordered++;
    } else {
      this.repeated++;
    }
  }

  /** A number was given in a conversation: every connection in it has to see it. */
  given(conv: string, seq: number): void {
    if (seq > (this.#heads.get(conv) ?? 0)) this.#heads.set(conv, seq);
  }

  heads(): Record<string, number> {
    return Object.fromEntries(this.#heads);
  }

  /** How much has yet to come. */
  owing(cursors: Iterable<readonly [string, Cursor]>, heads: Readonly<Record<string, number>>): number {
    let owing = 0;
    for (const [conv, cursor] of cursors) {
      owing += (cursor.missing?.size ?? 0) + Math.max(0, (heads[conv] ?? cursor.last) - cursor.last);
    }
    return owing;
  }

  /** Counts what never came, once; later deliveries are judged from the heads on. */
  reckon(cursors: Iterable<readonly [string, Cursor]>, heads: Readonly<Record<string, number>>): void {
    for (const [conv, cursor] of cursors) {
      const head = heads[conv] ?? cursor.last;
      this.lost += (cursor.missing?.size ?? 0) + Math.max(0, head - cursor.last);
      cursor.missing = null;
      cursor.last = Math.max(cursor.last, head);
    }
  }
}
