// From anywhere to a conversation, or to a person, by a few letters of the name.
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { Conversation } from '../../client/types.ts';
import { go, pathOf } from '../store/route.ts';
import { say } from '../store/toasts.ts';
import { Avatar } from './avatar.tsx';
import { titleOf, useAccount } from './context.ts';
import { iconOf, orderOf } from './conversation-list.tsx';
import { Dialog } from './dialog.tsx';
import { usePeople } from './people-picker.tsx';

const SHOWN = 12;

interface Entry {
  readonly key: string;
  readonly title: string;
  readonly about: string;
  readonly conversation: Conversation | null;
  readonly open: () => Promise<void> | void;
}

export function Switcher({ onClose }: { readonly onClose: () => void }) {
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const id = useId();
  const entries = useEntries(query);
  const chosen = Math.min(at, entries.length - 1);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [chosen]);

  async function open(entry: Entry | undefined): Promise<void> {
    if (entry === undefined) return;
    onClose();
    try {
      await entry.open();
    } catch (error) {
      say((error as Error).message);
    }
  }

  function onKeyDown(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) setAt(Math.min(Math.max(chosen + step, 0), entries.length - 1));
    else if (event.key === 'Enter') void open(entries[chosen]);
    else return;
    event.preventDefault();
  }

  return (
    <Dialog title="Go to" kind="finder-dialog" onClose={onClose}>
      <input
        class="input"
        type="text"
        role="combobox"
        aria-label="Find people and conversations"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={entries[chosen] === undefined ? undefined : `${id}-${chosen}`}
        placeholder="Name of a person or conversation"
        autocomplete="off"
        spellcheck={false}
        value={query}
        onInput={(event) => {
          setQuery(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      {entries.length === 0 && (
        <p class="soft" role="status">
          {query.trim() === '' ? 'Type a name.' : `Nothing found for “${query.trim()}”.`}
        </p>
      )}
      <div id={id} ref={list} role="listbox" aria-label="Found" class="results">
        {entries.map((entry, index) => (
          <Option key={entry.key} id={`${id}-${index}`} entry={entry} isChosen={index === chosen} onOpen={open} />
        ))}
      </div>
    </Dialog>
  );
}

interface OptionProps {
  readonly id: string;
  readonly entry: Entry;
  readonly isChosen: boolean;
  readonly onOpen: (entry: Entry) => Promise<void>;
}

function Option({ id, entry, isChosen, onOpen }: OptionProps) {
  const { key, title, about, conversation } = entry;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the input has the keys
    // biome-ignore lint/a11y/useFocusableInteractive: and keeps the focus
    <div id={id} role="option" aria-selected={isChosen} class="result" onClick={() => void onOpen(entry)}>
      <Avatar id={key} name={title} icon={conversation === null ? undefined : iconOf(conversation)} />
      <span class="clip">
        <bdi>{title}</bdi>
        <small class="clip">{about}</small>
      </span>
    </div>
  );
}

const KINDS = { direct: 'Direct', group: 'Group', room: 'Room' } as const;

/** Conversations that have the letters in their name; then people one has no conversation with. */
function useEntries(query: string): readonly Entry[] {
  const account = useAccount();
  const { chat, api } = account;
  const letters = query.trim().toLocaleLowerCase();
  const { result: people = [] } = usePeople(letters.length < 2 ? '' : letters.replace(/^@/, ''));
  const conversations = orderOf(chat)
    .map((conversation) => ({ conversation, title: titleOf(account, conversation) }))
    .filter(({ title }) => title.toLocaleLowerCase().includes(letters))
    .slice(0, SHOWN);
  const peers = new Set([...chat.conversations.values()].map(({ peer }) => peer));
  return [
    ...conversations.map(({ conversation, title }) => ({
      key: conversation.peer ?? conversation.conv,
      title,
      about: conversation.kind === undefined ? '' : KINDS[conversation.kind],
      conversation,
      open: () => go(pathOf(conversation.conv)),
    })),
    ...people
      .filter(({ id }) => !peers.has(id))
      .map(({ id, name, displayName }) => ({
        key: id,
        title: displayName,
        about: `@${name}`,
        conversation: null,
        open: async () => {
          const view = await api.create({ kind: 'direct', members: [id] });
          chat.learn([view]);
          go(pathOf(view.conv));
        },
      })),
  ];
}
