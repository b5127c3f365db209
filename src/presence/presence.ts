// Who is there. A user's status is the first of busy, online, away that one of its connections has; `offline` only after a
// grace, so that a reload is not seen. Told by signals; nothing of it is stored.
import type { Clock } from '../ports/clock.ts';
import type { Signals } from '../ports/signals.ts';
import type { PresenceStatus } from '../protocol/answers.ts';
import type { ConvId, Millis, UserId } from '../protocol/ids.ts';

const GRACE_MS = 5_000;
const RANK: readonly PresenceStatus[] = ['busy', 'online', 'away'];

export interface Seen {
  readonly status: PresenceStatus;
  readonly seen: Millis;
}

export class Presence {
  readonly #signals: Signals;
  readonly #clock: Clock;
  /** Everybody who is not offline, as last told. */
  readonly #seen = new Map<UserId, Seen>();
  /** Users whose last connection has gone, and when that is told. In order of time. */
  readonly #leaving = new Map<UserId, { readonly dueMs: Millis; readonly convs: readonly ConvId[] }>();
  /** Cancels the wait for whoever leaves first; null while nobody does. */
  #cancel: (() => void) | null = null;

  constructor(signals: Signals, clock: Clock) {
    this.#signals = signals;
    this.#clock = clock;
  }

  /** Undefined: offline. */
  of(user: UserId): Seen | undefined {
    return this.#seen.get(user);
  }

  /**
   * The statuses of a user's connections have changed; none: the last one has gone.
   * @param convs who hears of it
   */
  onStatuses(user: UserId, statuses: readonly PresenceStatus[], convs: readonly ConvId[]): void {
    if (statuses.length === 0) {
      if (!this.#seen.has(user)) return;
      this.#leaving.set(user, { dueMs: this.#clock.monotonic() + GRACE_MS, convs });
      this.#cancel ??= this.#clock.after(GRACE_MS, () => this.#tellLeft());
      return;
    }
    this.#leaving.delete(user);
    this.#tell(user, RANK.find((status) => statuses.includes(status)) ?? 'offline', convs);
  }

  stop(): void {
    this.#cancel?.();
  }

  #tellLeft(): void {
    const now = this.#clock.monotonic();
    this.#cancel = null;
    for (const [user, { dueMs, convs }] of this.#leaving) {
      if (dueMs > now) {
        this.#cancel = this.#clock.after(dueMs - now, () => this.#tellLeft());
        return;
      }
      this.#leaving.delete(user);
      this.#tell(user, 'offline', convs);
    }
  }

  #tell(user: UserId, status: PresenceStatus, convs: readonly ConvId[]): void {
    if ((this.#seen.get(user)?.status ?? 'offline') === status) return;
    const seen = this.#clock.now();
    if (status === 'offline') this.#seen.delete(user);
    else this.#seen.set(user, { status, seen });
    this.#signals.publish({ is: 'presence', user, status, seen, convs });
  }
}
