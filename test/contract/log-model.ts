// The log as its laws say it, for random runs: what each answer must be, and what a reader must see. Throws on the
// first difference.
import assert from 'node:assert/strict';
import type { Append, Appended, Change, LogState, Receipt } from '../../src/ports/log.ts';
import { countsAsMessage, movesGuard, wireText } from '../../src/protocol/changes.ts';
import type { ConvId } from '../../src/protocol/ids.ts';

export class LogModel {
  readonly changes: Change[] = [];
  #trimmed = 0;
  readonly #heads = new Map<ConvId, { seq: number; n: number; guard: number; at: number }>();
  readonly #receipts = new Map<string, Receipt>();

  guardOf(conv: ConvId): number {
    return this.#heads.get(conv)?.guard ?? 0;
  }

  trim(upTo: number): void {
    this.#trimmed = Math.max(this.#trimmed, upTo);
  }

  /**
   * Takes from what was made the time of each change and, between conversations, the order; all else must be as the laws
   * say.
   */
  check(items: readonly Append[], answers: readonly Appended[], made: readonly Change[]): void {
    const before = this.changes.length;
    const places = new Map(made.map((change) => [`${change.conv} ${change.seq}`, change]));
    const expected: Change[] = [];
    assert.deepEqual(
      answers,
      items.map((item) => this.#append(item, expected, (seq) => places.get(`${item.conv} ${seq}`))),
    );
    this.changes.push(...expected.sort((one, other) => one.offset - other.offset));
    assert.deepEqual(made, this.changes.slice(before));
    const offsets = made.map(({ offset }) => offset);
    assert.deepEqual(
      offsets,
      Array.from(offsets, (_, index) => before + 1 + index),
    );
  }

  checkState(state: LogState): void {
    assert.deepEqual([state.head, state.trimmed], [[this.changes.length], [this.#trimmed]]);
  }

  checkRest(untrimmed: readonly Change[]): void {
    assert.deepEqual(untrimmed, this.changes.slice(this.#trimmed));
  }

  #append(item: Append, into: Change[], madeOf: (seq: number) => Change | undefined): Appended {
    const { conv, from, key } = item;
    const known = key === null ? undefined : this.#receipts.get(`${conv} ${from} ${key}`);
    if (known !== undefined) return { is: 'ok', dup: true, ...known };
    let { seq, n, guard, at: last } = this.#heads.get(conv) ?? { seq: 0, n: 0, guard: 0, at: 0 };
    if (guard !== item.guard) return { is: 'moved', guard };
    const at = madeOf(seq + 1)?.at ?? 0;
    assert.ok(at >= last, `time went back in ${conv}`);
    const receipt = { seq: seq + 1, n: countsAsMessage(item.drafts[0]?.type ?? 'conv') ? n + 1 : 0, at };
    for (const { type, body } of item.drafts) {
      seq++;
      const number = countsAsMessage(type) ? ++n : 0;
      if (movesGuard(type)) guard = seq;
      const wire = wireText(type, conv, seq, number, from, at, key, body);
      const offset = madeOf(seq)?.offset ?? 0;
      into.push({ part: 0, offset, conv, seq, n: number, type, from, at, key, wire });
    }
    last = at;
    this.#heads.set(conv, { seq, n, guard, at: last });
    if (key !== null) this.#receipts.set(`${conv} ${from} ${key}`, receipt);
    return { is: 'ok', dup: false, ...receipt };
  }
}
