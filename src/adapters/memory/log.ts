// The log in memory, for tests and as the plainest reading of the port: the same laws, except that it survives only as
// long as the object that holds it (`kept`) is handed to the next log.
import { ChatError } from '../../errors.ts';
import type { Append, Appended, Change, Head, Log, LogState, Position, Receipt, Tail } from '../../ports/log.ts';
import { countsAsMessage, movesGuard, wireText } from '../../protocol/changes.ts';
import type { ConvId, Key, Millis, UserId } from '../../protocol/ids.ts';
import { Feed, feedTail } from '../feed.ts';

const MAX_PAGE = 512;

/** What outlives a log. Heads and receipts of trimmed changes stay here: no store stands behind this log. */
export interface KeptLog {
  readonly epoch: string;
  readonly heads: Map<ConvId, Head>;
  readonly receipts: Map<string, Receipt>;
  /** The untrimmed changes. */
  changes: Change[];
  trimmed: number;
}

export interface MemoryLogOptions {
  readonly kept?: KeptLog;
  /** Bytes of untrimmed wire text above which appends are refused. */
  readonly budgetBytes?: number;
  readonly now?: () => Millis;
}

export function keptLog(): KeptLog {
  return { epoch: crypto.randomUUID(), heads: new Map(), receipts: new Map(), changes: [], trimmed: 0 };
}

export async function openMemoryLog(options: MemoryLogOptions = {}): Promise<Log> {
  return new MemoryLog(options);
}

class MemoryLog implements Log {
  readonly #kept: KeptLog;
  readonly #budgetBytes: number;
  readonly #now: () => Millis;
  readonly #feed: Feed;
  #bytes: number;
  #closed = false;

  constructor({ kept = keptLog(), budgetBytes = Number.POSITIVE_INFINITY, now = Date.now }: MemoryLogOptions) {
    this.#kept = kept;
    this.#budgetBytes = budgetBytes;
    this.#now = now;
    this.#bytes = bytesOf(kept.changes);
    this.#feed = new Feed({
      epoch: 0,
      head: this.#head,
      trimmed: kept.trimmed,
      parts: 1,
      readPage: async (after) => this.#page(after),
    });
  }

  get #head(): number {
    return this.#kept.trimmed + this.#kept.changes.length;
  }

  async append(items: readonly Append[]): Promise<readonly Appended[]> {
    this.#refuseClosed();
    if (this.#bytes >= this.#budgetBytes) throw new ChatError('overloaded', { afterMs: 1_000 });
    const before = this.#kept.changes.length;
    const answers = items.map((item) => this.#appendItem(item));
    this.#feed.push(this.#kept.changes.slice(before));
    return answers;
  }

  #appendItem(item: Append): Appended {
    const { conv, from, key } = item;
    const { heads, receipts } = this.#kept;
    const receipt = key === null ? undefined : receipts.get(keyName(conv, from, key));
    if (receipt !== undefined) return { is: 'ok', dup: true, ...receipt };
    const head = heads.get(conv) ?? { seq: 0, n: 0, guard: 0, at: 0 };
    if (head.guard !== item.guard) return { is: 'moved', guard: head.guard };
    const first = this.#appendDrafts(item, head);
    if (key !== null) receipts.set(keyName(conv, from, key), first);
    return { is: 'ok', dup: false, ...first };
  }

  /** @returns the receipt of the first */
  #appendDrafts({ conv, from, key, drafts }: Append, before: Head): Receipt {
    const at = Math.max(this.#now(), before.at);
    let { seq, n: messages, guard } = before;
    const made = drafts.map(({ type, body }) => {
      seq++;
      const n = countsAsMessage(type) ? ++messages : 0;
      if (movesGuard(type)) guard = seq;
      const wire = wireText(type, conv, seq, n, from, at, key, body);
      return this.#keep({ part: 0, offset: this.#head + 1, conv, seq, n, type, from, at, key, wire });
    });
    this.#kept.heads.set(conv, { seq, n: messages, guard, at });
    return { seq: before.seq + 1, n: made[0]?.n ?? 0, at };
  }

  #keep(change: Change): Change {
    this.#kept.changes.push(change);
    this.#bytes += change.wire.length;
    return change;
  }

  async recall(conv: ConvId, user: UserId, key: Key): Promise<Receipt | null> {
    this.#refuseClosed();
    return this.#kept.receipts.get(keyName(conv, user, key)) ?? null;
  }

  tail(after: Position): Tail {
    return feedTail([this.#feed], after);
  }

  async readIndex(): Promise<Position> {
    this.#refuseClosed();
    return [this.#head];
  }

  state(): LogState {
    return { epoch: this.#kept.epoch, head: [this.#head], trimmed: [this.#kept.trimmed] };
  }

  sameEpoch(_conv: ConvId, epoch: string): boolean {
    return epoch === this.#kept.epoch;
  }

  async trim([upTo = 0]: Position): Promise<void> {
    this.#refuseClosed();
    const kept = this.#kept;
    const count = Math.min(upTo, this.#head) - kept.trimmed;
    if (count <= 0) return;
    this.#bytes -= bytesOf(kept.changes.splice(0, count));
    kept.trimmed += count;
    this.#feed.forget(kept.trimmed);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#feed.end();
  }

  #page(after: number): readonly Change[] | null {
    const { trimmed, changes } = this.#kept;
    return after < trimmed ? null : changes.slice(after - trimmed, after - trimmed + MAX_PAGE);
  }

  #refuseClosed(): void {
    if (this.#closed) throw new ChatError('unavailable');
  }
}

function keyName(conv: ConvId, user: UserId, key: Key): string {
  return `${conv} ${user} ${key}`;
}

function bytesOf(changes: readonly Change[]): number {
  return changes.reduce((sum, { wire }) => sum + wire.length, 0);
}
