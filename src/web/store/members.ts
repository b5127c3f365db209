// Who is in a conversation, as far as it is looked at: some hundreds are loaded, and kept up to date; a room of thousands is
// never loaded whole.
import type { Api } from '../../client/http.ts';
import type { Chat, Conversation, Standing } from '../../client/types.ts';
import { Cell } from './cell.ts';

const PAGE = 100;
const MAX_LOADED = 300;

export interface Members {
  readonly standings: ReadonlyMap<string, Standing>;
  /** False: there are more. */
  readonly areAll: boolean;
}

const known = new WeakMap<Conversation, Cell<Members | null>>();

/** Null until they are loaded; asked for again where that failed. */
export function membersOf(chat: Chat, api: Api, conversation: Conversation): Cell<Members | null> {
  const cell = known.get(conversation);
  if (cell !== undefined) return cell;
  const fresh = new Cell<Members | null>(null);
  known.set(conversation, fresh);
  void load(chat, api, conversation, fresh).catch(() => known.delete(conversation));
  return fresh;
}

async function load(chat: Chat, api: Api, conversation: Conversation, cell: Cell<Members | null>): Promise<void> {
  const { conv } = conversation;
  // What changes while pages come is newer than they are.
  const meanwhile = new Map<string, Standing>();
  const ends = [
    chat.on('member', ({ conversation: { conv: changed }, user, role }) => {
      if (changed !== conv) return;
      meanwhile.set(user, role);
      if (cell.value !== null) cell.value = { ...cell.value, standings: withChange(cell.value.standings, user, role) };
    }),
    chat.on('reset', ({ conversation: { conv: changed } }) => changed === conv && forget()),
    chat.on('gone', ({ conversation: { conv: changed } }) => changed === conv && forget()),
  ];

  function forget(): void {
    for (const end of ends) end();
    known.delete(conversation);
  }

  try {
    let standings: ReadonlyMap<string, Standing> = new Map();
    let cursor: string | undefined;
    do {
      const page = await api.members(conv, { cursor, limit: PAGE });
      standings = new Map([...standings, ...page.items.map(({ user, role }) => [user, role] as const)]);
      cursor = page.cursor;
    } while (cursor !== undefined && standings.size < MAX_LOADED);
    for (const [user, role] of meanwhile) standings = withChange(standings, user, role);
    cell.value = { standings, areAll: cursor === undefined };
  } catch (error) {
    forget();
    throw error;
  }
}

function withChange(standings: ReadonlyMap<string, Standing>, user: string, role: Standing) {
  const next = new Map(standings);
  if (role === 'none') next.delete(user);
  else next.set(user, role);
  return next;
}
