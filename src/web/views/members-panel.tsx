// Who is in a conversation, and what its owners and moderators can do about it.
import { useEffect, useState } from 'preact/hooks';
import type { Profile } from '../../client/http.ts';
import type { Conversation, Role, Standing } from '../../client/types.ts';
import { useCell } from '../store/cell.ts';
import { membersOf } from '../store/members.ts';
import { say } from '../store/toasts.ts';
import { Avatar } from './avatar.tsx';
import { useAccount, useNames, usePerson, usePresence } from './context.ts';
import { Leaving, Names } from './conversation-settings.tsx';
import { Loading } from './field.tsx';
import { Icon } from './icon.tsx';
import { IconButton } from './icon-button.tsx';
import { PeoplePicker } from './people-picker.tsx';
import { useMenu } from './use-menu.ts';

const RANK = { owner: 0, moderator: 1, member: 2, invited: 3, none: 4 } as const;

interface PanelProps {
  readonly conversation: Conversation;
  readonly onClose: () => void;
}

export function MembersPanel({ conversation, onClose }: PanelProps) {
  const { role, kind, public: isPublic } = conversation;
  const isModerator = role === 'owner' || role === 'moderator';
  useEscape(onClose);
  return (
    <aside class="side" aria-label="Members and settings">
      <header>
        <h2>Members</h2>
        <IconButton name="close" label="Close" onClick={onClose} />
      </header>
      <div class="content">
        {isModerator && <Names conversation={conversation} />}
        {(kind === 'group' || isPublic === true || isModerator) && <Adding conversation={conversation} />}
        <MemberList conversation={conversation} />
        <Leaving conversation={conversation} />
      </div>
    </aside>
  );
}

function useEscape(onEscape: () => void): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !event.defaultPrevented && document.querySelector('dialog') === null) onEscape();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, [onEscape]);
}

function Adding({ conversation }: { readonly conversation: Conversation }) {
  const { chat, api } = useAccount();
  const [isOpen, setOpen] = useState(false);
  const members = useCell(membersOf(chat, api, conversation));
  const add = ({ id }: Profile) => {
    setOpen(false);
    api.addMembers(conversation.conv, [id]).catch((error: Error) => say(error.message));
  };
  return (
    <>
      <button type="button" class="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon name="compose" />
        {conversation.kind === 'room' && !conversation.public ? 'Invite people' : 'Add people'}
      </button>
      {isOpen && <PeoplePicker verb="Add" without={[...(members?.standings.keys() ?? [])]} onPick={add} />}
    </>
  );
}

function MemberList({ conversation }: { readonly conversation: Conversation }) {
  const { chat, api, me } = useAccount();
  const members = useCell(membersOf(chat, api, conversation));
  const users = [...(members?.standings.keys() ?? [])];
  const names = useNames(users.join(' '));
  if (members === null) return <Loading what="members" />;
  const rows = users.map((user, at) => ({
    user,
    name: names[at] ?? '',
    standing: members.standings.get(user) ?? 'none',
  }));
  rows.sort((one, other) => RANK[one.standing] - RANK[other.standing] || one.name.localeCompare(other.name));
  return (
    <>
      <ul class="results" aria-label="Members">
        {rows.map(({ user, standing }) => (
          <MemberRow key={user} conversation={conversation} user={user} standing={standing} isMe={user === me.id} />
        ))}
      </ul>
      {!members.areAll && <p class="soft">These are the first {rows.length}; there are more.</p>}
    </>
  );
}

interface MemberProps {
  readonly conversation: Conversation;
  readonly user: string;
  readonly standing: Standing;
  readonly isMe: boolean;
}

const ROLES = { owner: 'Owner', moderator: 'Moderator', member: '', invited: 'Invited', none: '' } as const;

function MemberRow({ conversation, user, standing, isMe }: MemberProps) {
  const person = usePerson(user);
  const status = usePresence(user);
  const { role } = conversation;
  const mayRemove = !isMe && (role === 'owner' || (role === 'moderator' && standing !== 'owner'));
  const name = person?.displayName ?? '…';
  return (
    <li class="result">
      <Avatar id={user} name={name} size="small" status={isMe ? 'online' : status} />
      <span class="clip">
        <bdi>{name}</bdi>
        {isMe && <span class="soft"> (you)</span>}
        {ROLES[standing] !== '' && <small>{ROLES[standing]}</small>}
      </span>
      {mayRemove && <MemberMenu conversation={conversation} user={user} name={name} standing={standing} />}
    </li>
  );
}

function MemberMenu({ conversation, user, name, standing }: Omit<MemberProps, 'isMe'> & { readonly name: string }) {
  const { api } = useAccount();
  const { isOpen, setOpen, box } = useMenu();
  const { conv, role } = conversation;
  const act = (asked: Promise<unknown>) => {
    setOpen(false);
    asked.catch((error: Error) => say(error.message));
  };
  const roles: readonly (readonly [Role, string])[] = [
    ['owner', 'Make owner'],
    ['moderator', 'Make moderator'],
    ['member', 'Make member'],
  ];
  return (
    <div class="anchor" ref={box}>
      <IconButton name="more" label={`Change ${name}`} size="small" isOpen={isOpen} onClick={() => setOpen(!isOpen)} />
      {isOpen && (
        <div class="menu member-menu">
          {role === 'owner' &&
            standing !== 'invited' &&
            roles
              .filter(([given]) => given !== standing)
              .map(([given, label]) => (
                <button key={given} type="button" onClick={() => act(api.setRole(conv, user, given))}>
                  {label}
                </button>
              ))}
          <button type="button" onClick={() => act(api.removeMember(conv, user))}>
            {standing === 'invited' ? 'Take back the invitation' : 'Remove'}
          </button>
        </div>
      )}
    </div>
  );
}
