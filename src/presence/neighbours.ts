// The other nodes, as far as presence goes: what they state of their users, and whether they live. Signals may be lost, so
// every node tells every few seconds what its statements amount to; who has heard otherwise asks for all of them.
import type { Clock } from '../ports/clock.ts';
import type { NodeId, Signal, Signals, Stated } from '../ports/signals.ts';
import type { Millis } from '../protocol/ids.ts';
import { GRACE_MS } from './presence.ts';
import type { Roster } from './roster.ts';

const TICK_MS = 1_000;
const ALIVE_EVERY_MS = 3_000;
/** How long a node may be silent: with the ticks before and after well below 15 s. */
const LEASE_MS = 10_000;
/** A tick that comes so late says that this process stood still. */
const LATE_MS = 3_000;
const USERS_A_PART = 500;

type Part = Extract<Signal, { is: 'everyone' }>;

/**
 * Laws
 *  1. A user's status is the same on every node that hears the others: the first of busy, online, away that a connection
 *     has on any node; offline when no node states one.
 *  2. A node that dies takes its users with it: within 15 s they are offline wherever no other node has them. One that
 *     ends in good order leaves them the grace to come back by another.
 *  3. A lost signal misleads for at most two of the intervals at which nodes tell that they live.
 *  4. While this node cannot hear the others, or stood still itself, their silence tells nothing: nobody goes offline by it.
 */
export class Neighbours {
  readonly #signals: Signals;
  readonly #clock: Clock;
  readonly #roster: Roster;
  readonly #stops: readonly (() => void)[];
  /** Until when each of the others counts as living. */
  readonly #leases = new Map<NodeId, Millis>();
  /** Parts of all statements of a node that have come so far. */
  readonly #parts = new Map<NodeId, Stated[][]>();
  #isAsked = false;
  #tickedMs: Millis;
  #toldMs: Millis = Number.NEGATIVE_INFINITY;

  constructor(signals: Signals, clock: Clock, roster: Roster) {
    this.#signals = signals;
    this.#clock = clock;
    this.#roster = roster;
    this.#tickedMs = clock.monotonic();
    this.#stops = [
      signals.subscribe((signal, from) => this.#onSignal(signal, from)),
      clock.every(TICK_MS, () => this.#tick()),
    ];
    signals.publish({ is: 'who', node: null });
  }

  /** The process ends in good order. */
  stop(): void {
    for (const stop of this.#stops) stop();
    this.#signals.publish({ is: 'left' });
  }

  #onSignal(signal: Signal, from: NodeId): void {
    if (from === this.#signals.node) return;
    const leaseMs = signal.is === 'left' ? GRACE_MS : LEASE_MS;
    this.#leases.set(from, this.#clock.monotonic() + leaseMs);
    switch (signal.is) {
      case 'presence':
        return this.#roster.state(from, [signal.user, signal.status, signal.seen], signal.convs);
      case 'alive':
        return this.#compare(signal, from);
      case 'who':
        this.#isAsked ||= signal.node === null || signal.node === this.#signals.node;
        return;
      case 'everyone':
        return this.#collect(signal, from);
    }
  }

  #compare({ users, digest }: Extract<Signal, { is: 'alive' }>, from: NodeId): void {
    const known = this.#roster.summaryOf(from);
    if (known.users !== users || known.digest !== digest) this.#signals.publish({ is: 'who', node: from });
  }

  /** A part that is missing spoils the rest: the next comparison asks again. */
  #collect({ part, parts, users }: Part, from: NodeId): void {
    const come = part === 0 ? [] : this.#parts.get(from);
    if (come?.length !== part) return void this.#parts.delete(from);
    come.push([...users]);
    this.#parts.set(from, come);
    if (come.length < parts) return;
    this.#parts.delete(from);
    this.#roster.restate(from, come.flat());
  }

  #tick(): void {
    const now = this.#clock.monotonic();
    const stoodStill = now - this.#tickedMs > LATE_MS;
    this.#tickedMs = now;
    if (this.#signals.isCut || stoodStill) this.#renewAll(now);
    else this.#dropSilent(now);
    if (this.#isAsked) this.#tellEverything();
    if (now - this.#toldMs >= ALIVE_EVERY_MS) this.#tellAlive(now);
  }

  #renewAll(now: Millis): void {
    for (const node of this.#leases.keys()) this.#leases.set(node, now + LEASE_MS);
  }

  #dropSilent(now: Millis): void {
    for (const [node, untilMs] of this.#leases) {
      if (untilMs > now) continue;
      this.#leases.delete(node);
      this.#parts.delete(node);
      this.#roster.drop(node);
    }
  }

  #tellAlive(now: Millis): void {
    this.#toldMs = now;
    this.#signals.publish({ is: 'alive', ...this.#roster.summaryOf(this.#signals.node) });
  }

  /** In one turn: nothing that is stated meanwhile comes between the parts. */
  #tellEverything(): void {
    this.#isAsked = false;
    const stated = this.#roster.statedBy(this.#signals.node);
    const users = Array.from(stated, ([user, { status, seen }]): Stated => [user, status, seen]);
    const parts = Math.max(1, Math.ceil(users.length / USERS_A_PART));
    for (let part = 0; part < parts; part++) {
      const from = part * USERS_A_PART;
      this.#signals.publish({ is: 'everyone', part, parts, users: users.slice(from, from + USERS_A_PART) });
    }
  }
}
