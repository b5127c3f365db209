// How far each user has read and received each conversation. Kept by the last write, coalesced, stored within a second;
// what is not stored yet is laid over the store's answer. The store's failure costs marks, never messages.
import type { Clock } from '../ports/clock.ts';
import type { Mark, MarkStore } from '../ports/marks.ts';
import type { Signals } from '../ports/signals.ts';
import type { ConvId, MessageNumber, UserId } from '../protocol/ids.ts';

const STORE_AFTER_MS = 500;
/** Marks that move within this time are told once. */
const TELL_AFTER_MS = 100;
/** Marks in memory beyond those that wait to be stored. */
const KEEP = 50_000;

export type Numbers = Pick<Mark, 'read' | 'received'>;
const NONE: Numbers = { read: 0, received: 0 };

export class Marks {
  readonly #store: MarkStore;
  readonly #signals: Signals;
  readonly #known = new Map<string, Mark>();
  #unstored = new Map<string, Mark>();
  #untold = new Map<string, Mark & { readonly by: string | null }>();
  #storing: Promise<void> = Promise.resolve();
  /** On their way to the store. */
  readonly #inFlight = new Set<ReadonlyMap<string, Mark>>();
  readonly #clock: Clock;
  #isFlushDue = false;
  readonly #onFault: (error: unknown) => void;

  constructor(store: MarkStore, signals: Signals, clock: Clock, onFault: (error: unknown) => void) {
    this.#store = store;
    this.#signals = signals;
    this.#clock = clock;
    this.#onFault = onFault;
  }

  /** All of a user's marks, by conversation. */
  async ofUser(user: UserId): Promise<ReadonlyMap<ConvId, Numbers>> {
    const marks = new Map<ConvId, Numbers>();
    // What is on its way now may be stored after the store has answered, and be forgotten here by then.
    const underway = [...this.#inFlight, this.#unstored];
    const stored = await this.#store.ofUser(user);
    for (const some of [stored, ...underway.map((marks) => marks.values()), this.#unstored.values()]) {
      for (const mark of some) if (mark.user === user) marks.set(mark.conv, this.#known.get(place(mark)) ?? mark);
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
    await this.flush();
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
    if (this.#known.has(key)) return;
    const stored = (await this.ofUser(user)).get(conv) ?? NONE;
    if (!this.#known.has(key)) this.#known.set(key, { conv, user, ...stored });
  }

  #get(conv: ConvId, user: UserId): Numbers {
    return this.#known.get(place({ conv, user })) ?? NONE;
  }

  #set(mark: Mark, before: Numbers, by: string | null): void {
    if (mark.read === before.read && mark.received === before.received) return;
    this.#remember(mark);
    if (this.#untold.size === 0) this.#clock.after(TELL_AFTER_MS, () => this.#tell());
    this.#untold.set(place(mark), { ...mark, by });
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
    this.#known.delete(key);
    this.#known.set(key, mark);
    if (this.#known.size <= KEEP) return;
    const oldest = this.#known.keys().next().value as string;
    if (!this.#unstored.has(oldest)) this.#known.delete(oldest);
  }
}

function place({ conv, user }: { readonly conv: ConvId; readonly user: UserId }): string {
  return `${conv} ${user}`;
}
