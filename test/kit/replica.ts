// A conversation as a client holds it: built from pushes and from pages of sync alone, by the rule of the protocol: what
// has a higher rev than what is held replaces it. Written apart from src/protocol/states.ts, to be compared with it.
import type { SyncAnswer } from '../../src/protocol/answers.ts';
import type { ItemState, MessageState } from '../../src/protocol/states.ts';
import type { Change } from './frames.ts';

type Held = { rev: number } & Record<string, unknown>;

export class Replica {
  /** Everything up to this change is in it: where a `since` may begin. */
  cursor = 0;
  readonly #messages = new Map<number, Held>();
  readonly #roles = new Map<string, Held>();

  /** Messages in order, as `history` gives them. */
  get messages(): readonly MessageState[] {
    const seqs = [...this.#messages.keys()].sort((one, other) => one - other);
    return seqs.map((seq) => this.#messages.get(seq) as unknown as MessageState);
  }

  /** Who is in, by id. */
  get roles(): Readonly<Record<string, string>> {
    const roles = [...this.#roles].map(([user, { role }]): [string, string] => [user, role as string]);
    return Object.fromEntries(roles.filter(([, role]) => role !== 'none'));
  }

  push(change: Change): void {
    if (change.seq <= this.cursor) return;
    if (change.seq !== this.cursor + 1) throw new Error(`${change.seq} does not follow ${this.cursor}`);
    this.cursor = change.seq;
    this.#apply(change);
  }

  /**
   * A page leaves out what changed again after its `to`: only the last page of a pull makes a cursor that changes can be
   * replayed on.
   */
  pull({ items, to, more }: SyncAnswer): void {
    for (const item of items) this.#take(item);
    if (!more) this.cursor = to;
  }

  #take(item: ItemState): void {
    if (item.is === 'message') keep(this.#messages, item.seq, item as unknown as Held);
    if (item.is === 'member') keep(this.#roles, item.user, { rev: item.rev, role: item.role });
  }

  #apply(change: Change): void {
    const { seq } = change;
    switch (change.t) {
      case 'message': {
        const { t: _t, conv: _conv, ...state } = change;
        return keep(this.#messages, seq, { is: 'message', rev: seq, ...state });
      }
      case 'edit':
        return this.#edit(change.of, seq, change.at, change);
      case 'delete':
        return this.#erase(change.of, seq);
      case 'conv':
        for (const { user, role } of change.members ?? []) keep(this.#roles, user, { rev: seq, role });
        return;
      case 'member':
        return keep(this.#roles, change.user, { rev: seq, role: roleAfter(change.what, change.role) });
    }
  }

  #edit(of: number, rev: number, at: number, { text, mentions }: Extract<Change, { t: 'edit' }>): void {
    const message = this.#messages.get(of);
    if (message === undefined || message.rev >= rev || message.deleted === true) return;
    const { mentions: _mentions, ...kept } = message;
    const edited = { ...kept, rev, text, edited: at };
    this.#messages.set(of, mentions === undefined ? edited : { ...edited, mentions });
  }

  #erase(of: number, rev: number): void {
    const message = this.#messages.get(of);
    if (message === undefined || message.rev >= rev) return;
    const { is, seq, n, from, at, key, reply } = message;
    const tombstone = { is, rev, seq, n, from, at, key, text: '', deleted: true, reply };
    this.#messages.set(of, JSON.parse(JSON.stringify(tombstone)) as Held);
  }
}

function keep<Key>(held: Map<Key, Held>, key: Key, state: Held): void {
  if (state.rev > (held.get(key)?.rev ?? 0)) held.set(key, state);
}

function roleAfter(what: string, role: string | undefined): string {
  if (what === 'leave' || what === 'kick' || what === 'ban') return 'none';
  return what === 'invite' ? 'invited' : (role ?? 'member');
}
