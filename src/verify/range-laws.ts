// Some conversations, of one moment: their changes by their own laws, and the views by a store made from the changes.
import type { Audit, ChangeRow, StoreRows } from '../ports/audit.ts';
import type { Change } from '../ports/log.ts';
import type { Mark } from '../ports/marks.ts';
import type { ChangeBody } from '../protocol/changes.ts';
import type { ConvId, Seq, UserId } from '../protocol/ids.ts';
import { ChangeLaws, wrongReference } from './change-laws.ts';
import type { Differences } from './differences.ts';
import type { SeenReceipts } from './memory-laws.ts';
import type { Report } from './report.ts';
import { compareViews } from './view-laws.ts';
import { foldable, isSetAside } from './wires.ts';

const USERS_AT_ONCE = 1_000;
/** Known to exist; forgotten all at once. */
const KNOWN_USERS = 100_000;

type Folded = readonly [change: Change, body: ChangeBody];

export class RangeLaws {
  readonly #audit: Audit;
  readonly #report: Report;
  readonly #receipts: SeenReceipts | null;
  readonly #onChanges: (count: number) => Promise<void>;
  readonly #knownUsers = new Set<UserId>();
  readonly #users = new Set<UserId>();
  readonly #unfit = new Set<ConvId>();
  readonly #lasts = new Map<ConvId, Seq>();
  #laws: ChangeLaws | undefined;

  /** @param onChanges told how many have been read; may end the audit */
  constructor(
    audit: Audit,
    report: Report,
    receipts: SeenReceipts | null,
    onChanges: (count: number) => Promise<void>,
  ) {
    this.#audit = audit;
    this.#report = report;
    this.#receipts = receipts;
    this.#onChanges = onChanges;
  }

  /** The last change of each conversation of the range. */
  get lasts(): ReadonlyMap<ConvId, Seq> {
    return this.#lasts;
  }

  /** Reads the changes, into the scratch store too. */
  async replay(rows: StoreRows): Promise<void> {
    this.#audit.scratch.clear();
    this.#lasts.clear();
    this.#unfit.clear();
    this.#laws = undefined;
    for await (const page of rows.changes()) {
      this.#fold(page.flatMap((row) => this.#check(row)));
      if (this.#users.size >= USERS_AT_ONCE) await this.#findUsers();
      await this.#onChanges(page.length);
    }
    for await (const page of this.#audit.scratch.members()) {
      for (const { user } of page) this.#meetUser(user);
      if (this.#users.size >= USERS_AT_ONCE) await this.#findUsers();
    }
    await this.#findUsers();
  }

  async compare(rows: StoreRows, found: Differences): Promise<void> {
    await compareViews(this.#audit.scratch, rows, {
      isFit: (conv) => !this.#unfit.has(conv),
      tell: (difference) => found.add(difference),
      pause: () => found.pause(),
    });
    await found.flush();
  }

  /** Marks above the head, as far as it is stored; the log may know of more. */
  async suspects(rows: StoreRows, onSuspect: (mark: Mark) => void): Promise<void> {
    for await (const page of rows.marks()) {
      for (const mark of page) {
        const { n = 0 } = this.#audit.scratch.head(mark.conv) ?? {};
        if (Math.max(mark.read, mark.received) > n && !this.#unfit.has(mark.conv)) onSuspect(mark);
      }
    }
  }

  #lawsOf(conv: ConvId): ChangeLaws {
    if (this.#laws?.conv === conv) return this.#laws;
    const laws = new ChangeLaws(conv, (seq, text) => this.#report.add('changes', { conv, seq }, text));
    this.#laws = laws;
    return laws;
  }

  /** @returns the change as it is folded; none where it cannot be */
  #check(row: ChangeRow): readonly Folded[] {
    const laws = this.#lawsOf(row.conv);
    const body = laws.check(row);
    this.#lasts.set(row.conv, row.seq);
    this.#receipts?.meet(row);
    this.#meetUser(row.from);
    if (body === null || !laws.isFit) {
      this.#unfit.add(row.conv);
      return [];
    }
    const { conv, seq, n, type, from, at, key } = row;
    return [[{ part: 0, offset: 0, conv, seq, n, type, from, at, key, wire: foldable(row, body) }, body]];
  }

  #fold(folded: readonly Folded[]): void {
    const { scratch } = this.#audit;
    for (const { conv, seq } of scratch.take(folded.map(([change]) => change)))
      this.#report.add('keys', { conv, seq }, 'an earlier change of its sender has its key');
    for (const [{ conv, seq, wire }, body] of folded) {
      if (isSetAside(wire)) continue;
      const fault = wrongReference(body, (of) => scratch.isMessage(conv, of));
      if (fault !== undefined) this.#report.add('references', { conv, seq }, fault);
    }
  }

  #meetUser(user: UserId): void {
    if (!this.#knownUsers.has(user)) this.#users.add(user);
  }

  async #findUsers(): Promise<void> {
    const asked = [...this.#users];
    this.#users.clear();
    const unknown = await this.#audit.store.unknownUsers(asked);
    for (const user of unknown)
      this.#report.add('users', { user }, 'changes or members name it, and there is no such user');
    if (this.#knownUsers.size > KNOWN_USERS) this.#knownUsers.clear();
    for (const user of asked) this.#knownUsers.add(user);
  }
}
