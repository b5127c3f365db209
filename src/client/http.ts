// What goes over HTTP: people, conversations, members. Thin typed calls of the routes at /docs, and two that belong to a
// chat: `follow` tells it of conversations it has not heard of, `loadMembers` fills a list that the chat then keeps.
import type { Profile, Session } from './session.ts';
import type { Chat, Conversation, ConversationView, ConvKind, Cursors, Role, Standing } from './types.ts';

export { Refusal } from './refusal.ts';
export { type Keep, localKeep, type Profile, Session, type SessionOptions } from './session.ts';

export interface Page<Item> {
  readonly items: readonly Item[];
  /** For the next page; none after the last. */
  readonly cursor?: string;
}

export interface PageQuery {
  readonly cursor?: string | undefined;
  /** 1-100, 50 by default. */
  readonly limit?: number;
}

export interface Room {
  readonly conv: string;
  readonly title?: string;
  readonly topic?: string;
  /** How many there are. */
  readonly members: number;
}

export interface Member {
  readonly user: string;
  readonly role: Standing;
}

export interface ConversationFields {
  readonly title?: string;
  readonly topic?: string;
  readonly public?: boolean;
}

/** Every call: @throws Refusal, `unavailable` where the server cannot be reached. */
export class Api {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** People whose name or display name begins so. */
  users(q: string, query: PageQuery = {}): Promise<Page<Profile>> {
    return this.#get('users', { q, ...query });
  }

  /** At most 100 of them. Those there are not are left out. */
  async profiles(ids: readonly string[]): Promise<readonly Profile[]> {
    if (ids.length === 0) return [];
    const { items } = await this.#get<Page<Profile>>('users', { ids: ids.join(','), limit: 100 });
    return items;
  }

  /** Latest active first, each with its newest message. */
  conversations(query: PageQuery = {}): Promise<Page<ConversationView>> {
    return this.#get('conversations', query);
  }

  conversation(conv: string): Promise<ConversationView> {
    return this.#get(`conversations/${conv}`);
  }

  /** A direct there is already is answered as it is. @param key repeats with it make one conversation */
  create(
    fields: ConversationFields & { readonly kind: ConvKind; readonly members?: readonly string[] },
    key?: string,
  ): Promise<ConversationView> {
    return this.#session.request('POST', 'conversations', fields, key === undefined ? {} : { key });
  }

  change(conv: string, fields: ConversationFields): Promise<ConversationView> {
    return this.#session.request('PATCH', `conversations/${conv}`, fields);
  }

  /** Ends it for everyone. */
  remove(conv: string): Promise<void> {
    return this.#session.request('DELETE', `conversations/${conv}`);
  }

  /** Public rooms by title. */
  rooms(q = '', query: PageQuery = {}): Promise<Page<Room>> {
    return this.#get('rooms', { ...(q === '' ? {} : { q }), ...query });
  }

  members(conv: string, query: PageQuery = {}): Promise<Page<Member>> {
    return this.#get(`conversations/${conv}/members`, query);
  }

  /** Adds to a group or public room, invites to a private room. At most 100. */
  addMembers(conv: string, users: readonly string[]): Promise<Page<Member>> {
    return this.#session.request('POST', `conversations/${conv}/members`, { users });
  }

  setRole(conv: string, user: string, role: Role): Promise<Member> {
    return this.#session.request('PATCH', `conversations/${conv}/members/${user}`, { role });
  }

  removeMember(conv: string, user: string): Promise<void> {
    return this.#session.request('DELETE', `conversations/${conv}/members/${user}`);
  }

  changePassword(current: string, password: string): Promise<void> {
    return this.#session.request('POST', 'users/me/password', { current, password });
  }

  changeProfile(fields: { readonly displayName?: string; readonly email?: string }): Promise<Profile> {
    return this.#session.request('PATCH', 'users/me', fields);
  }

  #get<Body>(path: string, query: Readonly<Record<string, string | number | undefined>> | PageQuery = {}) {
    const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, `${value}`]]));
    const search = new URLSearchParams(given as [string, string][]).toString();
    return this.#session.request<Body>('GET', search === '' ? path : `${path}?${search}`);
  }
}

const TRIES = 3;

/**
 * Keeps a chat's list complete: all conversations when it first comes online, what `ready` had no room for later, and
 * what they are called where the chat was told of an adding only. What cannot be asked now is asked at the next `online`.
 * @returns what ends it
 */
export function follow(chat: Chat, api: Api): () => void {
  /** Up to where each had been told when the connection ended; undefined where all of the list is to be asked for. */
  let left: Cursors['convs'] | undefined;
  let isDue = false;
  let listing = Promise.resolve();
  /** Those looked up now. */
  const asked = new Set<Conversation>();

  /** One after the other; of those that wait one is enough. */
  function list(): void {
    if (isDue) return;
    isDue = true;
    listing = listing.then(listNow).catch(() => {});
  }

  /** Latest active first: where one is as it was left, so are all after it. */
  async function listNow(): Promise<void> {
    const seqs = left;
    isDue = false;
    left = undefined;
    let cursor: string | undefined;
    do {
      const page = await api.conversations({ cursor, limit: 100 });
      chat.learn(page.items);
      cursor = page.items.some(({ conv, seq }) => seqs?.[conv] === seq) ? undefined : page.cursor;
    } while (cursor !== undefined);
    if (!isDue) left = {};
  }

  /** An answer that changes have overtaken is let go by the chat. */
  async function lookUp(conv: string): Promise<void> {
    for (let tries = 1; tries <= TRIES; tries++) {
      const view = await api.conversation(conv);
      chat.learn([view]);
      if (view.seq >= (chat.cursors().convs[conv] ?? 0)) return;
    }
  }

  function name(conversation: Conversation): void {
    if (conversation.kind !== undefined || asked.has(conversation)) return;
    asked.add(conversation);
    void lookUp(conversation.conv)
      .catch(() => {})
      .finally(() => asked.delete(conversation));
  }

  const ends = [
    chat.on('state', ({ state }) => {
      if (state === 'offline' && left !== undefined) left = chat.cursors().convs;
      if (state !== 'online') return;
      list();
      for (const conversation of chat.conversations.values()) name(conversation);
    }),
    chat.on('conversation', ({ conversation }) => name(conversation)),
    // A log that lost something may have brought back what one had left.
    chat.on('reset', () => {
      left = undefined;
      list();
    }),
  ];
  if (chat.state === 'online') list();
  return () => {
    for (const end of ends) end();
  };
}

/** Loads all members of a conversation into `conversation.members`; what changes meanwhile is laid over. */
export async function loadMembers(chat: Chat, api: Api, conversation: Conversation): Promise<void> {
  const meanwhile = new Map<string, Standing>();
  let isReset = false;
  const ends = [
    chat.on('member', ({ conversation: { conv }, user, role }) => {
      if (conv === conversation.conv) meanwhile.set(user, role);
    }),
    chat.on('reset', ({ conversation: { conv } }) => {
      isReset ||= conv === conversation.conv;
    }),
  ];
  try {
    const members = new Map<string, Standing>();
    let cursor: string | undefined;
    do {
      const page = await api.members(conversation.conv, { cursor, limit: 100 });
      for (const { user, role } of page.items) members.set(user, role);
      cursor = page.cursor;
    } while (cursor !== undefined);
    for (const [user, role] of meanwhile) {
      if (role === 'none') members.delete(user);
      else members.set(user, role);
    }
    if (isReset) return loadMembers(chat, api, conversation);
    conversation.members = members;
  } finally {
    for (const end of ends) end();
  }
}
