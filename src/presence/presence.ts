// Who is there. A user's status is the first of busy, online, away that one of its connections has, on any node; `offline`
// only after a grace, so that a reload is not seen. Told by signals; nothing of it is stored.
import type { Clock } from '../ports/clock.ts';
import type { Signals } from '../ports/signals.ts';
import type { PresenceStatus } from '../protocol/answers.ts';
import type { ConvId, Millis, UserId } from '../protocol/ids.ts';
import { RANK, Roster, type Seen, type Told } from './roster.ts';

export const GRACE_MS = 5_000;

export class Presence {
  /** What all nodes state; this one's part of it is stated here. */
  readonly roster: Roster;
  readonly #signals: Signals;
  readonly #clock: Clock;
  /** Users whose last connection has gone, and when that is told. In order of time. */
  readonly #leaving = new Map<UserId, { readonly dueMs: Millis; readonly convs: readonly ConvId[] }>();
  /** Cancels the wait for whoever leaves first; null while nobody does. */
  #cancel: (() => void) | null = null;

  constructor(signals: Signals, clock: Clock) {
    this.#signals = signals;
    this.#clock = clock;
    this.roster = new Roster(clock);
  }

  /** Undefined: offline. */
  of(user: UserId): Seen | undefined {
    return this.roster.of(user);
  }

  /** Whose status has changed, wherever they are connected. */
  subscribe(onTold: (told: readonly Told[]) => void): () => void {
    return this.roster.subscribe(onTold);
  }

  /**
   * The statuses of a user's connections here have changed; none: the last one has gone.
   * @param convs who hears of it
   */
  onStatuses(user: UserId, statuses: readonly PresenceStatus[], convs: readonly ConvId[]): void {
    this.#leaving.delete(user);
    if (statuses.length === 0) {
      if (!this.#stated.has(user)) return;
      this.#leaving.set(user, { dueMs: this.#clock.monotonic() + GRACE_MS, convs });
      this.#cancel ??= this.#clock.after(GRACE_MS, () => this.#stateLeft());
      return;
    }
    this.#state(user, RANK.find((status) => statuses.includes(status)) ?? 'offline', convs);
  }

  stop(): void {
    this.#cancel?.();
  }

  get #stated(): ReadonlyMap<UserId, Seen> {
    return this.roster.statedBy(this.#signals.node);
  }

  #stateLeft(): void {
    const now = this.#clock.monotonic();
    this.#cancel = null;
    for (const [user, { dueMs, convs }] of this.#leaving) {
      if (dueMs > now) {
        this.#cancel = this.#clock.after(dueMs - now, () => this.#stateLeft());
        return;
      }
      this.#leaving.delete(user);
      this.#state(user, 'offline', convs);
    }
  }

  #state(user: UserId, status: PresenceStatus, convs: readonly ConvId[]): void {
    if ((this.#stated.get(user)?.status ?? 'offline') === status) return;
    const seen = this.#clock.now();
    this.roster.state(this.#signals.node, [user, status, seen], convs);
    this.#signals.publish({ is: 'presence', user, status, seen, convs });
  }
}
