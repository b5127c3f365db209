// What a conversation was at every one of its changes, from the files' own record: states by rev, members by seq, what was
// deleted when. Folded by rules of its own, so that it can be compared with what the server's fold has told clients.
import type { ItemState } from '../../src/protocol/states.ts';
import type { Change } from '../kit/frames.ts';

/** What is compared of an item; fields that are not there are left out. */
export type Shape = Readonly<Record<string, unknown>>;

interface Moment {
  readonly rev: number;
  readonly shape: Shape;
}

/** The text a change was made with, also where it has been erased since. */
type TextOf = (change: Change) => string;

const COMPARED = ['is', 'seq', 'n', 'rev', 'from', 'at', 'key', 'text', 'edited', 'deleted', 'user', 'role'] as const;

export class Timeline {
  /** By seq, as far as they are dense. */
  readonly changes: readonly Change[];
  /** Of each message, member and the conversation itself, ascending by rev. */
  readonly things = new Map<string, Moment[]>();
  /** By message: the seq that deleted it. */
  readonly deletions = new Map<number, number>();
  readonly #textOf: TextOf;

  constructor(changes: ReadonlyMap<number, Change>, textOf: TextOf) {
    this.#textOf = textOf;
    const dense: Change[] = [];
    for (let change = changes.get(1); change !== undefined; change = changes.get(dense.length + 1)) {
      dense.push(change);
      this.#fold(change);
    }
    this.changes = dense;
  }

  get head(): number {
    return this.changes.length;
  }

  /** The last moment of a thing that is not after a seq. */
  at(thing: string, seq: number): Moment | undefined {
    return this.things.get(thing)?.findLast(({ rev }) => rev <= seq);
  }

  isMemberAt(user: string, seq: number): boolean {
    const role = this.at(`member ${user}`, seq)?.shape.role;
    return role !== undefined && role !== 'none' && role !== 'invited';
  }

  /** Who a change may be pushed to, live: who is in before it, or by it. */
  mayHear(user: string, seq: number): boolean {
    return this.isMemberAt(user, seq - 1) || this.isMemberAt(user, seq);
  }

  #fold(change: Change): void {
    const { seq } = change;
    switch (change.t) {
      case 'conv':
        this.#put('conv', { is: 'conv', rev: seq });
        for (const { user, role } of change.members ?? []) this.#put(`member ${user}`, memberShape(user, role, seq));
        return;
      case 'member':
        return this.#put(`member ${change.user}`, memberShape(change.user, roleAfter(change.what, change.role), seq));
      case 'message': {
        const { n, from, at, key } = change;
        return this.#put(
          messageName(seq),
          shapeOf({ is: 'message', seq, n, rev: seq, from, at, key, text: this.#textOf(change) }),
        );
      }
      case 'edit':
        return this.#touch(change.of, { rev: seq, text: this.#textOf(change), edited: change.at });
      case 'delete':
        if (!this.deletions.has(change.of)) this.deletions.set(change.of, seq);
        return this.#touch(change.of, { rev: seq, text: '', deleted: true, edited: undefined });
    }
  }

  #touch(of: number, effect: Shape): void {
    const last = this.things.get(messageName(of))?.at(-1);
    if (last === undefined || last.shape.deleted === true) return;
    this.#put(messageName(of), shapeOf({ ...last.shape, ...effect }));
  }

  #put(thing: string, shape: Shape): void {
    const moments = this.things.get(thing) ?? [];
    moments.push({ rev: shape.rev as number, shape });
    this.things.set(thing, moments);
  }
}

function memberShape(user: string, role: string, rev: number): Shape {
  return { is: 'member', rev, user, role };
}

function roleAfter(what: string, role: string | undefined): string {
  if (what === 'leave' || what === 'kick' || what === 'ban') return 'none';
  return what === 'invite' ? 'invited' : (role ?? 'member');
}

export function messageName(seq: number): string {
  return `message ${seq}`;
}

export function thingOf(item: ItemState): string {
  if (item.is === 'message') return messageName(item.seq);
  return item.is === 'member' ? `member ${item.user}` : 'conv';
}

/** The compared fields of an item, in one order. */
export function shapeOf(item: object): Shape {
  const fields = item as Record<string, unknown>;
  if (fields.is === 'conv') return { is: 'conv', rev: fields.rev };
  return Object.fromEntries(COMPARED.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]]])));
}

export function sameShape(one: Shape, other: Shape): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
