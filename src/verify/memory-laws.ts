// The laws between what the log's server remembers beside the changes and the changes themselves: heads, from which numbers
// are given, and receipts, by which repeats are known. Each names a change, and a change never moves.
import type { Audit, ChangeRow, LogEntry, LogHead, LogMemory, NamedReceipt } from '../ports/audit.ts';
import type { Change } from '../ports/log.ts';
import type { ConvId, Seq } from '../protocol/ids.ts';
import type { Report } from './report.ts';

const HEADS_AT_ONCE = 512;

/** Each head is that of a change that is stored, or in the log still. */
export async function checkHeads(audit: Audit, memory: LogMemory, part: number, report: Report): Promise<void> {
  const inLog = new Map<number, LogHead>();
  for await (const heads of memory.heads(part)) {
    for (const head of heads) {
      if (audit.log.partOf(head.conv) !== part)
        report.add('heads', { part, conv: head.conv }, 'it belongs to another part');
    }
    for (const head of await compareStored(audit, heads, part, report)) inLog.set(head.offset, head);
  }
  if (inLog.size === 0) return;
  await audit.log.look();
  for await (const page of audit.log.entries(part)) {
    for (const { offset, change } of page) {
      const head = inLog.get(offset);
      if (head === undefined || change === null || change.conv !== head.conv || change.seq !== head.seq) continue;
      inLog.delete(offset);
      if (change.at !== head.at) tellHead(report, part, head, ['at']);
    }
  }
  // A change leaves the log only once it is stored.
  for (const head of await compareStored(audit, [...inLog.values()], part, report)) {
    report.add('heads', { part, conv: head.conv, seq: head.seq }, 'the log numbers on from it, and it does not exist');
  }
}

/** @returns those whose change is not stored */
async function compareStored(
  audit: Audit,
  heads: readonly LogHead[],
  part: number,
  report: Report,
): Promise<readonly LogHead[]> {
  const missing: LogHead[] = [];
  for (let start = 0; start < heads.length; start += HEADS_AT_ONCE) {
    const some = heads.slice(start, start + HEADS_AT_ONCE);
    const rows = await audit.store.stored(some);
    const byConv = new Map(rows.map((row) => [row.conv, row]));
    for (const head of some) {
      const row = byConv.get(head.conv);
      if (row === undefined) missing.push(head);
      else compareHead(head, row, part, report);
    }
  }
  return missing;
}

function compareHead(head: LogHead, { at, after, seq }: ChangeRow, part: number, report: Report): void {
  const right = { at, seq, ...after };
  const names = (Object.keys(right) as (keyof typeof right)[]).filter((name) => right[name] !== head[name]);
  if (names.length > 0) tellHead(report, part, head, names);
}

function tellHead(report: Report, part: number, { conv, seq }: LogHead, names: readonly string[]): void {
  report.add(
    'heads',
    { part, conv, seq },
    `the head that the log numbers on from differs from it in ${names.join(', ')}`,
  );
}

/**
 * No head is behind a change that was seen before it was asked for.
 * @param mayLack whether a conversation can be without one: silent for long, its changes stored
 */
export async function checkReached(
  memory: LogMemory,
  seen: ReadonlyMap<ConvId, Seq>,
  report: Report,
  onMissing: (conv: ConvId) => void,
): Promise<void> {
  const heads = await memory.headsOf([...seen.keys()]);
  for (const [conv, seq] of seen) {
    const head = heads.get(conv);
    if (head === undefined) onMissing(conv);
    else if (head.seq < seq)
      report.add('heads', { conv, seq }, `it exists, and the log would number on from ${head.seq}`);
  }
}

/** A receipt that has to be there is, and says what its change is. */
export async function checkReceipts(memory: LogMemory, page: readonly LogEntry[], report: Report): Promise<void> {
  const receipts = await memory.receiptsOf(page);
  for (const [index, { change }] of page.entries()) {
    const receipt = receipts[index];
    if (receipt === undefined || change === null) continue;
    const { conv, seq, n, at } = change;
    if (receipt === null)
      report.add('keys', { conv, seq }, 'the receipt of its key is gone, and a repeat would be written');
    else if (receipt.seq !== seq || receipt.n !== n || receipt.at !== at)
      report.add('keys', { conv, seq }, `the receipt of its key says ${receipt.seq} ${receipt.n} ${receipt.at}`);
  }
}

/** Receipts that were seen before the changes they are of. */
export class SeenReceipts {
  readonly #memory: LogMemory;
  /** By what they say, which is seldom said twice. */
  readonly #waiting = new Map<string, { readonly part: number; readonly receipt: NamedReceipt }[]>();

  constructor(memory: LogMemory) {
    this.#memory = memory;
  }

  add(part: number, receipts: readonly NamedReceipt[]): void {
    for (const receipt of receipts) {
      const said = saidBy(receipt);
      const others = this.#waiting.get(said);
      if (others === undefined) this.#waiting.set(said, [{ part, receipt }]);
      else others.push({ part, receipt });
    }
  }

  /** A change that exists. One that was set aside has lost its key, and can be any of its numbers. */
  meet(change: Pick<Change, 'conv' | 'from' | 'key' | 'seq' | 'n' | 'at'>): void {
    if (this.#waiting.size === 0) return;
    const said = saidBy(change);
    const waiting = this.#waiting.get(said);
    if (waiting === undefined) return;
    const name = change.key === null ? null : this.#memory.nameOf(change);
    const others = waiting.filter(({ receipt }) => name !== null && receipt.name !== name);
    if (others.length === 0) this.#waiting.delete(said);
    else this.#waiting.set(said, others);
  }

  end(report: Report): void {
    for (const { part, receipt } of [...this.#waiting.values()].flat()) {
      const { seq, n, at } = receipt;
      report.add('keys', { part }, `a receipt says ${seq} ${n} ${at}, and no change of its key is that`);
    }
  }
}

function saidBy({ seq, n, at }: Pick<NamedReceipt, 'seq' | 'n' | 'at'>): string {
  return `${seq} ${n} ${at}`;
}
