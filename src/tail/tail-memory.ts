// The tail in this node's memory: every change the store does not hold yet, and the latest ones beside, by conversation.
// Reads lay it over the store's answer; a reader pins it before it asks the store, so that nothing slips between the two.

import { ChatError } from '../errors.ts';
import { type Change, covers, type Position, type Receipt } from '../ports/log.ts';
import {
  type ChangeBody,
  type DeleteChange,
  type EditChange,
  erasedWire,
  movesGuard,
  parseChange,
} from '../protocol/changes.ts';
import type { ConvId, Key, Seq, UserId } from '../protocol/ids.ts';

/** What a change costs in memory beside its text; measured, rounded up. */
const ENTRY_BYTES = 200;

interface Run {
  /** Consecutive seqs; those below `start` are dropped already. */
  changes: Change[];
  start: number;
  /** What acts on messages, by message; null: nothing does. */
  acts: Map<Seq, Acts> | null;
}

interface Acts {
  readonly edits: Seq[];
  isDeleted: boolean;
}

export interface Pin {
  release(): void;
  /** @throws ChatError `unavailable` where the memory has begun again since: what was read beside it is of another view */
  check(): void;
}

export class TailMemory {
  readonly #keepBytes: number;
  readonly #runs = new Map<ConvId, Run>();
  /** In order of arrival; those below `#dropped` are gone. */
  #arrived: Change[] = [];
  #dropped = 0;
  #bytes = 0;
  /** Changes of membership the store does not hold yet. */
  #unstoredGuards: Change[] = [];
  #watermark: Position;
  readonly #seen: number[];
  readonly #pins = new Set<Position>();
  #began = 0;
  #isInterrupted = false;
  #epoch = '';
  #waiting: { position: Position; resolve: () => void; reject: (error: Error) => void }[] = [];

  /**
   * @param watermark what the store holds; the first change added follows it
   * @param keepBytes how much of what the store holds already is kept for resumes without a store query
   */
  constructor(watermark: Position, keepBytes: number) {
    this.#watermark = watermark;
    this.#seen = [...watermark];
    this.#keepBytes = keepBytes;
  }

  get length(): number {
    return this.#arrived.length - this.#dropped;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How often this memory has begun again: what was read beside it at another count is of another view. */
  get began(): number {
    return this.#began;
  }

  /** Of the log as it is shown here: its own may be a newer one, until this memory has begun again. */
  get epoch(): string {
    return this.#epoch;
  }

  /** What the store holds, as far as this node knows. */
  get watermark(): Position {
    return this.#watermark;
  }

  add(change: Change): void {
    const run = this.#run(change.conv);
    run.changes.push(change);
    this.#arrived.push(change);
    this.#bytes += change.wire.length + ENTRY_BYTES;
    this.#seen[change.part] = change.offset;
    if (movesGuard(change.type)) this.#unstoredGuards.push(change);
    if (actsOnMessage(change)) act(run, change);
  }

  /** To be called after each batch of `add`. */
  settle(): void {
    this.#drop();
    if (this.#waiting.length > 0) this.#wake();
  }

  /** The store holds everything up to here. */
  onStored(watermark: Position): void {
    this.#watermark = watermark;
    this.#drop();
  }

  /** While pinned, everything that was not in the store at that moment stays readable here. */
  pin(): Pin {
    const position = [...this.#watermark];
    const began = this.#began;
    this.#pins.add(position);
    return {
      release: () => this.#pins.delete(position),
      check: () => {
        if (began !== this.#began) throw new ChatError('unavailable');
      },
    };
  }

  /** The changes of a conversation with seq > after, or null where the memory does not reach back that far. */
  after(conv: ConvId, after: Seq): readonly Change[] | null {
    const run = this.#runs.get(conv);
    const first = run?.changes[run.start];
    if (run === undefined || first === undefined) return null;
    if (after + 1 < first.seq) return null;
    return run.changes.slice(run.start + after + 1 - first.seq);
  }

  /** As `after`, for a pinned reader: what the store did not have. An empty list where nothing is newer. */
  newer(conv: ConvId, upTo: Seq): readonly ChangeBody[] {
    return (this.after(conv, upTo) ?? []).map((change) => parseChange(change.wire));
  }

  /** What a key stands for, among the changes here. */
  recall(conv: ConvId, user: UserId, key: Key): Receipt | null {
    const run = this.#runs.get(conv);
    const found = run?.changes.findLast(
      (change, index) => index >= run.start && change.key === key && change.from === user,
    );
    return found === undefined ? null : { seq: found.seq, n: found.n, at: found.at };
  }

  /** Changes of membership and settings that the store may not hold, in order of arrival. */
  unstoredGuards(): readonly Change[] {
    return this.#unstoredGuards;
  }

  /** Resolves when the memory has everything up to a position. */
  reach(position: Position): Promise<void> {
    if (this.hasReached(position)) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ position, resolve, reject }));
  }

  /** The log goes on without this memory: until it begins again it has reached nothing, whatever it has seen. */
  interrupt(): void {
    this.#isInterrupted = true;
  }

  /**
   * Begins again, where the log went on without this memory: all it held is dropped, and what follows comes after the
   * store's watermark. Who waits for a position of before waits in vain, and who pinned it learns of it.
   * @param epoch of the log that is read from now on
   */
  restart(watermark: Position, epoch = ''): void {
    this.#isInterrupted = false;
    this.#epoch = epoch;
    this.#runs.clear();
    this.#arrived = [];
    this.#dropped = 0;
    this.#bytes = 0;
    this.#unstoredGuards = [];
    this.#pins.clear();
    this.#began++;
    this.#watermark = watermark;
    this.#seen.splice(0, this.#seen.length, ...watermark);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(new ChatError('unavailable'));
  }

  hasReached(position: Position): boolean {
    if (this.#isInterrupted) return false;
    return position.every((offset, part) => (this.#seen[part] ?? 0) >= offset);
  }

  #wake(): void {
    const ready = this.#waiting.filter((waiter) => this.hasReached(waiter.position));
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((waiter) => !ready.includes(waiter));
    for (const waiter of ready) waiter.resolve();
  }

  #run(conv: ConvId): Run {
    const known = this.#runs.get(conv);
    if (known !== undefined) return known;
    const run: Run = { changes: [], start: 0, acts: null };
    this.#runs.set(conv, run);
    return run;
  }

  #drop(): void {
    const stored = this.#pins.values().next().value ?? this.#watermark;
    while (this.#bytes > this.#keepBytes) {
      const oldest = this.#arrived[this.#dropped];
      if (oldest === undefined || !covers(stored, oldest)) break;
      this.#dropOldest(oldest);
    }
    if (this.#dropped > 1024 && this.#dropped * 2 > this.#arrived.length) {
      this.#arrived = this.#arrived.slice(this.#dropped);
      this.#dropped = 0;
    }
    if (this.#unstoredGuards.length > 0) {
      this.#unstoredGuards = this.#unstoredGuards.filter((change) => !covers(stored, change));
    }
  }

  #dropOldest(oldest: Change): void {
    this.#dropped++;
    this.#bytes -= oldest.wire.length + ENTRY_BYTES;
    const run = this.#runs.get(oldest.conv) as Run;
    run.start++;
    if (actsOnMessage(oldest)) forgetAct(run, oldest);
    if (run.start === run.changes.length) this.#runs.delete(oldest.conv);
    else if (run.start > 64 && run.start * 2 > run.changes.length) {
      run.changes = run.changes.slice(run.start);
      run.start = 0;
    }
  }
}

function actsOnMessage({ type }: Change): boolean {
  return type === 'edit' || type === 'delete';
}

/**
 * A message deleted for all is erased here too, and its edits, as the store erases them; an edit that was under way
 * meanwhile and comes after the deletion as well.
 */
function act(run: Run, change: Change): void {
  const of = messageOf(change);
  run.acts ??= new Map();
  const acts = run.acts.get(of) ?? { edits: [], isDeleted: false };
  run.acts.set(of, acts);
  if (change.type === 'edit') {
    acts.edits.push(change.seq);
    if (acts.isDeleted) erase(run, change.seq);
    return;
  }
  acts.isDeleted = true;
  for (const seq of [of, ...acts.edits]) erase(run, seq);
}

function forgetAct({ acts }: Run, change: Change): void {
  const of = messageOf(change);
  const known = acts?.get(of);
  const isLast = known?.isDeleted === false && known.edits.at(-1) === change.seq;
  if (change.type === 'delete' || isLast) acts?.delete(of);
}

function erase({ changes, start }: Run, seq: Seq): void {
  const index = start + seq - (changes[start] as Change).seq;
  const change = index < start ? undefined : changes[index];
  if (change !== undefined) changes[index] = { ...change, wire: erasedWire(change.wire) };
}

/** The message an edit or a deletion is of. */
function messageOf(change: Change): Seq {
  return (parseChange(change.wire) as EditChange | DeleteChange).of;
}
