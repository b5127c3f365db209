// One conversation while a batch of changes is folded into its views: head, state, members, and the messages that something
// acts on. States and fields are written once, however often the batch moves them. Knows documents, and no database.
import type { Change, Head } from '../../ports/log.ts';
import { type ChangeBody, erasedWire, type MessageChange, movesGuard, parseChange } from '../../protocol/changes.ts';
import { type ConvId, isMember, type Seq, type Standing, type UserId } from '../../protocol/ids.ts';
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
import type { ChangeDoc, ConvDoc, MemberDoc, TouchedDoc } from './documents.ts';

export type FoundChange = Pick<ChangeDoc, '_id' | 'type' | 'wire' | 'of' | 'fresh'>;

/** A change in play: one of the batch, or a stored one that something in the batch acts on. */
interface Entry {
  readonly doc: FoundChange;
  readonly isStored: boolean;
  isRewritten: boolean;
}

interface Target {
  state: MessageState;
  isMoved: boolean;
}

export class ConvFold {
  readonly conv: ConvId;
  readonly isNew: boolean;
  readonly #entries = new Map<Seq, Entry>();
  readonly #targets = new Map<Seq, Target>();
  readonly #roles = new Map<UserId, Standing>();
  readonly #movedMembers = new Map<UserId, MemberState>();
  #head: Head;
  #members = 0;
  #state: ConvState | undefined;
  #isStateMoved = false;

  constructor(conv: ConvId, stored: Head | undefined) {
    this.conv = conv;
    this.isNew = stored === undefined;
    this.#head = stored ?? { seq: 0, n: 0, guard: 0, at: 0 };
  }

  get head(): Head {
    return this.#head;
  }

  /** Whether fields of its own, or its members, are others now. */
  get isMoved(): boolean {
    return this.#isStateMoved || this.#movedMembers.size > 0;
  }

  takeChange(doc: FoundChange): void {
    this.#entries.set(doc._id.seq, { doc: { ...doc }, isStored: true, isRewritten: false });
  }

  takeTouched({ _id, state }: Pick<TouchedDoc, '_id' | 'state'>): void {
    this.#targets.set(_id.seq, { state: JSON.parse(state) as MessageState, isMoved: false });
  }

  takeConv({ members, state }: Pick<ConvDoc, 'members' | 'state'>): void {
    this.#members = members;
    if (state !== undefined) this.#state = JSON.parse(state) as ConvState;
  }

  takeMember({ _id, role }: Pick<MemberDoc, '_id' | 'role'>): void {
    this.#roles.set(_id.user, role);
  }

  fold(change: Change, body: ChangeBody): void {
    const { seq, n, type, at } = change;
    const head = this.#head;
    this.#head = { seq, n: n > 0 ? n : head.n, guard: movesGuard(type) ? seq : head.guard, at };
    this.#add(change, body);
    for (const touched of touchedBy(body)) if (touched !== seq) this.#touch(touched, body);
    if (body.t === 'conv') {
      this.#state = foldConv(this.#state, body);
      this.#isStateMoved = true;
    }
    if (body.t !== 'conv' && body.t !== 'member') return;
    for (const member of memberStates(body)) this.#putMember(member);
  }

  changeDocs(): ChangeDoc[] {
    const added = [...this.#entries.values()].filter(({ isStored }) => !isStored);
    return added.map(({ doc }) => doc as ChangeDoc);
  }

  /** Stored changes to be written again: their content erased, or their state kept elsewhere from now on. */
  rewrites(): FoundChange[] {
    const rewritten = [...this.#entries.values()].filter(({ isStored, isRewritten }) => isStored && isRewritten);
    return rewritten.map(({ doc }) => doc);
  }

  touchedDocs(): TouchedDoc[] {
    const moved = [...this.#targets.values()].filter(({ isMoved }) => isMoved);
    return moved.map(({ state }) => ({
      _id: { conv: this.conv, seq: state.seq },
      rev: state.rev,
      state: JSON.stringify(state),
    }));
  }

  memberDocs(): MemberDoc[] {
    return [...this.#movedMembers.values()].map(({ user, role, rev }) => ({
      _id: { conv: this.conv, user },
      role,
      rev,
      active: role !== 'none',
    }));
  }

  convDoc(): ConvDoc {
    const doc = { _id: this.conv, members: this.#members };
    return this.#isStateMoved && this.#state !== undefined ? { ...doc, ...stateFields(this.#state) } : doc;
  }

  /** An edit that comes after the deletion of its message is stored without its text too (law 7). */
  #add({ conv, seq, type, from, key, at, wire }: Change, body: ChangeBody): void {
    const of = body.t === 'edit' ? body.of : undefined;
    const isTooLate = of !== undefined && this.#target(of)?.state.deleted === true;
    const doc: ChangeDoc = {
      _id: { conv, seq },
      type,
      user: from,
      at,
      n: this.#head.n,
      guard: this.#head.guard,
      wire: isTooLate ? erasedWire(wire) : wire,
      ...(key === null ? {} : { key }),
      ...(of === undefined ? {} : { of }),
      ...(body.t === 'message' ? { fresh: seq } : {}),
    };
    this.#entries.set(seq, { doc, isStored: false, isRewritten: false });
  }

  #touch(seq: Seq, body: ChangeBody): void {
    const target = this.#target(seq);
    const entry = this.#entries.get(seq);
    if (target === undefined || entry === undefined) return;
    const state = foldMessage(target.state, body);
    if (state === target.state) return;
    if (state.deleted && !target.state.deleted) this.#erase(seq);
    target.state = state;
    target.isMoved = true;
    if (entry.doc.fresh === undefined) return;
    entry.isRewritten = true;
    delete entry.doc.fresh;
  }

  /** The message, and the edits of it so far. */
  #erase(message: Seq): void {
    for (const [seq, entry] of this.#entries) {
      if (seq !== message && entry.doc.of !== message) continue;
      entry.doc.wire = erasedWire(entry.doc.wire);
      entry.isRewritten = true;
    }
  }

  /** The message with a seq: of this batch, or one that was found. */
  #target(seq: Seq): Target | undefined {
    const known = this.#targets.get(seq);
    const doc = this.#entries.get(seq)?.doc;
    if (known !== undefined || doc?.type !== 'message') return known;
    const target = { state: messageState(parseChange(doc.wire) as MessageChange), isMoved: false };
    this.#targets.set(seq, target);
    return target;
  }

  #putMember(member: MemberState): void {
    const { user, role } = member;
    this.#members += Number(isMember(role)) - Number(isMember(this.#roles.get(user)));
    this.#roles.set(user, role);
    this.#movedMembers.set(user, member);
  }
}

function stateFields(state: ConvState): Pick<ConvDoc, 'rev' | 'state' | 'name' | 'listed' | 'deleted'> {
  const deleted = state.deleted === true;
  return {
    rev: state.rev,
    state: JSON.stringify(state),
    name: (state.title ?? '').toLowerCase(),
    listed: state.kind === 'room' && state.public === true && !deleted,
    deleted,
  };
}
