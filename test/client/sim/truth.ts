// What a server knows of conversations, by the letter of docs/protocol.md and by nothing of the server's own code: a log of
// changes for each, and what they add up to, counted by hand.
import type { ConvKind, Role, Standing } from '../../../src/client/types.ts';

export interface Change {
  readonly t: string;
  readonly conv: string;
  readonly seq: number;
  readonly from: string;
  readonly at: number;
  readonly key?: string;
  readonly [field: string]: unknown;
}

export interface Message {
  readonly is: 'message';
  readonly seq: number;
  readonly n: number;
  readonly rev: number;
  readonly from: string;
  readonly at: number;
  readonly key?: string;
  readonly text: string;
  readonly edited?: number;
  readonly deleted?: true;
  readonly reply?: number;
}

export interface Receipt {
  readonly seq?: number;
  readonly n?: number;
  readonly at?: number;
}

export type Draft = { readonly t: string; readonly [field: string]: unknown };

export class Refused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

export function isMember(standing: Standing | undefined): boolean {
  return standing !== undefined && standing !== 'none' && standing !== 'invited';
}

export class Truth {
  readonly conv: string;
  readonly kind: ConvKind;
  /** One of the parts of the log: each has its own epoch. */
  readonly part: number;
  log: Change[] = [];
  messages = new Map<number, Message>();
  members = new Map<string, { readonly role: Standing; readonly rev: number }>();
  fields: { readonly title?: string; readonly public?: boolean; readonly rev: number } = { rev: 0 };
  keys = new Map<string, Receipt>();
  readonly marks = new Map<string, number>();

  constructor(conv: string, kind: ConvKind, part: number) {
    this.conv = conv;
    this.kind = kind;
    this.part = part;
  }

  get head(): number {
    return this.log.length;
  }

  get n(): number {
    return this.messages.size;
  }

  standing(user: string): Standing {
    return this.members.get(user)?.role ?? 'none';
  }

  ordered(): Message[] {
    return [...this.messages.values()].sort((one, other) => one.seq - other.seq);
  }

  peerOf(user: string): string | undefined {
    return this.kind === 'direct' ? [...this.members.keys()].find((other) => other !== user) : undefined;
  }

  /** Appends a change and does what it says. */
  append(from: string, at: number, { t, ...fields }: Draft, key?: string): Change {
    const seq = this.head + 1;
    const number = t === 'message' ? { n: this.n + 1 } : {};
    const change: Change = {
      t,
      conv: this.conv,
      seq,
      ...number,
      from,
      at,
      ...(key === undefined ? {} : { key }),
      ...fields,
    };
    this.log.push(change);
    this.#apply(change);
    if (key !== undefined) this.keys.set(`${from} ${key}`, { seq, at, ...number });
    if (t === 'message') this.marks.set(from, this.n);
    return change;
  }

  #apply(change: Change): void {
    const { t, seq, at, conv: _, ...rest } = change;
    const of = change.of as number;
    const message = this.messages.get(of);
    if (t === 'message') {
      this.messages.set(seq, { is: 'message', rev: seq, seq, at, ...rest } as unknown as Message);
    } else if (t === 'edit' && message !== undefined && !message.deleted) {
      this.messages.set(of, { ...message, text: change.text as string, edited: at, rev: seq });
    } else if (t === 'delete' && message !== undefined) {
      const { edited: _edited, ...left } = message;
      this.messages.set(of, { ...left, text: '', deleted: true, rev: seq });
      this.#erase(of);
    } else if (t === 'conv') {
      const { title, public: isPublic } = change as { title?: string; public?: boolean };
      this.fields = {
        ...this.fields,
        ...(title === undefined ? {} : { title }),
        ...(isPublic === undefined ? {} : { public: isPublic }),
        rev: seq,
      };
      for (const { user, role } of (change.members ?? []) as { user: string; role: Role }[]) {
        this.members.set(user, { role, rev: seq });
      }
    } else if (t === 'member') {
      const role = { leave: 'none', kick: 'none', invite: 'invited' }[change.what as string] ?? change.role ?? 'member';
      this.members.set(change.user as string, { role: role as Standing, rev: seq });
    }
  }

  #erase(of: number): void {
    this.log = this.log.map((change) =>
      (change.t === 'message' && change.seq === of) || (change.t === 'edit' && change.of === of)
        ? { ...change, text: '', deleted: true }
        : change,
    );
  }

  /** The log loses its end, and with it all that this did. What was erased stays so, without what says why. */
  loseAfter(seq: number): void {
    const kept = this.log.slice(0, seq);
    const erased = new Set(kept.filter(({ t }) => t === 'delete').map(({ of }) => of));
    this.log = [];
    this.messages.clear();
    this.members.clear();
    this.keys.clear();
    this.fields = { rev: 0 };
    for (const { deleted, ...change } of kept) {
      const target = change.t === 'edit' ? change.of : change.seq;
      this.log.push(deleted && erased.has(target) ? ({ ...change, deleted } as Change) : (change as Change));
      this.#apply(change as Change);
      if (change.key !== undefined) {
        const { seq, at, n } = change as Change & { n?: number };
        this.keys.set(`${change.from} ${change.key}`, { seq, at, ...(n === undefined ? {} : { n }) });
      }
    }
  }

  // ---- reads -----------------------------------------------------------------------------------------------------

  /** States by `rev`, those of one together. */
  sync(after: number, limit: number): { readonly items: readonly object[]; readonly to: number } {
    const items: { rev: number }[] = [];
    for (const message of this.messages.values()) if (message.rev > after) items.push(message);
    for (const [user, { role, rev }] of this.members)
      if (rev > after) items.push({ is: 'member', user, role, rev } as never);
    const { rev, ...fields } = this.fields;
    if (rev > after) items.push({ is: 'conv', kind: this.kind, ...fields, rev } as never);
    items.sort((one, other) => one.rev - other.rev);
    const last = items[limit - 1]?.rev;
    const next = items.findIndex((item) => last !== undefined && item.rev > last);
    if (last === undefined || next === -1) return { items, to: this.head };
    return { items: items.slice(0, next), to: last };
  }

  history(
    query: { readonly before?: number; readonly after?: number; readonly around?: number },
    limit: number,
  ): object {
    const all = this.ordered();
    const { before, after, around } = query;
    if (around !== undefined) {
      const older = all.filter(({ seq }) => seq <= around).slice(-Math.ceil(limit / 2));
      const room = Math.max(1, limit - Math.ceil(limit / 2));
      const newer = all.filter(({ seq }) => seq > around).slice(0, room);
      return {
        items: [...older, ...newer],
        moreBefore: older.length < all.filter(({ seq }) => seq <= around).length,
        moreAfter: newer.length < all.filter(({ seq }) => seq > around).length,
      };
    }
    if (after !== undefined) {
      const rest = all.filter(({ seq }) => seq > after);
      return { items: rest.slice(0, limit), more: rest.length > limit };
    }
    const rest = all.filter(({ seq }) => before === undefined || seq < before);
    return { items: rest.slice(-limit), more: rest.length > limit };
  }

  /** Changes as they read now. */
  after(seq: number): readonly Change[] {
    return this.log.slice(seq);
  }
}
