// One conversation: its head, its messages, where one writes, and the panel of its members.
import { useEffect, useState } from 'preact/hooks';
import type { Conversation } from '../../client/types.ts';
import { isRefusal } from '../store/account.ts';
import { useCell } from '../store/cell.ts';
import { membersOf } from '../store/members.ts';
import type { Line } from '../store/timeline.ts';
import { Avatar } from './avatar.tsx';
import { Composer } from './composer.tsx';
import { useAccount, useConversation, usePresence, useTitle } from './context.ts';
import { iconOf } from './conversation-list.tsx';
import { Loading } from './field.tsx';
import { Icon } from './icon.tsx';
import { IconButton } from './icon-button.tsx';
import { MembersPanel } from './members-panel.tsx';
import { Messages } from './messages.tsx';
import { TypingLine } from './typing-line.tsx';
import { count, shortTime } from './words.ts';

export function ConversationView({ conv }: { readonly conv: string }) {
  const conversation = useConversation(conv);
  const { chat, news } = useAccount();
  useCell(news.list);
  useCell(news.state);
  if (conversation !== undefined && conversation.role === 'invited') return <Invitation conversation={conversation} />;
  if (conversation !== undefined && conversation.role !== 'none') return <Open conversation={conversation} />;
  if (chat.me === undefined)
    return (
      <div class="pane">
        <Loading what="the conversation" />
      </div>
    );
  return <Outside conv={conv} />;
}

function Open({ conversation }: { readonly conversation: Conversation }) {
  const { conv } = conversation;
  const [hasPanel, setPanel] = useState(false);
  const [answering, setAnswering] = useState<Line | null>(null);
  const [editing, setEditing] = useState<string | null>(null);
  const stopEditing = () => {
    setEditing(null);
    document.querySelector<HTMLElement>('.composer textarea')?.focus();
  };
  return (
    <div class={hasPanel ? 'pane beside' : 'pane'}>
      <section class="conversation" aria-labelledby="conversation-title">
        <Head conversation={conversation} hasPanel={hasPanel} onPanel={() => setPanel(!hasPanel)} />
        <Messages
          key={conv}
          conversation={conversation}
          editing={editing}
          onEdit={setEditing}
          onEdited={stopEditing}
          onReply={setAnswering}
        />
        <div class="foot">
          <Composer
            conversation={conversation}
            answering={answering}
            onAnswered={() => setAnswering(null)}
            onEditLast={setEditing}
          />
          <TypingLine conversation={conversation} />
        </div>
      </section>
      {hasPanel && <MembersPanel conversation={conversation} onClose={() => setPanel(false)} />}
    </div>
  );
}

interface HeadProps {
  readonly conversation: Conversation;
  readonly hasPanel: boolean;
  readonly onPanel: () => void;
}

function Head({ conversation, hasPanel, onPanel }: HeadProps) {
  const title = useTitle(conversation);
  const { peer, conv } = conversation;
  const status = usePresence(peer);
  return (
    <header class="conversation-head">
      <a href="/" class="icon-button back" aria-label="Back to the list">
        <Icon name="back" />
      </a>
      <Avatar
        id={peer ?? conv}
        name={title}
        icon={iconOf(conversation)}
        status={peer === undefined ? undefined : status}
      />
      <div class="names">
        <h2 id="conversation-title" class="clip">
          <bdi>{title}</bdi>
        </h2>
        <About conversation={conversation} />
      </div>
      {conversation.kind !== 'direct' && (
        <IconButton name="people" label="Members and settings" isOpen={hasPanel} onClick={onPanel} />
      )}
    </header>
  );
}

const STATUS = { online: 'Online', away: 'Away', busy: 'Busy', offline: 'Offline' } as const;

function About({ conversation }: { readonly conversation: Conversation }) {
  return conversation.peer === undefined ? (
    <AboutMany conversation={conversation} />
  ) : (
    <AboutPeer peer={conversation.peer} />
  );
}

function AboutPeer({ peer }: { readonly peer: string }) {
  const { chat } = useAccount();
  const status = usePresence(peer);
  const seen = chat.presence.get(peer)?.seen ?? 0;
  return <p class="clip">{status === 'offline' && seen > 0 ? `Last seen ${shortTime(seen)}` : STATUS[status]}</p>;
}

function AboutMany({ conversation }: { readonly conversation: Conversation }) {
  const { chat, api, me, news } = useAccount();
  useCell(news.presence);
  const members = useCell(membersOf(chat, api, conversation));
  const inside = [...(members?.standings ?? [])].filter(([, role]) => role !== 'invited').map(([user]) => user);
  const isHere = (user: string) => user === me.id || (chat.presence.get(user)?.status ?? 'offline') !== 'offline';
  const present = inside.filter(isHere).length;
  const parts = [
    members === null ? '' : members.areAll ? count(inside.length, 'member') : `over ${inside.length} members`,
    present > 1 ? `${present} online` : '',
    conversation.topic ?? '',
  ];
  return (
    <p class="clip">
      <bdi>{parts.filter((part) => part !== '').join(' · ') || '\u00a0'}</bdi>
    </p>
  );
}

function Invitation({ conversation }: { readonly conversation: Conversation }) {
  const { chat } = useAccount();
  const title = useTitle(conversation);
  return (
    <div class="pane">
      <div class="empty">
        <Icon name="talk" />
        <h2>
          <bdi>{title}</bdi>
        </h2>
        {conversation.topic !== undefined && <p>{conversation.topic}</p>}
        <p>You are invited to this room.</p>
        <div class="actions">
          <button type="button" class="button primary" onClick={() => chat.join(conversation.conv)}>
            Join
          </button>
          <button type="button" class="button" onClick={() => conversation.leave()}>
            Decline
          </button>
        </div>
      </div>
    </div>
  );
}

type Standing = 'asking' | 'public' | 'closed' | 'unknown';

/** An address of a conversation one is not in: a public room can be entered. */
function Outside({ conv }: { readonly conv: string }) {
  const { chat, api, news } = useAccount();
  useCell(news.state);
  const isOnline = chat.state === 'online';
  const [standing, setStanding] = useState<Standing>('asking');
  useEffect(() => {
    let isOver = false;
    const settle = (found: Standing) => !isOver && setStanding(found);
    api.conversation(conv).then(
      (view) => chat.learn([view]),
      (error: unknown) => {
        const code = isRefusal(error) ? error.code : 'internal';
        settle(code === 'forbidden' ? 'public' : code === 'not_found' ? 'closed' : 'unknown');
      },
    );
    return () => {
      isOver = true;
    };
  }, [conv, api, chat, isOnline]);
  if (standing === 'asking')
    return (
      <div class="pane">
        <Loading what="the conversation" />
      </div>
    );
  return (
    <div class="pane">
      <div class="empty">
        <Icon name={standing === 'public' ? 'hash' : 'lock'} />
        <h2>{standing === 'public' ? 'A room you are not in' : 'Nothing to see here'}</h2>
        <p>
          {standing === 'public'
            ? 'Join it to read what was said and to write.'
            : standing === 'closed'
              ? 'There is no such conversation, or you are not in it (any more).'
              : 'The server could not be asked about this conversation.'}
        </p>
        <div class="actions">
          {standing === 'public' && (
            <button type="button" class="button primary" onClick={() => chat.join(conv)}>
              Join
            </button>
          )}
          <a class="button" href="/">
            Back to the list
          </a>
        </div>
      </div>
    </div>
  );
}
