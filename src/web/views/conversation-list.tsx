// The list of conversations, latest active first: one stop for the Tab key, arrows go through it.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Chat, Conversation } from '../../client/types.ts';
import { useCell } from '../store/cell.ts';
import { pathOf, route } from '../store/route.ts';
import { Avatar } from './avatar.tsx';
import { type Over, useAccount, useConversation, usePerson, usePresence, useTitle } from './context.ts';
import { Loading } from './field.tsx';
import { Icon, type IconName } from './icon.tsx';
import { shortTime } from './words.ts';

export function orderOf(chat: Chat): readonly Conversation[] {
  return [...chat.conversations.values()].sort((one, other) => other.at - one.at || other.seq - one.seq);
}

export function ConversationList({ onOpen }: { readonly onOpen: (over: Over) => void }) {
  const { chat, news } = useAccount();
  useCell(news.list);
  useCell(news.state);
  const { conv: current } = useCell(route);
  const [focused, setFocused] = useState<string | null>(null);
  const list = useRef<HTMLUListElement>(null);
  const order = orderOf(chat);
  const isKnown = (conv: string | null) => conv !== null && chat.conversations.has(conv);
  const stop = isKnown(focused) ? focused : isKnown(current) ? current : order[0]?.conv;

  function onKeyDown(event: KeyboardEvent): void {
    const links = [...(list.current?.querySelectorAll('a') ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    const next = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: links.length - 1 }[event.key];
    if (next === undefined || event.altKey) return;
    event.preventDefault();
    links[next]?.focus();
  }

  if (order.length === 0) {
    const isEmpty = chat.me !== undefined;
    return (
      <nav class="conversations">
        {isEmpty ? <NoConversations onOpen={onOpen} /> : <Loading what="conversations" />}
      </nav>
    );
  }
  return (
    <nav class="conversations" aria-label="Conversations">
      <ul ref={list} onKeyDown={onKeyDown}>
        {order.map(({ conv }) => (
          <li key={conv}>
            <ConversationRow
              conv={conv}
              isCurrent={conv === current}
              isStop={conv === stop}
              onFocus={() => setFocused(conv)}
            />
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Where there is room, the view beside the list says more. */
function NoConversations({ onOpen }: { readonly onOpen: (over: Over) => void }) {
  return (
    <div class="empty">
      <Icon name="talk" />
      <h2>No conversations yet</h2>
      <p>Write to somebody, or see which rooms there are.</p>
      <Beginnings onOpen={onOpen} />
    </div>
  );
}

export function Beginnings({ onOpen }: { readonly onOpen: (over: Over) => void }) {
  return (
    <div class="actions">
      <button type="button" class="button primary" onClick={() => onOpen('new')}>
        New conversation
      </button>
      <button type="button" class="button" onClick={() => onOpen('rooms')}>
        Browse rooms
      </button>
    </div>
  );
}

interface RowProps {
  readonly conv: string;
  readonly isCurrent: boolean;
  readonly isStop: boolean;
  readonly onFocus: () => void;
}

function ConversationRow({ conv, isCurrent, isStop, onFocus }: RowProps) {
  const conversation = useConversation(conv);
  return conversation === undefined ? null : (
    <Row conversation={conversation} isCurrent={isCurrent} isStop={isStop} onFocus={onFocus} />
  );
}

export function iconOf({ kind, public: isPublic }: Conversation): IconName | undefined {
  if (kind === 'room') return isPublic === false ? 'lock' : 'hash';
  return kind === 'group' ? 'group' : undefined;
}

function Row({ conversation, isCurrent, isStop, onFocus }: Omit<RowProps, 'conv'> & { conversation: Conversation }) {
  const title = useTitle(conversation);
  const status = usePresence(conversation.peer);
  const { conv, unread, role, peer, last } = conversation;
  const at = conversation.at || (last?.at ?? 0);
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    if (isCurrent) link.current?.scrollIntoView({ block: 'nearest' });
  }, [isCurrent]);
  return (
    <a
      ref={link}
      href={pathOf(conv)}
      class={unread > 0 ? 'conversation-row unread' : 'conversation-row'}
      aria-current={isCurrent ? 'page' : undefined}
      tabIndex={isStop ? 0 : -1}
      onFocus={onFocus}
    >
      <Avatar
        id={peer ?? conv}
        name={title}
        icon={iconOf(conversation)}
        size="large"
        status={peer === undefined ? undefined : status}
      />
      <span class="lines">
        <span class="line">
          <bdi class="title clip">{title}</bdi>
          {at > 0 && <time dateTime={new Date(at).toISOString()}>{shortTime(at)}</time>}
        </span>
        <span class="line">
          <span class="preview clip">
            {role === 'invited' ? 'Invited you' : <Preview conversation={conversation} />}
          </span>
          {unread > 0 && (
            <span class="count">
              {unread > 999 ? '999+' : unread}
              <span class="unseen"> unread</span>
            </span>
          )}
        </span>
      </span>
    </a>
  );
}

function Preview({ conversation }: { readonly conversation: Conversation }) {
  const { me } = useAccount();
  const { last, typing, kind } = conversation;
  const [typist] = [...typing].filter((user) => user !== me.id);
  const author = usePerson(last?.from ?? me.id);
  if (typist !== undefined) return <span class="typing">Typing …</span>;
  if (last === undefined) return <>{conversation.n === 0 ? 'No messages yet' : ''}</>;
  const isOwn = last.from === me.id;
  const by = isOwn ? 'You: ' : kind === 'direct' || author === null ? '' : `${author.displayName}: `;
  if (last.deleted) return <em>A message was deleted</em>;
  return (
    <bdi>
      {by}
      {last.text.slice(0, 120)}
    </bdi>
  );
}
