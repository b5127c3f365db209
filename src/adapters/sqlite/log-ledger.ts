// Who has which number: the heads of conversations and the keys of untrimmed changes, in memory. Decides every
// append. Writes no file; forgets only what has been trimmed, and takes back a whole batch that failed.

import type { Head, Receipt } from '../../ports/log.ts';
import { type ChangeType, countsAsMessage, movesGuard, type parseChange, wireText } from '../../protocol/changes.ts';
import type { ColdStore } from './log-cold.ts';
import { type Commit, NUMBERS_PER_ITEM, VERDICT_DUP, VERDICT_MOVED, VERDICT_NEW } from './log-messages.ts';

/** What an untrimmed change costs beside its wire text: its row, its entry here, its key, its receipt. */
const CHANGE_OVERHEAD_BYTES = 320;

interface WarmHead extends Head {
  /** Offset of its last change. */
  readonly last: number;
  /** All its keys are here: no change of it has been trimmed, so the store cannot know more. */
  readonly whole: boolean;
}

interface Entry {
  readonly conv: string;
  readonly name: string | null;
  readonly bytes: number;
}

const NO_HEAD: WarmHead = { seq: 0, n: 0, guard: 0, at: 0, last: 0, whole: true };

export class Ledger {
  readonly #cold: ColdStore;
  readonly #heads = new Map<string, WarmHead>();
  readonly #receipts = new Map<string, Receipt>();
  /** One an untrimmed change, in the order of offsets. */
  readonly #entries: Entry[] = [];
  #head: number;
  #bytes = 0;

  /** Of the batch under way: heads as they were, to be put back in reverse order. */
  #undo: { readonly conv: string; readonly head: WarmHead | undefined }[] = [];
  #settled: { readonly entries: number; readonly head: number; readonly bytes: number };

  /** @param head offset of the last trimmed change; `replay` brings the ones after it */
  constructor(cold: ColdStore, head: number) {
    this.#cold = cold;
    this.#head = head;
    this.#settled = { entries: 0, head, bytes: 0 };
  }

  get head(): number {
    return this.#head;
  }

  /** Cost of all untrimmed changes. */
  get untrimmedBytes(): number {
    return this.#bytes;
  }

  /**
   * Takes in an untrimmed change when the log is opened. The store may already hold it and later ones of its
   * conversation: then its head stands.
   */
  replay(change: ReturnType<typeof parseChange>, wire: string): void {
    const { conv, seq, at } = change;
    const before = this.#headOf(conv);
    const n = change.t === 'message' ? change.n : 0;
    const name = change.key === undefined ? null : keyName(conv, change.from, change.key);
    if (seq > before.seq + 1) throw new Error(`conversation ${conv}: ${seq} follows ${before.seq}`);
    const whole = seq === 1 || (before.whole && before.last > 0);
    const known = seq <= before.seq;
    const after = known ? before : { seq, n: n || before.n, guard: movesGuard(change.t) ? seq : before.guard, at };
    this.#enter({ conv, name, bytes: costOf(wire) }, { ...after, last: this.#head + 1, whole }, { seq, n, at });
  }

  /**
   * Decides the items in order, each seeing the ones before it, and hands the wire text of every new change to `write`.
   * @returns four numbers an item (log-messages.ts)
   */
  decide(batch: Commit, write: (offset: number, wire: string) => void): Float64Array {
    const numbers = new Float64Array(batch.convs.length * NUMBERS_PER_ITEM);
    let draft = 0;
    for (let item = 0; item < batch.convs.length; item++) {
      this.#decideItem(batch, item, draft, numbers, write);
      draft += batch.counts[item] as number;
    }
    return numbers;
  }

  // One function, five parameters: an object an item would cost what the typed arrays save.
  #decideItem(
    batch: Commit,
    item: number,
    draft: number,
    numbers: Float64Array,
    write: (offset: number, wire: string) => void,
  ): void {
    const conv = batch.convs[item] as string;
    const user = batch.users[item] as string;
    const key = batch.keys[item] as string | null;
    const slot = item * NUMBERS_PER_ITEM;
    const head = this.#headOf(conv);
    const name = key === null ? null : keyName(conv, user, key);
    const receipt = name === null ? undefined : this.#receiptOf(head, name, conv, user, key as string);
    if (receipt !== undefined) {
      numbers[slot] = VERDICT_DUP;
      numbers[slot + 1] = receipt.seq;
      numbers[slot + 2] = receipt.n;
      numbers[slot + 3] = receipt.at;
    } else if (head.guard !== batch.guards[item]) {
      numbers[slot] = VERDICT_MOVED;
      numbers[slot + 1] = head.guard;
    } else {
      const at = Math.max(batch.now, head.at);
      numbers[slot] = VERDICT_NEW;
      numbers[slot + 1] = head.seq + 1;
      numbers[slot + 2] = head.n;
      numbers[slot + 3] = at;
      let before = head;
      const end = draft + (batch.counts[item] as number);
      for (let index = draft; index < end; index++) {
        const type = batch.types[index] as ChangeType;
        const seq = before.seq + 1;
        const n = countsAsMessage(type) ? before.n + 1 : 0;
        const wire = wireText(type, conv, seq, n, user, at, key, batch.bodies[index] as string);
        const guard = movesGuard(type) ? seq : before.guard;
        const after = { seq, n: n || before.n, guard, at, last: this.#head + 1, whole: before.whole };
        this.#enter({ conv, name, bytes: costOf(wire) }, after, { seq, n, at });
        write(this.#head, wire);
        before = after;
      }
    }
  }

  #enter(entry: Entry, head: WarmHead, receipt: Receipt): void {
    this.#undo.push({ conv: entry.conv, head: this.#heads.get(entry.conv) });
    this.#heads.set(entry.conv, head);
    this.#entries.push(entry);
    if (entry.name !== null) this.#receipts.set(entry.name, receipt);
    this.#head = head.last;
    this.#bytes += entry.bytes;
  }

  /** The batch is on disk. */
  settle(): void {
    this.#undo = [];
    this.#settled = { entries: this.#entries.length, head: this.#head, bytes: this.#bytes };
  }

  /** The batch is not: everything is as it was before it. */
  takeBack(): void {
    for (const { conv, head } of this.#undo.reverse()) {
      if (head === undefined) this.#heads.delete(conv);
      else this.#heads.set(conv, head);
    }
    for (const { name } of this.#entries.splice(this.#settled.entries)) if (name !== null) this.#receipts.delete(name);
    this.#head = this.#settled.head;
    this.#bytes = this.#settled.bytes;
    this.#undo = [];
  }

  /** The first `count` untrimmed changes have been trimmed; the store answers for them. */
  forget(count: number): void {
    const upTo = this.#head - this.#entries.length + count;
    for (const { conv, name, bytes } of this.#entries.splice(0, count)) {
      this.#bytes -= bytes;
      if (name !== null) this.#receipts.delete(name);
      const head = this.#heads.get(conv);
      if (head === undefined) continue;
      if (head.last <= upTo) this.#heads.delete(conv);
      else if (head.whole) this.#heads.set(conv, { ...head, whole: false });
    }
    this.settle();
  }

  recall(conv: string, user: string, key: string): Receipt | null {
    return this.#receiptOf(this.#headOf(conv), keyName(conv, user, key), conv, user, key) ?? null;
  }

  #headOf(conv: string): WarmHead {
    const warm = this.#heads.get(conv);
    if (warm !== undefined) return warm;
    const cold = this.#cold.head(conv);
    return cold === undefined ? NO_HEAD : { ...cold, last: 0, whole: false };
  }

  #receiptOf(head: WarmHead, name: string, conv: string, user: string, key: string): Receipt | undefined {
    return this.#receipts.get(name) ?? (head.whole ? undefined : this.#cold.receipt(conv, user, key));
  }
}

/** Ids and keys contain no spaces. */
function keyName(conv: string, user: string, key: string): string {
  return `${conv} ${user} ${key}`;
}

function costOf(wire: string): number {
  return Buffer.byteLength(wire) + CHANGE_OVERHEAD_BYTES;
}
