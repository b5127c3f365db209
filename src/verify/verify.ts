// Whether log, store and watermark agree. Read from the top it is the order of the reads, which the laws rest on: receipts,
// the store's totals, the log, the store's facts, the log's entries, what its server remembers, then the store from one end
// to the other. Mends views where it is asked to, and nothing else.
import { StartError } from '../errors.ts';
import type { Audit, LogPart, StoreFacts } from '../ports/audit.ts';
import type { Mark } from '../ports/marks.ts';
import type { ConvId, MessageNumber, Seq } from '../protocol/ids.ts';
import { Differences } from './differences.ts';
import { type Bounds, checkBounds, checkCount, checkRecord, EntryLaws, type Reached } from './log-laws.ts';
import { checkHeads, checkReached, checkReceipts, SeenReceipts } from './memory-laws.ts';
import { RangeLaws } from './range-laws.ts';
import { type Finding, type Law, Report } from './report.ts';

/** Conversations are looked at together up to this many, or this many changes of them. */
const RANGE_CONVS = 400;
const RANGE_CHANGES = 50_000;
const MOST_SUSPECTS = 100_000;

export interface VerifyOptions {
  readonly repair: boolean;
  readonly onFinding: (finding: Finding) => void;
  /** Between two pages of rows; what it throws ends it. */
  readonly onProgress: (doing: string, done: number, of: number) => void;
}

export interface Summary {
  readonly convs: number;
  readonly changes: number;
  readonly entries: number;
  /** Findings that stand, and those that were mended. */
  readonly open: number;
  readonly mended: number;
  readonly counts: ReadonlyMap<Law, number>;
  /** What could not be looked at as a whole. */
  readonly notes: readonly string[];
}

export function verify(audit: Audit, options: VerifyOptions): Promise<Summary> {
  return new Run(audit, options).run();
}

class Run {
  readonly #audit: Audit;
  readonly #options: VerifyOptions;
  readonly #report: Report;
  readonly #receipts: SeenReceipts | null;
  readonly #notes: string[] = [];
  readonly #suspects: Mark[] = [];
  /** Where one range of conversations ends and the next begins. */
  readonly #cuts: ConvId[] = [];
  #counted: number[] = [];
  #convs = 0;
  #changes = 0;
  #entries = 0;

  constructor(audit: Audit, options: VerifyOptions) {
    this.#audit = audit;
    this.#options = options;
    this.#report = new Report(options.onFinding);
    this.#receipts = audit.log.memory === null ? null : new SeenReceipts(audit.log.memory);
  }

  async run(): Promise<Summary> {
    const { store, log } = this.#audit;
    const first = await log.look();
    await this.#checkFiles();
    await this.#readReceipts(first.length);
    const before = await this.#readTotals();
    const parts = await log.look();
    const bounds = { before, parts, after: await store.facts() };
    this.#refuseOtherParts(bounds);
    checkRecord(bounds, this.#report);
    checkBounds(bounds, this.#report);
    for (const part of parts.keys()) await this.#checkEntries(part, bounds);
    await this.#checkMemory(parts);
    await this.#checkRanges();
    await this.#checkSuspects();
    this.#receipts?.end(this.#report);
    await this.#refuseNewEpoch(parts);
    return this.#summary();
  }

  async #checkFiles(): Promise<void> {
    for (const damage of [this.#audit.log.damage(), this.#audit.store.damage()]) {
      for await (const lines of damage) {
        for (const line of lines) this.#report.add('files', {}, line);
        await this.#breathe('the files', 0, 0);
      }
    }
  }

  async #readReceipts(parts: number): Promise<void> {
    const { memory } = this.#audit.log;
    if (memory === null) return;
    for (let part = 0; part < parts; part++) {
      const { receipts, isAll } = await memory.receipts(part);
      this.#receipts?.add(part, receipts);
      if (!isAll) this.#notes.push(`part ${part}: only ${receipts.length} receipts of keys were looked at`);
      await this.#breathe('receipts', part, parts);
    }
  }

  #readTotals(): Promise<StoreFacts> {
    return this.#audit.store.totals(async ({ facts, heads }) => {
      let [convs, changes] = [0, 0];
      for await (const page of heads) {
        for (const [conv, last] of page) {
          this.#count(conv, last);
          convs++;
          changes += last;
          if (convs < RANGE_CONVS && changes < RANGE_CHANGES) continue;
          this.#cuts.push(conv);
          [convs, changes] = [0, 0];
        }
        await this.#breathe('totals', this.#convs, 0);
      }
      return facts;
    });
  }

  #count(conv: ConvId, last: Seq): void {
    const part = this.#audit.log.partOf(conv);
    this.#counted[part] = (this.#counted[part] ?? 0) + last;
    this.#convs++;
  }

  get #total(): number {
    return this.#counted.reduce((sum, count = 0) => sum + count, 0);
  }

  /** By another number a conversation's part is another one. @throws StartError */
  #refuseOtherParts({ parts, after }: Bounds): void {
    const recorded = after.record?.parts.length ?? parts.length;
    if (recorded !== parts.length)
      throw new StartError(`log_parts: the log is cut into ${recorded} parts, and not into ${parts.length}`);
  }

  async #checkEntries(part: number, bounds: Bounds): Promise<void> {
    const { log } = this.#audit;
    const laws = new EntryLaws(this.#audit, this.#report, part, bounds);
    const { trimmed, head } = bounds.parts[part] as LogPart;
    let done = 0;
    for await (const page of log.entries(part)) {
      await laws.check(page);
      if (log.memory !== null) await checkReceipts(log.memory, page, this.#report);
      for (const { change } of page) if (change !== null) this.#receipts?.meet(change);
      done += page.length;
      await this.#breathe(`the log, part ${part}`, done, head - trimmed);
    }
    this.#entries += done;
    await laws.end();
    const changes = this.#counted[part] ?? 0;
    checkCount(bounds, part, { changes, storedAbove: laws.storedAbove }, this.#report);
    if (log.memory !== null) await this.#checkLogHeads(laws.reached);
  }

  /** Whoever is in the log has a head there, unless all of it has been trimmed since. */
  async #checkLogHeads(reached: ReadonlyMap<ConvId, Reached>): Promise<void> {
    const { memory } = this.#audit.log;
    if (memory === null || reached.size === 0) return;
    const lacking: ConvId[] = [];
    const seqs = new Map([...reached].map(([conv, { seq }]) => [conv, seq]));
    await checkReached(memory, seqs, this.#report, (conv) => lacking.push(conv));
    if (lacking.length === 0) return;
    const now = await this.#audit.log.look();
    for (const conv of lacking) {
      const { seq, offset } = reached.get(conv) as Reached;
      if (offset > (now[this.#audit.log.partOf(conv)]?.trimmed ?? 0))
        this.#report.add('heads', { conv, seq }, 'it is in the log, and the log does not know its conversation');
    }
  }

  async #checkMemory(parts: readonly LogPart[]): Promise<void> {
    const { memory } = this.#audit.log;
    if (memory === null) return;
    for (const part of parts.keys()) {
      await checkHeads(this.#audit, memory, part, this.#report);
      await this.#breathe('heads', part, parts.length);
    }
  }

  async #checkRanges(): Promise<void> {
    const bounds = [null, ...this.#cuts, null];
    const laws = new RangeLaws(this.#audit, this.#report, this.#receipts, async (count) => {
      this.#changes += count;
      await this.#breathe('changes and views', this.#changes, this.#total);
    });
    for (let index = 1; index < bounds.length; index++) {
      await this.#checkRange(laws, bounds[index - 1] ?? null, bounds[index] ?? null);
    }
  }

  async #checkRange(laws: RangeLaws, after: ConvId | null, upTo: ConvId | null): Promise<void> {
    const { store, log } = this.#audit;
    const found = new Differences(this.#options.repair ? store : null, this.#report);
    await store.range(after, upTo, async (rows) => {
      await laws.replay(rows);
      await laws.compare(rows, found);
      await laws.suspects(rows, (mark) => this.#suspect(mark));
    });
    // In the log before it is in the store: the log's head is asked for after.
    if (log.memory !== null && laws.lasts.size > 0) await checkReached(log.memory, laws.lasts, this.#report, () => {});
  }

  #suspect(mark: Mark): void {
    if (this.#suspects.length < MOST_SUSPECTS) this.#suspects.push(mark);
    else if (this.#suspects.length === MOST_SUSPECTS)
      this.#notes.push(`only ${MOST_SUSPECTS} marks were looked at again`);
  }

  /** A mark follows on a message that has its number: it is in the log by now, or stored. */
  async #checkSuspects(): Promise<void> {
    if (this.#suspects.length === 0) return;
    const { store, log } = this.#audit;
    const newest = new Map<ConvId, MessageNumber>(this.#suspects.map(({ conv }) => [conv, 0]));
    for (const part of (await log.look()).keys()) {
      for await (const page of log.entries(part)) {
        for (const { change } of page) {
          const known = change === null ? undefined : newest.get(change.conv);
          if (change !== null && known !== undefined) newest.set(change.conv, Math.max(known, change.n));
        }
      }
    }
    const heads = await store.heads([...newest.keys()]);
    for (const mark of this.#suspects) {
      await this.#checkMark(mark, Math.max(newest.get(mark.conv) ?? 0, heads.get(mark.conv)?.n ?? 0));
    }
  }

  async #checkMark({ conv, user, read, received }: Mark, n: MessageNumber): Promise<void> {
    if (Math.max(read, received) <= n) return;
    const { repair } = this.#options;
    const found = new Differences(repair ? this.#audit.store : null, this.#report);
    const row = { conv, user, read: Math.min(read, n), received: Math.min(received, n) };
    const text = `it has read ${read} and received ${received} of ${n} messages`;
    found.add({ law: 'marks', place: { conv, user }, text, mend: { is: 'mark', row } });
    await found.flush();
  }

  /** What was compared is not one log then. @throws StartError */
  async #refuseNewEpoch(parts: readonly LogPart[]): Promise<void> {
    if (this.#audit.log.memory === null) return;
    const now = await this.#audit.log.look();
    if (parts.every(({ epoch }, part) => now[part]?.epoch === epoch)) return;
    throw new StartError('the log has begun a new epoch meanwhile, so this says nothing; verify it again');
  }

  #summary(): Summary {
    const { open, mended, counts } = this.#report;
    const [convs, changes, entries] = [this.#convs, this.#changes, this.#entries];
    return { convs, changes, entries, open, mended, counts, notes: this.#notes };
  }

  /** Signals are heard in between. */
  async #breathe(doing: string, done: number, of: number): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#options.onProgress(doing, done, of);
  }
}
