// Answers to `sync`: what changes left behind, each item once, in the order of the change that last touched it.
import type { Conversation } from '../conversations/index.ts';
import type { Change } from '../ports/log.ts';
import type { SyncPage } from '../ports/store.ts';
import { type ChangeBody, parseChange } from '../protocol/changes.ts';
import type { Seq } from '../protocol/ids.ts';
import { MAX_ANSWER_BYTES } from '../protocol/limits.ts';
import { type ItemState, type MessageState, memberStates, touchedBy } from '../protocol/states.ts';
import { foldAll, sentIn } from './pages.ts';

export interface SyncResult {
  readonly items: readonly ItemState[];
  readonly to: Seq;
  readonly head: Seq;
  readonly more: boolean;
}

export interface SyncQuery {
  readonly conversation: Conversation;
  readonly after: Seq;
  readonly limit: number;
}

/**
 * @param page the store's answer
 * @param newer the changes beyond it, up to the head
 * @param bases the messages they touch as they were before; null where a seq is no message
 */
export function joinSync(
  query: SyncQuery,
  page: SyncPage,
  newer: readonly ChangeBody[],
  bases: ReadonlyMap<Seq, MessageState | null>,
): SyncResult {
  const head = query.conversation.head.seq;
  // A change without effect (an edit of what was deleted meanwhile) leaves its message where it is in the page.
  const states = latestStates(query.conversation, newer, bases).filter(
    ({ rev }) => rev > query.after && rev > page.upTo,
  );
  const overtaken = new Set(states.map(identity));
  const items: ItemState[] = page.items.filter((item) => !overtaken.has(identity(item)));
  const isLast = page.to === page.upTo;
  const cut = isLast ? cutByRev([...items, ...states], query.limit, head) : cutByRev(items, query.limit, page.to);
  return { ...cut, head, more: cut.to < head };
}

/** An answer by changes alone takes no turn: many are made at one moment, when many fell behind together. */
const MOST_CHANGES = 128;
const MOST_CHANGES_BYTES = 32_768;

/** Whether what follows on the cursor is few enough changes to look through. */
export function isShort({ conversation, after }: SyncQuery): boolean {
  return conversation.head.seq - after <= MOST_CHANGES;
}

/** The answer by all changes after the cursor; null where it takes more than them, or they are long. */
export function syncOf(query: SyncQuery, changes: readonly Change[]): SyncResult | null {
  if (changes.reduce((bytes, { wire }) => bytes + wire.length, 0) > MOST_CHANGES_BYTES) return null;
  const newer = changes.map(({ wire }) => parseChange(wire));
  const bases = new Map(sentIn(newer).map((state) => [state.seq, state]));
  if (!newer.flatMap(touchedBy).every((seq) => bases.has(seq))) return null;
  return joinSync(query, { items: [], to: query.after, upTo: query.after }, newer, bases);
}

/** The states that changes leave behind: messages, members and the conversation itself, each once. */
function latestStates(
  conversation: Conversation,
  changes: readonly ChangeBody[],
  bases: ReadonlyMap<Seq, MessageState | null>,
): ItemState[] {
  const touched = [...new Set(changes.flatMap(touchedBy))];
  const messages = foldAll(
    touched.flatMap((seq) => bases.get(seq) ?? []),
    changes,
  );
  const others = new Map<string, ItemState>();
  for (const change of changes) {
    if (change.t === 'conv') others.set('conv', conversation.state);
    if (change.t !== 'conv' && change.t !== 'member') continue;
    for (const member of memberStates(change)) others.set(identity(member), member);
  }
  return [...messages, ...others.values()];
}

function identity(item: ItemState): string {
  if (item.is === 'message') return `message ${item.seq}`;
  return item.is === 'member' ? `member ${item.user}` : 'conv';
}

/** Of one rev the conversation first, then its members: the same from wherever they come. */
function byRev(one: ItemState, other: ItemState): number {
  return one.rev - other.rev || (identity(one) < identity(other) ? -1 : 1);
}

/** A page of states by rev; the items of one rev stay together, past `limit` and past the byte limit. */
function cutByRev(items: ItemState[], limit: number, to: Seq): { items: readonly ItemState[]; to: Seq } {
  items.sort(byRev);
  let bytes = 0;
  for (let index = 0; index < items.length; index++) {
    const item = items[index] as ItemState;
    const previous = items[index - 1];
    bytes += Buffer.byteLength(JSON.stringify(item));
    const full = index >= limit || bytes > MAX_ANSWER_BYTES;
    if (full && previous !== undefined && previous.rev !== item.rev) {
      return { items: items.slice(0, index), to: previous.rev };
    }
  }
  return { items, to };
}
