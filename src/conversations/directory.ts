// The directory: this node's view of conversations and who is in them, loaded from the store, carried on by the tail.
// Authorisation reads it without waiting; what it cannot know yet is caught by the log's guard (law 11).
import type { ConversationStore, StoredConv } from '../ports/conversations.ts';
import type { Change, Head } from '../ports/log.ts';
import { type ChangeBody, movesGuard, parseChange } from '../protocol/changes.ts';
import { type ConvId, type ConvKind, isMember, type Seq, type Standing, type UserId } from '../protocol/ids.ts';
import { type ConvState, foldConv, memberStates } from '../protocol/states.ts';
import type { TailMemory } from '../tail/index.ts';

/** More than one, so that what has fallen out of use goes faster than others come. */
const LOOKS = 2;
const NO_HEAD: Head = { seq: 0, n: 0, guard: 0, at: 0 };

/** A conversation as this node knows it. Mutable, changed by the directory only. */
export class Conversation {
  readonly id: ConvId;
  state: ConvState;
  head: Head = NO_HEAD;
  /** Everyone who is a member or invited. */
  readonly members = new Map<UserId, Standing>();

  constructor(id: ConvId, state: ConvState) {
    this.id = id;
    this.state = state;
  }

  get kind(): ConvKind {
    return this.state.kind;
  }

  get deleted(): boolean {
    return this.state.deleted === true;
  }

  standing(user: UserId): Standing {
    return this.members.get(user) ?? 'none';
  }

  has(user: UserId): boolean {
    return !this.deleted && isMember(this.members.get(user));
  }

  owners(): number {
    let count = 0;
    for (const standing of this.members.values()) if (standing === 'owner') count++;
    return count;
  }

  /** The other side of a direct. */
  peerOf(user: UserId): UserId | undefined {
    if (this.kind !== 'direct') return undefined;
    for (const member of this.members.keys()) if (member !== user) return member;
    return undefined;
  }
}

export class Directory {
  readonly #store: ConversationStore;
  readonly #tail: TailMemory;
  readonly #keep: number;
  readonly #inUse: (conv: ConvId) => boolean;
  readonly #known = new Map<ConvId, Conversation>();
  readonly #loading = new Map<ConvId, Promise<void>>();
  #waiting: { conv: ConvId; seq: Seq; resolve: () => void }[] = [];
  /** How often this view has begun again. */
  #began = 0;
  /** Counts changes of membership and settings: what was authorised under an older count may be outdated. */
  guardMoves = 0;

  /**
   * @param keep how many conversations nobody here is connected to are kept
   * @param inUse whether somebody connected here is in the conversation
   */
  constructor(store: ConversationStore, tail: TailMemory, keep: number, inUse: (conv: ConvId) => boolean) {
    this.#store = store;
    this.#tail = tail;
    this.#keep = keep;
    this.#inUse = inUse;
  }

  get size(): number {
    return this.#known.size;
  }

  /** What is known without waiting. */
  peek(conv: ConvId): Conversation | undefined {
    return this.#known.get(conv);
  }

  /** The conversation, or undefined where there is none. */
  async get(conv: ConvId): Promise<Conversation | undefined> {
    if (!this.#known.has(conv)) await this.load([conv]);
    return this.#known.get(conv);
  }

  /** Makes conversations known; those that do not exist stay unknown. */
  async load(convs: readonly ConvId[]): Promise<void> {
    const missing = convs.filter((conv) => !this.#known.has(conv) && !this.#loading.has(conv));
    if (missing.length > 0) {
      const loading = this.#fetch(missing).finally(() => {
        for (const conv of missing) this.#loading.delete(conv);
      });
      for (const conv of missing) this.#loading.set(conv, loading);
    }
    await Promise.all(new Set(convs.flatMap((conv) => this.#loading.get(conv) ?? [])));
  }

  /**
   * All conversations of a user, those it is invited to included.
   * @param use is given them in the very moment they are right: from then on the tail tells what changes
   */
  async ofUser(user: UserId, use: (convs: Set<ConvId>) => void): Promise<void> {
    const began = this.#began;
    const pin = this.#tail.pin();
    try {
      const stored = await this.#store.ofUser(user);
      if (began !== this.#began) return await this.ofUser(user, use);
      const convs = new Set(stored.map(({ conv }) => conv));
      for (const change of this.#tail.unstoredGuards()) applyToUser(convs, user, parseChange(change.wire));
      use(convs);
    } finally {
      pin.release();
    }
  }

  /** Carries the view on by one change of the tail. */
  onChange(change: Change): void {
    if (movesGuard(change.type)) this.guardMoves++;
    const conversation = this.#known.get(change.conv);
    if (conversation !== undefined) advance(conversation, change);
    else if (change.type === 'conv' && change.seq === 1) this.#remember(created(change));
    if (this.#waiting.length > 0) this.#wake(change.conv, change.seq);
  }

  /** Begins again, where the log went on without this node: what is known is loaded anew, who waits looks again. */
  restart(): void {
    this.#began++;
    this.#known.clear();
    this.guardMoves++;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve } of waiting) resolve();
  }

  /** Resolves when this node has seen a change that the log told of. */
  reach(conv: ConvId, seq: Seq): Promise<void> {
    const known = this.#known.get(conv);
    if (known !== undefined && known.head.seq >= seq) return Promise.resolve();
    // One that was let go of may have passed it already. Where it cannot be loaded, the next change of it will tell.
    if (known === undefined)
      this.load([conv]).then(
        () => this.#wake(conv, this.#known.get(conv)?.head.seq ?? 0),
        () => {},
      );
    return new Promise((resolve) => this.#waiting.push({ conv, seq, resolve }));
  }

  async #fetch(convs: readonly ConvId[]): Promise<void> {
    const began = this.#began;
    const pin = this.#tail.pin();
    try {
      const stored = new Map((await this.#store.load(convs)).map((entry) => [entry.conv, entry]));
      // What was asked before the node began again is of a view that is no more.
      if (began !== this.#began) return await this.#fetch(convs);
      for (const conv of convs) {
        if (this.#known.has(conv)) continue;
        const conversation = this.#assemble(conv, stored.get(conv));
        if (conversation !== undefined) this.#remember(conversation);
      }
    } finally {
      pin.release();
    }
  }

  /** The store's view with the tail laid over it. */
  #assemble(conv: ConvId, stored: StoredConv | undefined): Conversation | undefined {
    const newer = this.#tail.after(conv, stored?.head.seq ?? 0) ?? [];
    if (stored === undefined) {
      const [first, ...rest] = newer;
      if (first === undefined) return undefined;
      const conversation = created(first);
      for (const change of rest) advance(conversation, change);
      return conversation;
    }
    const conversation = new Conversation(conv, stored.state);
    conversation.head = stored.head;
    for (const { user, role } of stored.members) conversation.members.set(user, role);
    for (const change of newer) advance(conversation, change);
    return conversation;
  }

  #remember(conversation: Conversation): void {
    this.#known.set(conversation.id, conversation);
    if (this.#known.size > this.#keep) this.#forget();
  }

  /**
   * Looks at the longest known: those that nobody here is in go, the others come last again. A bounded number for each
   * that comes: where all are in use the look is in vain, and whoever loads some has not entered them yet.
   */
  #forget(): void {
    let looks = LOOKS;
    for (const [conv, conversation] of this.#known) {
      if (looks-- === 0 || this.#known.size <= this.#keep) return;
      this.#known.delete(conv);
      if (this.#inUse(conv)) this.#known.set(conv, conversation);
    }
  }

  #wake(conv: ConvId, head: Seq): void {
    const reached = new Set(this.#waiting.filter((waiter) => waiter.conv === conv && head >= waiter.seq));
    if (reached.size === 0) return;
    this.#waiting = this.#waiting.filter((waiter) => !reached.has(waiter));
    for (const waiter of reached) waiter.resolve();
  }
}

function created(change: Change): Conversation {
  const body = parseChange(change.wire);
  if (body.t !== 'conv') throw new Error(`conversation ${change.conv} does not begin with its creation`);
  const conversation = new Conversation(change.conv, foldConv(undefined, body));
  advance(conversation, change);
  return conversation;
}

function advance(conversation: Conversation, change: Change): void {
  const { head } = conversation;
  if (change.seq <= head.seq) return;
  const guard = movesGuard(change.type) ? change.seq : head.guard;
  conversation.head = { seq: change.seq, n: change.n > 0 ? change.n : head.n, guard, at: change.at };
  if (!movesGuard(change.type)) return;
  const body = parseChange(change.wire);
  if (body.t === 'conv') conversation.state = foldConv(conversation.state, body);
  if (body.t !== 'conv' && body.t !== 'member') return;
  for (const { user, role } of memberStates(body)) {
    if (role === 'none') conversation.members.delete(user);
    else conversation.members.set(user, role);
  }
}

/** What a change of membership does to the list of one user's conversations. */
export function applyToUser(convs: Set<ConvId>, user: UserId, body: ChangeBody): void {
  if (body.t !== 'conv' && body.t !== 'member') return;
  if (body.t === 'conv' && body.deleted) convs.delete(body.conv);
  for (const member of memberStates(body)) {
    if (member.user !== user) continue;
    if (member.role === 'none') convs.delete(body.conv);
    else convs.add(body.conv);
  }
}
