// The directory of public rooms.
import { useState } from 'preact/hooks';
import type { Room } from '../../client/http.ts';
import { useCell } from '../store/cell.ts';
import { go, pathOf } from '../store/route.ts';
import { Avatar } from './avatar.tsx';
import { useAccount } from './context.ts';
import { Dialog } from './dialog.tsx';
import { Field, Loading } from './field.tsx';
import { useSearch } from './people-picker.tsx';
import { count } from './words.ts';

export function Rooms({ onClose }: { readonly onClose: () => void }) {
  const { api, chat, news } = useAccount();
  useCell(news.list);
  const [query, setQuery] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const { result, isSettled, isFailed } = useSearch<readonly Room[]>(
    query.trim(),
    async (q) => (await api.rooms(q, { limit: 50 })).items,
    [],
  );

  async function enter(conv: string): Promise<void> {
    try {
      if (!chat.conversations.has(conv)) await chat.join(conv).done;
      onClose();
      go(pathOf(conv));
    } catch (error) {
      setFault((error as Error).message);
    }
  }

  return (
    <Dialog title="Rooms" onClose={onClose}>
      <Field label="Find a room" value={query} onInput={setQuery} autocomplete="off" fault={fault ?? undefined} />
      {result === undefined && <Loading what="rooms" />}
      {isSettled && result?.length === 0 && (
        <p class="soft" role="status">
          {isFailed
            ? 'Rooms cannot be looked up right now.'
            : query.trim() === ''
              ? 'There are no public rooms yet. A new conversation can be one.'
              : `No room begins with “${query.trim()}”.`}
        </p>
      )}
      <ul class="results">
        {result?.map((room) => (
          <RoomRow key={room.conv} room={room} isInside={chat.conversations.has(room.conv)} onEnter={enter} />
        ))}
      </ul>
    </Dialog>
  );
}

interface RoomProps {
  readonly room: Room;
  readonly isInside: boolean;
  readonly onEnter: (conv: string) => Promise<void>;
}

function RoomRow({ room, isInside, onEnter }: RoomProps) {
  const { conv, title = 'Untitled room', topic, members } = room;
  const verb = isInside ? 'Open' : 'Join';
  return (
    <li class="result">
      <Avatar id={conv} name={title} icon="hash" />
      <span class="clip">
        <bdi>{title}</bdi>
        <small class="clip">
          {count(members, 'member')}
          {topic !== undefined && <bdi> · {topic}</bdi>}
        </small>
      </span>
      <button type="button" class="button small" aria-label={`${verb} ${title}`} onClick={() => void onEnter(conv)}>
        {verb}
      </button>
    </li>
  );
}
