// Random histories from a seed, and the naive model the stores are held against: it folds everything from the start for
// every question, with the protocol's own fold (law 6).
import type { Change, Head } from '../../src/ports/log.ts';
import type { HistoryPage, HistoryRange, StoredChange, SyncPage } from '../../src/ports/store.ts';
import {
  bodyText,
  type ChangeType,
  countsAsMessage,
  erasedWire,
  movesGuard,
  parseChange,
  wireText,
} from '../../src/protocol/changes.ts';
import type { ConvId, Key, Seq, Standing, UserId } from '../../src/protocol/ids.ts';
import {
  type ConvState,
  foldConv,
  foldMessage,
  type ItemState,
  type MemberState,
  type MessageState,
  memberStates,
  messageState,
  touchedBy,
} from '../../src/protocol/states.ts';

/** mulberry32: the same numbers for the same seed, everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** 0 <= x < 1 */
  next(): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** 0 <= x < bound, whole */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}

export const user = (name: string) => name as UserId;
export const conv = (name: string) => name as ConvId;
export const USERS = ['ann', 'bob', 'cid', 'dan', 'eve'].map(user);

/** Assembles changes as a log does: numbers, times and offsets. One part. */
export class Writer {
  readonly changes: Change[] = [];
  readonly #heads = new Map<ConvId, Head>();
  #at = 1_794_000_000_000;

  head(conv: ConvId): Head {
    return this.#heads.get(conv) ?? { seq: 0, n: 0, guard: 0, at: 0 };
  }

  write(conv: ConvId, type: ChangeType, from: UserId, fields: object, key: string | null = null): Change {
    const before = this.head(conv);
    const seq = before.seq + 1;
    const n = countsAsMessage(type) ? before.n + 1 : 0;
    const at = this.#at++;
    this.#heads.set(conv, { seq, n: n || before.n, guard: movesGuard(type) ? seq : before.guard, at });
    const wire = wireText(type, conv, seq, n, from, at, key, bodyText(fields));
    const offset = this.changes.length + 1;
    const change: Change = { part: 0, offset, conv, seq, n, type, from, at, key: key as Key | null, wire };
    this.changes.push(change);
    return change;
  }

  create(conv: ConvId, fields: object = {}, from: UserId = user('ann')): Change {
    const members = [{ user: from, role: 'owner' }];
    return this.write(conv, 'conv', from, { kind: 'group', title: 'a title', members, ...fields });
  }

  say(conv: ConvId, text: string, fields: object = {}, key: string | null = null): Change {
    return this.write(conv, 'message', user('ann'), { text, ...fields }, key);
  }
}

const TEXTS = ['hi', '', 'näïve ☃ 𝒳', '"thread":3,"text":"', 'a\nb\\"c', '\u202e rtl', 'long '.repeat(400)];

/** A history of several conversations, mixed as a log would hold them; edits and deletions of what is none included. */
export function randomChanges(seed: number, count: number, convs = 4): readonly Change[] {
  const random = new Random(seed);
  const writer = new Writer();
  const ids = Array.from({ length: convs }, (_, index) => conv(`conv-${index}`));
  for (let index = 0; index < count; index++) {
    const id = random.pick(ids);
    if (writer.head(id).seq === 0) createAny(random, writer, id);
    else changeAny(random, writer, id);
  }
  return writer.changes;
}

function createAny(random: Random, writer: Writer, id: ConvId): void {
  const members = USERS.filter((_, index) => index === 0 || random.chance(0.5)).map((user, index) => ({
    user,
    role: index === 0 ? 'owner' : 'member',
  }));
  const fields = { title: `Title of ${id}`, topic: 'x', public: random.chance(0.5), settings: { slow: 3 } };
  writer.write(
    id,
    'conv',
    random.pick(USERS),
    { kind: random.pick(['group', 'room']), ...fields, members },
    'creation',
  );
}

const KINDS: readonly [number, (random: Random, writer: Writer, id: ConvId) => [ChangeType, object]][] = [
  [45, (random) => ['message', { text: random.pick(TEXTS) }]],
  [
    5,
    (random) => [
      'message',
      {
        text: 'with',
        files: [{ id: 'f1', name: 'a.png', type: 'image/png', size: 3 }],
        mentions: [random.pick(USERS)],
      },
    ],
  ],
  [5, (random, writer, id) => ['message', { text: 're', reply: seqIn(random, writer, id) }]],
  [10, (random, writer, id) => ['message', { text: 'in thread', thread: seqIn(random, writer, id) }]],
  [
    13,
    (random, writer, id) => [
      'edit',
      { of: seqIn(random, writer, id), text: random.pick(TEXTS), ...mentionAny(random) },
    ],
  ],
  [6, (random, writer, id) => ['delete', { of: seqIn(random, writer, id) }]],
  [3, (random, writer, id) => ['react', { of: seqIn(random, writer, id), emoji: '👍', on: random.chance(0.7) }]],
  [2, (random, writer, id) => ['pin', { of: seqIn(random, writer, id), on: random.chance(0.7) }]],
  [7, (random) => ['member', { user: random.pick(USERS), ...memberAny(random) }]],
  [4, (random) => ['conv', { title: `Title ${random.below(9)}`, ...(random.chance(0.1) ? { deleted: true } : {}) }]],
];

const TICKETS = KINDS.flatMap(([weight, make]) => Array.from({ length: weight }, () => make));

function changeAny(random: Random, writer: Writer, id: ConvId): void {
  const [type, fields] = random.pick(TICKETS)(random, writer, id);
  writer.write(id, type, random.pick(USERS), fields, random.chance(0.8) ? `key-${writer.changes.length}` : null);
}

/** Any seq there is: not always a message's. */
function seqIn(random: Random, writer: Writer, id: ConvId): Seq {
  return 1 + random.below(writer.head(id).seq);
}

function mentionAny(random: Random): object {
  return random.chance(0.3) ? { mentions: ['all'] } : {};
}

function memberAny(random: Random): object {
  const what = random.pick(['join', 'leave', 'add', 'invite', 'kick', 'ban', 'role']);
  return what === 'role' ? { what, role: random.pick(['owner', 'moderator', 'member']) } : { what };
}

/** Cuts a history into batches, some of which begin with changes that were in one before. */
export function randomBatches(seed: number, changes: readonly Change[], largest = 40): readonly (readonly Change[])[] {
  const random = new Random(seed);
  const batches: (readonly Change[])[] = [];
  for (let start = 0; start < changes.length; ) {
    const end = start + 1 + random.below(largest);
    const overlap = random.chance(0.3) ? random.below(30) : 0;
    batches.push(changes.slice(Math.max(0, start - overlap), end));
    if (random.chance(0.2)) batches.push(random.pick(batches));
    start = end;
  }
  return batches;
}

/** The position after a batch. */
export function after(batch: readonly Change[]): readonly number[] {
  return [batch.at(-1)?.offset ?? 0];
}

/** What a conversation is after exactly the given changes. */
export class Model {
  readonly changes: readonly StoredChange[];
  readonly messages: readonly MessageState[];
  readonly members: readonly MemberState[];
  readonly state: ConvState | undefined;
  readonly upTo: Seq;

  constructor(changes: readonly Change[]) {
    const bodies = changes.map(({ wire }) => parseChange(wire));
    const messages = new Map<Seq, MessageState>();
    const members = new Map<UserId, MemberState>();
    let state: ConvState | undefined;
    for (const body of bodies) {
      if (body.t === 'message') messages.set(body.seq, messageState(body));
      for (const seq of touchedBy(body)) {
        const before = messages.get(seq);
        if (before !== undefined) messages.set(seq, foldMessage(before, body));
      }
      if (body.t === 'conv') state = foldConv(state, body);
      if (body.t !== 'conv' && body.t !== 'member') continue;
      for (const member of memberStates(body)) members.set(member.user, member);
    }
    this.messages = [...messages.values()];
    this.members = [...members.values()];
    this.state = state;
    this.upTo = changes.at(-1)?.seq ?? 0;
    this.changes = bodies.map((body, index) => {
      const { seq, wire } = changes[index] as Change;
      const of = body.t === 'message' ? body.seq : body.t === 'edit' ? body.of : 0;
      return { seq, wire: messages.get(of)?.deleted ? erasedWire(wire) : wire };
    });
  }

  get items(): readonly ItemState[] {
    const conv = this.state === undefined ? [] : [this.state];
    return sorted([...conv, ...this.members, ...this.messages]);
  }

  history(range: HistoryRange, limit: number): HistoryPage {
    const { upTo } = this;
    if ('before' in range) {
      const older = this.messages.filter(({ seq }) => seq < range.before);
      return { items: older.slice(Math.max(0, older.length - limit)), more: older.length > limit, upTo };
    }
    const newer = this.messages.filter(({ seq }) => seq > range.after);
    return { items: newer.slice(0, limit), more: newer.length > limit, upTo };
  }

  /** The law in words: up to `limit` items by rev, then those of the same rev as the last. */
  sync(cursor: Seq, limit: number): SyncPage {
    const { upTo } = this;
    const changed = this.items.filter(({ rev }) => rev > cursor);
    if (changed.length <= limit) return { items: changed, to: upTo, upTo };
    const to = changed[limit - 1]?.rev ?? upTo;
    const items = changed.filter(({ rev }) => rev <= to);
    return { items, to: items.length === changed.length ? upTo : to, upTo };
  }

  standing(user: UserId): Standing {
    return this.members.find((member) => member.user === user)?.role ?? 'none';
  }
}

/** Items by rev; those of one rev have no order of their own, so they are given one to be compared by. */
export function sorted(items: readonly ItemState[]): readonly ItemState[] {
  return [...items].sort((one, other) => one.rev - other.rev || (identity(one) < identity(other) ? -1 : 1));
}

export function identity(item: ItemState): string {
  if (item.is === 'message') return `message ${item.seq}`;
  return item.is === 'member' ? `member ${item.user}` : 'conv';
}

export function byConv(changes: readonly Change[]): ReadonlyMap<ConvId, readonly Change[]> {
  return Map.groupBy(changes, (change) => change.conv);
}
