// A quiet line between messages: somebody came, left, or may do something else now.
import type { ComponentChildren } from 'preact';
import type { Note } from '../store/notes.ts';
import { useAccount, usePerson } from './context.ts';
import { moment } from './words.ts';

const ROLES = { owner: 'an owner', moderator: 'a moderator', member: 'a member' } as const;

export function NoteRow({ note }: { readonly note: Note }) {
  const { at, from, user, what, role = 'member' } = note;
  const by = useName(from, 'You');
  const who = useName(user, 'You');
  const whom = useName(user, 'you');
  const sentences: Readonly<Record<string, ComponentChildren>> = {
    join: <>{who} joined</>,
    leave: <>{who} left</>,
    add: (
      <>
        {by} added {whom}
      </>
    ),
    invite: (
      <>
        {by} invited {whom}
      </>
    ),
    kick: (
      <>
        {by} removed {whom}
      </>
    ),
    ban: (
      <>
        {by} banned {whom}
      </>
    ),
    role: (
      <>
        {by} made {whom} {ROLES[role]}
      </>
    ),
  };
  return (
    <li class="note" title={moment(at)}>
      {sentences[what]}
    </li>
  );
}

function useName(user: string, me: string) {
  const account = useAccount();
  const name = usePerson(user)?.displayName ?? '…';
  return user === account.me.id ? me : <bdi>{name}</bdi>;
}
