// A batch of changes on its way into the store: decides which of them are new, says what must be read before they can be
// folded, and what has to be written then. Refuses a batch that would leave a hole (law 2), and a change whose wire is not
// its own: a reader would fail on it for ever. Knows documents, and no database.
import type { Change, Head } from '../../ports/log.ts';
import { HoleError, PoisonError } from '../../ports/store.ts';
import { type ChangeBody, parseChange } from '../../protocol/changes.ts';
import type { ConvId, Seq } from '../../protocol/ids.ts';
import { memberStates, touchedBy } from '../../protocol/states.ts';
import { ConvFold, type FoundChange } from './conv-fold.ts';
import type { ChangeDoc, ChangeId, ConvDoc, MemberDoc, MemberId, TouchedDoc } from './documents.ts';

/** What must be known for the fold; nothing where all that is new are plain messages. */
export interface Needs {
  /** Messages that something acts on. */
  readonly messages: readonly ChangeId[];
  /** Messages that are deleted: their edits are needed. */
  readonly deleted: readonly ChangeId[];
  readonly convs: readonly ConvId[];
  readonly members: readonly MemberId[];
}

/** What there was of it. */
export interface Found {
  readonly changes: readonly FoundChange[];
  readonly touched: readonly Pick<TouchedDoc, '_id' | 'state'>[];
  readonly convs: readonly Pick<ConvDoc, '_id' | 'members' | 'state'>[];
  readonly members: readonly Pick<MemberDoc, '_id' | 'role'>[];
}

export interface Writes {
  readonly changes: readonly ChangeDoc[];
  readonly rewrites: readonly FoundChange[];
  readonly touched: readonly TouchedDoc[];
  readonly members: readonly MemberDoc[];
  readonly newConvs: readonly ConvDoc[];
  readonly movedConvs: readonly ConvDoc[];
}

export class Batch {
  readonly #folds = new Map<ConvId, ConvFold>();
  readonly #unseen: readonly (readonly [Change, ChangeBody])[];

  /**
   * @param heads of the conversations of the changes, as far as they are stored
   * @throws HoleError
   */
  constructor(changes: readonly Change[], heads: ReadonlyMap<ConvId, Head>) {
    for (const { conv } of changes) {
      if (!this.#folds.has(conv)) this.#folds.set(conv, new ConvFold(conv, heads.get(conv)));
    }
    this.#unseen = this.#unseenOf(changes);
  }

  get isEmpty(): boolean {
    return this.#unseen.length === 0;
  }

  /** Once folded: of all conversations of the batch. */
  heads(): ReadonlyMap<ConvId, Head> {
    return new Map([...this.#folds].map(([conv, { head }]) => [conv, head]));
  }

  needs(): Needs {
    const needs = { messages: [] as ChangeId[], deleted: [] as ChangeId[], members: [] as MemberId[] };
    const convs = new Set<ConvId>();
    for (const [, body] of this.#unseen) {
      const { conv } = body;
      for (const seq of touchedBy(body)) if (seq !== body.seq) needs.messages.push({ conv, seq });
      if (body.t === 'delete') needs.deleted.push({ conv, seq: body.of });
      if (body.t !== 'conv' && body.t !== 'member') continue;
      convs.add(conv);
      for (const { user } of memberStates(body)) needs.members.push({ conv, user });
    }
    return { ...needs, convs: [...convs] };
  }

  fold({ changes, touched, convs, members }: Found): Writes {
    for (const doc of changes) this.#of(doc._id.conv).takeChange(doc);
    for (const doc of touched) this.#of(doc._id.conv).takeTouched(doc);
    for (const doc of convs) this.#of(doc._id).takeConv(doc);
    for (const doc of members) this.#of(doc._id.conv).takeMember(doc);
    for (const [change, body] of this.#unseen) this.#of(change.conv).fold(change, body);
    return this.#writes();
  }

  #writes(): Writes {
    const folds = [...this.#folds.values()].filter(({ isNew, head }) => !isNew || head.seq > 0);
    return {
      changes: folds.flatMap((fold) => fold.changeDocs()),
      rewrites: folds.flatMap((fold) => fold.rewrites()),
      touched: folds.flatMap((fold) => fold.touchedDocs()),
      members: folds.flatMap((fold) => fold.memberDocs()),
      newConvs: folds.filter(({ isNew }) => isNew).map((fold) => fold.convDoc()),
      movedConvs: folds.filter(({ isNew, isMoved }) => isMoved && !isNew).map((fold) => fold.convDoc()),
    };
  }

  #unseenOf(changes: readonly Change[]): (readonly [Change, ChangeBody])[] {
    const seqs = new Map<ConvId, Seq>();
    const unseen: (readonly [Change, ChangeBody])[] = [];
    for (const change of changes) {
      const { conv, seq } = change;
      const last = seqs.get(conv) ?? this.#of(conv).head.seq;
      if (seq <= last) continue;
      if (seq > last + 1) throw new HoleError(conv, last + 1, seq);
      seqs.set(conv, seq);
      unseen.push([change, bodyOf(change)]);
    }
    return unseen;
  }

  #of(conv: ConvId): ConvFold {
    return this.#folds.get(conv) as ConvFold;
  }
}

function bodyOf({ conv, seq, type, wire }: Change): ChangeBody {
  const body = parsed(wire);
  if (body?.t === type && body.conv === conv && body.seq === seq) return body;
  throw new PoisonError(`the wire of change ${seq} of conversation ${conv} is not its own`);
}

/** What the parser says of bad JSON has a part of it in it. */
function parsed(wire: string): ChangeBody | null {
  try {
    return parseChange(wire);
  } catch {
    return null;
  }
}
