// How far each user has read and received each conversation. Kept by the last write, coalesced, stored within a second;
// what is not stored yet is laid over the store's answer. The store's failure costs marks, never messages. What other nodes
// move is heard by signals; as these may be lost, what is known is believed for a while only, where there are other nodes.
import type { Clock } from '../ports/clock.ts';
import type { Mark, MarkStore } from '../ports/marks.ts';
import type { NodeId, Signal, Signals } from '../ports/signals.ts';
import type { ConvId, MessageNumber, Millis, UserId } from '../protocol/ids.ts';

const STORE_AFTER_MS = 500;
/** Marks that move within this time are told once. */
const TELL_AFTER_MS = 100;
/** Marks in memory beyond those that wait to be stored. */
const KEEP = 50_000;

export type Numbers = Pick<Mark, 'read' | 'received'>;
const NONE: Numbers = { read: 0, received: 0 };

type Known = Mark & {
  /** When the store was asked for it, or it was set without asking. */
  readonly atMs: Millis;
};
type Untold = Mark & { readonly by: string | null; readonly back: boolean };

export class Marks {
  readonly #store: MarkStore;
  readonly #signals: Signals;
  readonly #known = new Map<string, Known>();
  #unstored = new Map<string, Mark>();
  #untold = new Map<string, Untold>();
  #storing: Promise<void> = Promise.resolve();
  /** On their way to the store. */
  readonly #inFlight = new Set<ReadonlyMap<string, Mark>>();
  readonly #clock: Clock;
  #isFlushDue = false;
  readonly #onFault: (error: unknown) => void;
  readonly #trustMs: Millis;
  readonly #unsubscribe: () => void;

  /** @param trustMs how long what is known is believed: the most that a lost signal of another node may mislead */
  constructor(
    store: MarkStore,
    signals: Signals,
    clock: Clock,
    onFault: (error: unknown) => void,
    trustMs: Millis = Number.POSITIVE_INFINITY,
  ) {
    this.#store = store;
    this.#signals = signals;
    this.#clock = clock;
    this.#onFault = onFault;
    this.#trustMs = trustMs;
    this.#unsubscribe = signals.subscribe((signal, from) => this.#onSignal(signal, from));
  }

  /** All of a user's marks, by conversation. */
  async ofUser(user: UserId): Promise<ReadonlyMap<ConvId, Numbers>> {
    const marks = new Map<ConvId, Numbers>();
    // What is on its way now may be stored after the store has answered, and be forgotten here by then.
    const underway = [...this.#inFlight, this.#unstored];
    const stored = await this.#store.ofUser(user);
    for (const some of [stored, ...underway.map((marks) => marks.values()), this.#unstored.values()]) {
      for (const mark of some) if (mark.user === user) marks.set(mark.conv, this.#trusted(place(mark)) ?? mark);
    }
    return marks;
  }

  /**
   * The user has read up to message `n`, which the caller has checked against the head. Reading implies receiving.
   * @param unread the mark may go back
   * @param by the connection it came by, which needs no echo
   */
  async read(conv: ConvId, user: UserId, n: MessageNumber, unread: boolean, by: string | null): Promise<void> {
    await this.#load(conv, user);
    const before = this.#get(conv, user);
    const read = unread ? n : Math.max(before.read, n);
    this.#set({ conv, user, read, received: Math.max(before.received, read) }, before, by);
  }

  async received(conv: ConvId, user: UserId, n: MessageNumber, by: string | null): Promise<void> {
    await this.#load(conv, user);
    const before = this.#get(conv, user);
    this.#set({ conv, user, read: before.read, received: Math.max(before.received, n) }, before, by);
  }

  /** Who says something has read up to it. Others know by the message itself: no signal. */
  sent(conv: ConvId, user: UserId, n: MessageNumber): void {
    this.#remember({ conv, user, read: n, received: n });
  }

  async flush(): Promise<void> {
    if (this.#unstored.size === 0) return this.#storing;
    const marks = this.#unstored;
    this.#unstored = new Map();
    this.#inFlight.add(marks);
    this.#storing = this.#storing.then(() => this.#put(marks)).finally(() => this.#inFlight.delete(marks));
    return this.#storing;
  }

  #scheduleFlush(): void {
    this.#isFlushDue = true;
    this.#clock.after(STORE_AFTER_MS, () => {
      this.#isFlushDue = false;
      void this.flush();
    });
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    await this.flush();
  }

  /** Another node has moved a mark: what waits here for the same one must not take it back. */
  #onSignal(signal: Signal, from: NodeId): void {
    if (signal.is !== 'mark' || from === this.#signals.node) return;
    const key = place(signal);
    const known = this.#known.get(key);
    if (known === undefined) return;
    const read = signal.back ? signal.read : Math.max(known.read, signal.read);
    const moved = { read, received: Math.max(known.received, signal.received) };
    this.#known.set(key, { ...known, ...moved });
    const [unstored, untold] = [this.#unstored.get(key), this.#untold.get(key)];
    if (unstored !== undefined) this.#unstored.set(key, { ...unstored, ...moved });
    if (untold !== undefined) this.#untold.set(key, { ...untold, ...moved });
  }

  async #put(marks: ReadonlyMap<string, Mark>): Promise<void> {
    try {
      await this.#store.put([...marks.values()]);
    } catch (error) {
      this.#onFault(error);
      for (const [key, mark] of marks) if (!this.#unstored.has(key)) this.#unstored.set(key, mark);
      if (!this.#isFlushDue) this.#scheduleFlush();
    }
  }

  /** Makes the mark known, so that it can be read and moved in one step: of two at once neither takes the other back. */
  async #load(conv: ConvId, user: UserId): Promise<void> {
    const key = place({ conv, user });
    if (this.#trusted(key) !== undefined) return;
    const before = this.#known.get(key);
    const stored = await this.#ask(conv, user, before);
    if (this.#trusted(key) !== undefined) return;
    const known = this.#known.get(key);
    // Moved while the store was asked, from what was believed before.
    const moved = known === undefined || known === before ? NONE : known;
    const read = Math.max(stored.read, moved.read);
    const received = Math.max(stored.received, moved.received);
    this.#known.set(key, { conv, user, read, received, atMs: this.#clock.monotonic() });
  }

  /** What was believed goes on being so while the store does not answer. */
  async #ask(conv: ConvId, user: UserId, before: Numbers | undefined): Promise<Numbers> {
    try {
      return (await this.ofUser(user)).get(conv) ?? NONE;
    } catch (error) {
      if (before === undefined) throw error;
      return before;
    }
  }

  #trusted(key: string): Known | undefined {
    const known = this.#known.get(key);
    return known !== undefined && this.#clock.monotonic() - known.atMs < this.#trustMs ? known : undefined;
  }

  #get(conv: ConvId, user: UserId): Numbers {
    return this.#known.get(place({ conv, user })) ?? NONE;
  }

  #set(mark: Mark, before: Numbers, by: string | null): void {
    if (mark.read === before.read && mark.received === before.received) return;
    this.#remember(mark);
    if (this.#untold.size === 0) this.#clock.after(TELL_AFTER_MS, () => this.#tell());
    const back = mark.read < before.read || this.#untold.get(place(mark))?.back === true;
    this.#untold.set(place(mark), { ...mark, by, back });
  }

  #tell(): void {
    const untold = this.#untold;
    this.#untold = new Map();
    for (const mark of untold.values()) this.#signals.publish({ is: 'mark', ...mark });
  }

  #remember(mark: Mark): void {
    const key = place(mark);
    this.#unstored.set(key, mark);
    if (!this.#isFlushDue) this.#scheduleFlush();
    // Moving a mark confirms nothing that was believed of it.
    const atMs = this.#known.get(key)?.atMs ?? this.#clock.monotonic();
    this.#known.set(key, { ...mark, atMs });
    if (this.#known.size > KEEP) this.#forgetOldest();
  }

  /** One that still waits for the store is kept, as the newest. */
  #forgetOldest(): void {
    const [key, known] = this.#known.entries().next().value as [string, Known];
    this.#known.delete(key);
    if (this.#unstored.has(key)) this.#known.set(key, known);
  }
}

function place({ conv, user }: { readonly conv: ConvId; readonly user: UserId }): string {
  return `${conv} ${user}`;
}
