// The left side: who one is, finding, and the list of conversations.
import { signOut } from '../store/account.ts';
import { useCell } from '../store/cell.ts';
import { choose, type Theme, theme } from '../store/theme.ts';
import { Avatar } from './avatar.tsx';
import { type Over, useAccount } from './context.ts';
import { ConversationList } from './conversation-list.tsx';
import { Icon, Logo } from './icon.tsx';
import { IconButton } from './icon-button.tsx';
import { useMenu } from './use-menu.ts';

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

export function Sidebar({ onOpen }: { readonly onOpen: (over: Over) => void }) {
  return (
    <section class="sidebar" aria-label="Conversations">
      <header class="bar">
        <p class="brand">
          <Logo />
          ChatterBox
        </p>
        <IconButton name="compose" label="New conversation" onClick={() => onOpen('new')} />
        <IconButton name="compass" label="Browse rooms" onClick={() => onOpen('rooms')} />
        <OwnMenu />
      </header>
      <div class="finder">
        <button type="button" onClick={() => onOpen('switcher')}>
          <Icon name="search" />
          <span class="clip">Find people or rooms</span>
          <kbd>{isMac ? '⌘K' : 'Ctrl K'}</kbd>
        </button>
      </div>
      <ConversationList onOpen={onOpen} />
    </section>
  );
}

const THEMES: readonly (readonly [Theme, string])[] = [
  ['auto', 'Auto'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

function OwnMenu() {
  const { me } = useAccount();
  const chosen = useCell(theme);
  const { isOpen, setOpen, box } = useMenu();
  return (
    <div class="anchor" ref={box}>
      <button
        type="button"
        class="icon-button"
        aria-label={`Your account, ${me.displayName}`}
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        <Avatar id={me.id} name={me.displayName} size="small" />
      </button>
      {isOpen && (
        <div class="menu own-menu">
          <div class="whoami">
            <Avatar id={me.id} name={me.displayName} />
            <div class="clip">
              <bdi class="clip">{me.displayName}</bdi>
              <div class="clip soft">@{me.name}</div>
            </div>
          </div>
          <fieldset aria-label="Appearance">
            {THEMES.map(([name, label]) => (
              <button key={name} type="button" aria-pressed={chosen === name} onClick={() => choose(name)}>
                {label}
              </button>
            ))}
          </fieldset>
          <button type="button" onClick={() => void signOut()}>
            <Icon name="leave" />
            Sign out
          </button>
        </div>
      )}
    </div>
  );
}
