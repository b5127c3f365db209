// What every view of somebody signed in has at hand, and the hooks that watch it.
import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { Profile } from '../../client/http.ts';
import type { Conversation, PresenceStatus } from '../../client/types.ts';
import type { Account } from '../store/account.ts';
import { useCell } from '../store/cell.ts';

/** What may lie over the page. */
export type Over = 'switcher' | 'new' | 'rooms';

export const AccountContext = createContext<Account | null>(null);

export function useAccount(): Account {
  const account = useContext(AccountContext);
  if (account === null) throw new Error('nobody is signed in');
  return account;
}

/** The person, or null while their name is not known. */
export function usePerson(user: string): Profile | null {
  return useCell(useAccount().people.of(user));
}

/** What these are called, by their ids with blanks between; drawn again when a name is learnt. */
export function useNames(users: string): readonly string[] {
  const { people } = useAccount();
  const [, setSeen] = useState(0);
  const ids = users === '' ? [] : users.split(' ');
  useEffect(() => {
    const ends = ids.map((user) => people.of(user).watch(() => setSeen((seen) => seen + 1)));
    return () => {
      for (const end of ends) end();
    };
  }, [users, people]);
  return ids.map((user) => people.nameOf(user));
}

/** The conversation as it is now, drawn again at each change of it; undefined where one is not in it. */
export function useConversation(conv: string): Conversation | undefined {
  const { chat, news } = useAccount();
  useCell(news.of(conv));
  return chat.conversations.get(conv);
}

export function usePresence(user: string | undefined): PresenceStatus {
  const { chat, news } = useAccount();
  useCell(news.presence);
  return (user === undefined ? undefined : chat.presence.get(user)?.status) ?? 'offline';
}

/** What a conversation is called. */
export function useTitle(conversation: Conversation): string {
  const { people } = useAccount();
  const { peer, title, kind } = conversation;
  // Hooks are called in any case: of a conversation without a peer, oneself is watched.
  const { me } = useAccount();
  const person = useCell(people.of(peer ?? me.id));
  if (peer !== undefined) return person?.displayName ?? '…';
  return title || (kind === 'room' ? 'Untitled room' : kind === 'group' ? 'Untitled group' : '…');
}

/** As useTitle, outside of views. */
export function titleOf({ people }: Account, { peer, title, kind }: Conversation): string {
  if (peer !== undefined) return people.nameOf(peer);
  return title || (kind === 'room' ? 'Untitled room' : 'Untitled group');
}
