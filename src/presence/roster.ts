// Who is there, on any node: what each node has stated of its users, merged when asked, and what of that has changed. A
// node's statements go with the node.
import type { Clock } from '../ports/clock.ts';
import type { NodeId, Stated } from '../ports/signals.ts';
import type { PresenceStatus } from '../protocol/answers.ts';
import type { ConvId, Millis, UserId } from '../protocol/ids.ts';

/** The first that one of the connections has is the user's. */
export const RANK: readonly PresenceStatus[] = ['busy', 'online', 'away'];

export interface Seen {
  readonly status: PresenceStatus;
  readonly seen: Millis;
}

/** A user's status is another than it was. */
export interface Told extends Seen {
  readonly user: UserId;
  /** Who hears of it; null: whoever shares a direct or group conversation with the user. */
  readonly convs: readonly ConvId[] | null;
}

/** What all statements of a node amount to. */
export interface Summary {
  readonly users: number;
  readonly digest: number;
}

interface Touched {
  readonly before: PresenceStatus;
  seen: Millis;
  convs: readonly ConvId[] | null;
}

export class Roster {
  readonly #clock: Clock;
  readonly #nodes = new Map<NodeId, Statements>();
  #touched = new Map<UserId, Touched>();
  readonly #subscribers = new Set<(told: readonly Told[]) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: offline. */
  of(user: UserId): Seen | undefined {
    let first: Seen | undefined;
    for (const { users } of this.#nodes.values()) {
      const seen = users.get(user);
      if (seen !== undefined && (first === undefined || comesBefore(seen, first))) first = seen;
    }
    return first;
  }

  statedBy(node: NodeId): ReadonlyMap<UserId, Seen> {
    return this.#nodes.get(node)?.users ?? new Map();
  }

  summaryOf(node: NodeId): Summary {
    const { users, digest } = this.#nodes.get(node) ?? NOTHING;
    return { users: users.size, digest };
  }

  /** What a node's connections of the user add up to. */
  state(node: NodeId, [user, status, seen]: Stated, convs: readonly ConvId[]): void {
    this.#touch(user, seen, convs);
    this.#statements(node).set(user, status === 'offline' ? null : { status, seen });
  }

  /** All that a node states, in the place of what it had stated before. */
  restate(node: NodeId, users: readonly Stated[]): void {
    const missing = new Set(this.statedBy(node).keys());
    for (const [user, status, seen] of users) {
      missing.delete(user);
      if (this.statedBy(node).get(user)?.status === status) continue;
      this.#touch(user, seen, null);
      this.#statements(node).set(user, { status, seen });
    }
    const now = this.#clock.now();
    for (const user of missing) {
      this.#touch(user, now, null);
      this.#statements(node).set(user, null);
    }
  }

  /** The node is no more. */
  drop(node: NodeId): void {
    this.restate(node, []);
    this.#nodes.delete(node);
  }

  /** Changes are told together, in the next turn of the event loop. */
  subscribe(onTold: (told: readonly Told[]) => void): () => void {
    this.#subscribers.add(onTold);
    return () => this.#subscribers.delete(onTold);
  }

  #statements(node: NodeId): Statements {
    const known = this.#nodes.get(node);
    if (known !== undefined) return known;
    const made = new Statements();
    this.#nodes.set(node, made);
    return made;
  }

  /** Before anything about the user changes. */
  #touch(user: UserId, seen: Millis, convs: readonly ConvId[] | null): void {
    if (this.#touched.size === 0) setImmediate(() => this.#tell());
    const touched = this.#touched.get(user);
    if (touched === undefined) {
      this.#touched.set(user, { before: this.of(user)?.status ?? 'offline', seen, convs });
      return;
    }
    touched.seen = seen;
    touched.convs = touched.convs === null ? null : convs;
  }

  #tell(): void {
    const touched = this.#touched;
    this.#touched = new Map();
    const told: Told[] = [];
    for (const [user, { before, seen, convs }] of touched) {
      const now = this.of(user) ?? { status: 'offline', seen };
      if (now.status !== before) told.push({ user, ...now, convs });
    }
    if (told.length === 0) return;
    for (const onTold of [...this.#subscribers]) onTold(told);
  }
}

/** Of one node; with a digest that is the same for the same statements, whatever order they were made in. */
class Statements {
  readonly users = new Map<UserId, Seen>();
  digest = 0;

  set(user: UserId, seen: Seen | null): void {
    const before = this.users.get(user);
    if (before !== undefined) this.digest ^= hashOf(user, before.status);
    if (seen !== null) this.digest ^= hashOf(user, seen.status);
    if (seen === null) this.users.delete(user);
    else this.users.set(user, seen);
  }
}

const NOTHING = new Statements();

/** Of two with one status the older: that is the one that was told. */
function comesBefore(one: Seen, other: Seen): boolean {
  const [rank, otherRank] = [RANK.indexOf(one.status), RANK.indexOf(other.status)];
  return rank === otherRank ? one.seen < other.seen : rank < otherRank;
}

/** FNV-1a, 32 bit. */
function hashOf(user: UserId, status: PresenceStatus): number {
  const text = `${status} ${user}`;
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  return state;
}
