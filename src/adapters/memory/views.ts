// What changes add up to, in the process's memory: the readable form of what the other adapters keep in tables.
// Refuses a batch that would leave a hole, before it touches anything.
import type { Change, Head, Position, Receipt } from '../../ports/log.ts';
import { EpochError, HoleError } from '../../ports/store.ts';
import { type ChangeBody, erasedWire, movesGuard, parseChange } from '../../protocol/changes.ts';
import type { ConvId, Seq, UserId } from '../../protocol/ids.ts';
import { keyTimeMs } from '../../protocol/key-time.ts';
import {
  type ConvState,
  foldConv,
  foldMessage,
  type MemberState,
  type MessageState,
  memberStates,
  messageState,
  touchedBy,
} from '../../protocol/states.ts';

export class ConvView {
  /** Change with seq s at index s - 1. */
  readonly changes: Change[] = [];
  readonly messages = new Map<Seq, MessageState>();
  readonly members = new Map<UserId, MemberState>();
  /** By user and key. */
  readonly receipts = new Map<string, Receipt>();
  state: ConvState | undefined;
  head: Head = { seq: 0, n: 0, guard: 0, at: 0 };

  apply(change: Change, body: ChangeBody): void {
    const { seq, at } = change;
    const guard = movesGuard(change.type) ? seq : this.head.guard;
    this.head = { seq, n: change.n > 0 ? change.n : this.head.n, guard, at };
    this.changes.push(change);
    if (change.key !== null) this.receipts.set(`${change.from} ${change.key}`, { seq, n: change.n, at });
    if (body.t === 'message') this.messages.set(seq, messageState(body));
    for (const touched of touchedBy(body)) this.#touch(touched, body);
    if (body.t === 'conv') this.state = foldConv(this.state, body);
    if (body.t !== 'conv' && body.t !== 'member') return;
    for (const member of memberStates(body)) this.members.set(member.user, member);
  }

  #touch(seq: Seq, body: ChangeBody): void {
    const before = this.messages.get(seq);
    if (before === undefined) return;
    const state = foldMessage(before, body);
    this.messages.set(seq, state);
    if (state.deleted) this.#erase(seq);
  }

  #erase(of: Seq): void {
    for (const [index, change] of this.changes.entries()) {
      if (concerns(change, of)) this.changes[index] = { ...change, wire: erasedWire(change.wire) };
    }
  }
}

function concerns(change: Change, of: Seq): boolean {
  if (change.type === 'message') return change.seq === of;
  const body = parseChange(change.wire);
  return body.t === 'edit' && body.of === of;
}

export class Views {
  readonly convs = new Map<ConvId, ConvView>();
  readonly watermark: number[] = [];
  /** Of the parts, as on record (log-record.ts). */
  readonly epochs: number[] = [];
  readonly latestKeysMs: number[] = [];

  /** @throws HoleError, EpochError; then nothing has changed */
  apply(changes: readonly Change[], upTo: Position, epochs: readonly number[]): void {
    const isOutdated = ({ part }: Change) => (epochs[part] ?? 0) !== (this.epochs[part] ?? 0);
    if (changes.some(isOutdated)) throw new EpochError();
    const newer = this.#unseen(changes);
    for (const [change, body] of newer) this.#view(change.conv).apply(change, body);
    for (const [{ part, key }] of newer) {
      if (key !== null) this.latestKeysMs[part] = Math.max(this.latestKeysMs[part] ?? 0, keyTimeMs(key));
    }
    for (const [part, offset] of upTo.entries()) {
      this.watermark[part] = Math.max(this.watermark[part] ?? 0, offset);
    }
  }

  upTo(conv: ConvId): Seq {
    return this.convs.get(conv)?.head.seq ?? 0;
  }

  receipt({ conv, from, key }: Pick<Change, 'conv' | 'from' | 'key'>): Receipt | undefined {
    return this.convs.get(conv)?.receipts.get(`${from} ${key}`);
  }

  #unseen(changes: readonly Change[]): [Change, ChangeBody][] {
    const heads = new Map<ConvId, Seq>();
    const newer: [Change, ChangeBody][] = [];
    for (const change of changes) {
      const head = heads.get(change.conv) ?? this.upTo(change.conv);
      if (change.seq <= head) continue;
      if (change.seq > head + 1) throw new HoleError(change.conv, head + 1, change.seq);
      if (this.receipt(change) !== undefined) throw new Error(`${change.conv} has a change of this key already`);
      heads.set(change.conv, change.seq);
      newer.push([change, parseChange(change.wire)]);
    }
    return newer;
  }

  #view(conv: ConvId): ConvView {
    let view = this.convs.get(conv);
    if (view === undefined) {
      view = new ConvView();
      this.convs.set(conv, view);
    }
    return view;
  }
}
