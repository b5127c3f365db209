// Who has which number: the heads of conversations and the keys of untrimmed changes, in memory. Decides every
// append. Writes no file; forgets only what has been trimmed, and takes back a whole batch that failed.

import type { Head, Receipt } from '../../ports/log.ts';
import { type ChangeBody, type ChangeType, countsAsMessage, movesGuard, wireText } from '../../protocol/changes.ts';
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

/** One item of a batch; its drafts are `count` of the batch's, from `draft` on. */
interface Item {
  readonly conv: string;
  readonly user: string;
  readonly key: string | null;
  readonly name: string | null;
  readonly draft: number;
  readonly count: number;
}

/** Takes the wire text of a new change. */
type Write = (offset: number, wire: string) => void;

export class Ledger {
  readonly #cold: ColdStore;
  readonly #write: Write;
  readonly #heads = new Map<string, WarmHead>();
  readonly #receipts = new Map<string, Receipt>();
  /** One an untrimmed change, in the order of offsets. */
  readonly #entries: Entry[] = [];
  #head: number;
  #bytes = 0;

  /** Of the batch under way: heads as they were, to be put back in reverse order. */
  #undo: { readonly conv: string; readonly head: WarmHead | undefined }[] = [];
  #settled: { readonly entries: number; readonly head: number; readonly bytes: number };

  /** @param trimmed offset of the last trimmed change; `replay` brings the ones after it */
  constructor(cold: ColdStore, trimmed: number, write: Write) {
    this.#cold = cold;
    this.#write = write;
    this.#head = trimmed;
    this.#settled = { entries: 0, head: trimmed, bytes: 0 };
  }

  /** Offset of the last change. */
  get head(): number {
    return this.#head;
  }

  /** Cost of all untrimmed changes. */
  get untrimmedBytes(): number {
    return this.#bytes;
  }

  /**
   * Takes in an untrimmed change when the log is opened. The store may hold it and later ones of its conversation
   * already; by the last of them the head is the same as if it did not.
   */
  replay(change: ChangeBody, wire: string): void {
    const { conv, from, seq, at, key } = change;
    const before = this.#headOf(conv);
    if (seq > before.seq + 1) throw new Error(`conversation ${conv}: ${seq} follows ${before.seq}`);
    const n = change.t === 'message' ? change.n : 0;
    const guard = movesGuard(change.t) ? seq : before.guard;
    const name = key === undefined ? null : keyName(conv, from, key);
    const whole = seq === 1 || (before.whole && before.last > 0);
    const head = { seq, n: n || before.n, guard, at, last: this.#head + 1, whole };
    this.#enter({ conv, name, bytes: costOf(wire) }, head, { seq, n, at });
  }

  /**
   * Decides the items in order, each seeing the ones before it, and writes the new changes.
   * @returns four numbers an item (log-messages.ts)
   */
  decide(batch: Commit): Float64Array {
    const numbers = new Float64Array(batch.convs.length * NUMBERS_PER_ITEM);
    let draft = 0;
    for (let index = 0; index < batch.convs.length; index++) {
      const item = itemAt(batch, index, draft);
      numbers.set(this.#decideItem(batch, item, batch.guards[index] as number), index * NUMBERS_PER_ITEM);
      draft += item.count;
    }
    return numbers;
  }

  #decideItem(batch: Commit, item: Item, guard: number): readonly number[] {
    const head = this.#headOf(item.conv);
    const receipt = this.#receiptOf(head, item);
    if (receipt !== undefined) return [VERDICT_DUP, receipt.seq, receipt.n, receipt.at];
    if (head.guard !== guard) return [VERDICT_MOVED, head.guard];
    const at = Math.max(batch.now, head.at);
    this.#append(batch, item, head, at);
    return [VERDICT_NEW, head.seq + 1, head.n, at];
  }

  #append(batch: Commit, { conv, user, key, name, draft, count }: Item, head: WarmHead, at: number): void {
    let { seq, n: messages, guard } = head;
    for (let index = draft; index < draft + count; index++) {
      const type = batch.types[index] as ChangeType;
      seq++;
      const n = countsAsMessage(type) ? ++messages : 0;
      if (movesGuard(type)) guard = seq;
      const wire = wireText(type, conv, seq, n, user, at, key, batch.bodies[index] as string);
      const after = { seq, n: messages, guard, at, last: this.#head + 1, whole: head.whole };
      this.#enter({ conv, name, bytes: costOf(wire) }, after, { seq, n, at });
      this.#write(this.#head, wire);
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

  /** The first `count` untrimmed changes have been trimmed: the store answers for them from now on. */
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
    const item = { conv, user, key, name: keyName(conv, user, key), draft: 0, count: 0 };
    return this.#receiptOf(this.#headOf(conv), item) ?? null;
  }

  #headOf(conv: string): WarmHead {
    const warm = this.#heads.get(conv);
    if (warm !== undefined) return warm;
    const cold = this.#cold.head(conv);
    return cold === undefined ? NO_HEAD : { ...cold, last: 0, whole: false };
  }

  #receiptOf(head: WarmHead, { conv, user, key, name }: Item): Receipt | undefined {
    if (key === null || name === null) return undefined;
    return this.#receipts.get(name) ?? (head.whole ? undefined : this.#cold.receipt(conv, user, key));
  }
}

function itemAt(batch: Commit, index: number, draft: number): Item {
  const conv = batch.convs[index] as string;
  const user = batch.users[index] as string;
  const key = batch.keys[index] as string | null;
  const name = key === null ? null : keyName(conv, user, key);
  return { conv, user, key, name, draft, count: batch.counts[index] as number };
}

/** Ids and keys contain no spaces. */
function keyName(conv: string, user: string, key: string): string {
  return `${conv} ${user} ${key}`;
}

function costOf(wire: string): number {
  return Buffer.byteLength(wire) + CHANGE_OVERHEAD_BYTES;
}
