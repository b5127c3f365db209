// The page of somebody signed in: the list, the conversation the address names, and what lies over them.
import { useEffect, useState } from 'preact/hooks';
import { useCell } from '../store/cell.ts';
import { go, pathOf, route } from '../store/route.ts';
import { Banner } from './banner.tsx';
import { type Over, useAccount } from './context.ts';
import { ConversationView } from './conversation.tsx';
import { Beginnings, orderOf } from './conversation-list.tsx';
import { Icon } from './icon.tsx';
import { NewConversation } from './new-conversation.tsx';
import { Rooms } from './rooms.tsx';
import { Sidebar } from './sidebar.tsx';
import { Switcher } from './switcher.tsx';

export function Shell() {
  const { conv } = useCell(route);
  const [over, setOver] = useState<Over | null>(null);
  const close = () => setOver(null);
  useShortcuts(setOver);
  return (
    <div class="shell">
      <Banner />
      <main class={conv === null ? 'panes' : 'panes inside'}>
        <h1 class="unseen">ChatterBox</h1>
        <Sidebar onOpen={setOver} />
        {conv === null ? <Nothing onOpen={setOver} /> : <ConversationView key={conv} conv={conv} />}
      </main>
      {over === 'switcher' && <Switcher onClose={close} />}
      {over === 'new' && <NewConversation onClose={close} />}
      {over === 'rooms' && <Rooms onClose={close} />}
    </div>
  );
}

function Nothing({ onOpen }: { readonly onOpen: (over: Over) => void }) {
  const { chat, me, news } = useAccount();
  useCell(news.list);
  const isNew = chat.conversations.size === 0;
  return (
    <div class="pane">
      <div class="empty">
        <Icon name="talk" />
        <h2>
          <bdi>{isNew ? `Welcome, ${me.displayName}` : 'Nothing open'}</bdi>
        </h2>
        <p>{isNew ? 'Write to somebody, or see which rooms there are.' : 'Choose a conversation, or begin one.'}</p>
        <Beginnings onOpen={onOpen} />
      </div>
    </div>
  );
}

/** Ctrl or Cmd + K finds; Alt + Up and Down walk through the list. */
function useShortcuts(open: (over: Over) => void): void {
  const { chat } = useAccount();
  useEffect(() => {
    function onKeyDown(event: KeyboardEvent): void {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        open('switcher');
      } else if (event.altKey && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
        event.preventDefault();
        step(event.key === 'ArrowUp' ? -1 : 1);
      }
    }

    function step(by: number): void {
      const order = orderOf(chat);
      const at = order.findIndex(({ conv }) => conv === route.value.conv);
      const next = order[at === -1 ? 0 : Math.min(Math.max(at + by, 0), order.length - 1)];
      if (next !== undefined) go(pathOf(next.conv));
    }

    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, [chat, open]);
}
