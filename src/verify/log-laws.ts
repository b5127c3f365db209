// The laws between log and store. Both move while they are looked at, so each law holds one way: the store's facts from before
// the look at the log are behind it, those from after it are ahead of what it had let go of.
import type { Audit, ChangeRow, LogEntry, LogPart, StoreFacts } from '../ports/audit.ts';
import type { Change } from '../ports/log.ts';
import type { ConvId, MessageNumber, Millis, Seq } from '../protocol/ids.ts';
import type { Report } from './report.ts';
import { differences } from './wires.ts';

/** The store before and after the look, and the look. */
export interface Bounds {
  readonly before: StoreFacts;
  readonly parts: readonly LogPart[];
  readonly after: StoreFacts;
}

export function checkBounds({ before, parts, after }: Bounds, report: Report): void {
  for (const [part, { trimmed, head }] of parts.entries()) {
    const stored = before.watermark[part] ?? 0;
    const storedNow = after.watermark[part] ?? 0;
    if (head < stored) report.add('watermark', { part }, `the log ends at ${head}, before the watermark ${stored}`);
    if (trimmed > storedNow)
      report.add('watermark', { part }, `the log begins after ${trimmed}, beyond the watermark ${storedNow}`);
    if (storedNow < stored) report.add('watermark', { part }, `the watermark went back from ${stored} to ${storedNow}`);
  }
  for (const part of after.watermark.keys()) {
    if (part >= parts.length) report.add('watermark', { part }, 'it has a watermark, and the log has no such part');
  }
}

/** An epoch is on record before the log begins it, and told to be open after. */
export function checkRecord({ before, parts, after }: Bounds, report: Report): void {
  const [first, last] = [before.record, after.record];
  if (first === null || last === null) return;
  for (const [part, { id, epoch }] of parts.entries()) {
    const opened = first.parts[part]?.opened ?? 0;
    const begun = last.parts[part]?.epoch ?? 0;
    if (epoch === 0 && opened > 0)
      report.add('record', { part }, `the log has none of it, and epoch ${opened} is on record`);
    else if (epoch > 0 && id !== last.id)
      report.add('record', { part }, 'it belongs to another log than the one on record');
    else if (epoch > begun) report.add('record', { part }, `its epoch is ${epoch}, and ${begun} is on record`);
    else if (epoch > 0 && epoch < opened)
      report.add('record', { part }, `its epoch is ${epoch}, and ${opened} is on record`);
  }
}

/** The last change of a conversation that has been seen in the log; n: null where it is not known. */
interface Last {
  readonly seq: Seq;
  readonly n: MessageNumber | null;
  readonly at: Millis;
}

export interface Reached {
  readonly seq: Seq;
  readonly offset: number;
}

interface Gap {
  readonly from: number;
  readonly to: number;
}

const nameOf = ({ conv, seq }: Pick<Change, 'conv' | 'seq'>) => `${conv} ${seq}`;

/** The entries of one part, page by page. */
export class EntryLaws {
  readonly #audit: Audit;
  readonly #report: Report;
  readonly #part: number;
  readonly #bounds: Bounds;
  readonly #view: LogPart;
  readonly #gaps: Gap[] = [];
  readonly #lasts = new Map<ConvId, Last>();
  readonly #reached = new Map<ConvId, Reached>();
  #offset: number;
  #storedAbove = 0;

  constructor(audit: Audit, report: Report, part: number, bounds: Bounds) {
    this.#audit = audit;
    this.#report = report;
    this.#part = part;
    this.#bounds = bounds;
    this.#view = bounds.parts[part] as LogPart;
    this.#offset = this.#view.trimmed;
  }

  /** Entries above the first watermark whose changes are stored nevertheless. */
  get storedAbove(): number {
    return this.#storedAbove;
  }

  /** The last entry of each conversation. */
  get reached(): ReadonlyMap<ConvId, Reached> {
    return this.#reached;
  }

  async check(page: readonly LogEntry[]): Promise<void> {
    for (const run of this.#runs(page)) {
      const changes = run.flatMap(({ change }) => change ?? []);
      const rows = await this.#rowsOf(changes);
      for (const entry of run) this.#entry(entry, rows);
    }
  }

  /**
   * Cut where something is missing. It may have been trimmed since the look, and then it is stored: what comes before such a
   * place says nothing of what comes after.
   */
  *#runs(page: readonly LogEntry[]): Generator<readonly LogEntry[]> {
    let run: LogEntry[] = [];
    for (const entry of page) {
      const expected = (run.at(-1)?.offset ?? this.#offset) + 1;
      if (entry.change !== null && entry.offset > expected) {
        yield run;
        this.#gaps.push({ from: expected, to: entry.offset - 1 });
        this.#lasts.clear();
        run = [];
      }
      run.push(entry);
    }
    yield run;
  }

  /** What is missing, unless it was trimmed by now. */
  async end(): Promise<void> {
    const { head } = this.#view;
    if (this.#offset < head) this.#gaps.push({ from: this.#offset + 1, to: head });
    if (this.#gaps.length === 0) return;
    const { trimmed = 0 } = (await this.#audit.log.look())[this.#part] ?? {};
    for (const { from, to } of this.#gaps) {
      const first = Math.max(from, trimmed + 1);
      if (first > to) continue;
      const which = first === to ? `entry ${first} is` : `the entries ${first} to ${to} are`;
      this.#report.add('log', { part: this.#part }, `${which} missing`);
    }
  }

  /** The stored changes of these names, and of those right before the first that the log has of a conversation. */
  async #rowsOf(changes: readonly Change[]): Promise<ReadonlyMap<string, ChangeRow>> {
    const known = new Set(this.#lasts.keys());
    const names: Pick<ChangeRow, 'conv' | 'seq'>[] = [];
    for (const { conv, seq } of changes) {
      names.push({ conv, seq });
      if (seq > 1 && !known.has(conv)) names.push({ conv, seq: seq - 1 });
      known.add(conv);
    }
    const rows = await this.#audit.store.stored(names);
    return new Map(rows.map((row) => [nameOf(row), row]));
  }

  #entry({ offset, epoch, change }: LogEntry, rows: ReadonlyMap<string, ChangeRow>): void {
    const place = { part: this.#part, seq: offset };
    if (change === null) {
      this.#report.add('log', place, 'an entry here is none that the log has written');
      // One that stands in the place of a change has its offset.
      if (offset === this.#offset + 1) this.#offset = offset;
      return;
    }
    this.#offset = offset;
    if (epoch > this.#view.epoch)
      this.#report.add('log', place, `it is of epoch ${epoch}, and the log is in ${this.#view.epoch}`);
    if (this.#audit.log.partOf(change.conv) !== this.#part)
      this.#report.add('log', place, `conversation ${change.conv} belongs to another part`);
    this.#followsOn(change, rows);
    this.#isStored(change, rows.get(nameOf(change)));
  }

  #followsOn(change: Change, rows: ReadonlyMap<string, ChangeRow>): void {
    const { conv, seq, n, at, type, offset } = change;
    const last = this.#lasts.get(conv) ?? this.#before(change, rows);
    const place = { part: this.#part, conv, seq };
    const tell = (text: string) => this.#report.add('log', place, text);
    if (last === undefined) tell(`the log goes on with it, and ${seq - 1} is neither there nor stored`);
    else if (seq !== last.seq + 1) tell(`the log goes on with it after ${last.seq}`);
    else if (at < last.at) tell(`its time ${at} is before that of the change before it, ${last.at}`);
    const isNext = type !== 'message' || last?.n == null || n === last.n + 1;
    if (!isNext) tell(`its number as a message is ${n}, after ${last.n}`);
    this.#reached.set(conv, { seq, offset });
    this.#lasts.set(conv, { seq, n: type === 'message' ? n : (last?.n ?? null), at });
  }

  #before({ conv, seq }: Change, rows: ReadonlyMap<string, ChangeRow>): Last | undefined {
    if (seq === 1) return { seq: 0, n: 0, at: 0 };
    const row = rows.get(nameOf({ conv, seq: seq - 1 }));
    if (row === undefined) return undefined;
    return { seq: row.seq, n: row.type === 'message' ? row.n : (row.after?.n ?? null), at: row.at };
  }

  #isStored(change: Change, row: ChangeRow | undefined): void {
    const { conv, seq, offset } = change;
    const place = { part: this.#part, conv, seq };
    const watermark = this.#bounds.after.watermark[this.#part] ?? 0;
    if (row === undefined) {
      if (offset <= watermark)
        this.#report.add(
          'stored',
          place,
          `it is not stored, and the watermark ${watermark} is past its offset ${offset}`,
        );
      return;
    }
    if (offset > (this.#bounds.before.watermark[this.#part] ?? 0)) this.#storedAbove++;
    const names = differences(change, row);
    if (names.length > 0) this.#report.add('stored', place, `store and log differ in ${names.join(', ')}`);
  }
}

/** What the store has of a part, at the moment of the first facts. */
export interface Counted {
  readonly changes: number;
  readonly storedAbove: number;
}

/**
 * Every offset is one change of one conversation, and a batch and the watermark are stored together: so the last numbers of all
 * conversations add up to the watermark. Above it is only what a batch that was cut in halves has left, and that is in the log.
 */
export function checkCount({ before, parts }: Bounds, part: number, counted: Counted, report: Report): void {
  const watermark = before.watermark[part] ?? 0;
  const { trimmed = 0 } = parts[part] ?? {};
  const most = watermark + Math.max(0, trimmed - watermark) + counted.storedAbove;
  if (counted.changes < watermark)
    report.add('count', { part }, `the store holds ${counted.changes} changes, and its watermark is ${watermark}`);
  if (counted.changes > most)
    report.add('count', { part }, `the store holds ${counted.changes} changes, and the log gave it at most ${most}`);
}
