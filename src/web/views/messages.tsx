// The messages of a conversation as one scrolls through them: where one is, what counts as read, and how one gets elsewhere.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Conversation } from '../../client/types.ts';
import { attentive } from '../store/attention.ts';
import { Cell, useCell } from '../store/cell.ts';
import { keepHeld } from '../store/held.ts';
import { notesOf } from '../store/notes.ts';
import { type Line, linesOf, rowsOf } from '../store/timeline.ts';
import { useAccount, useTitle } from './context.ts';
import { Loading } from './field.tsx';
import { Icon } from './icon.tsx';
import type { MessageActions } from './message.tsx';
import { Rows } from './rows.tsx';
import { ScrollKeeper } from './scroll-keeper.ts';
import { type Pages, usePages } from './use-pages.ts';
import { count } from './words.ts';

/** So far from the end a button leads back to it. */
const FAR_PX = 300;
const FOUND_MS = 2_000;

interface MessagesProps {
  readonly conversation: Conversation;
  /** Key of the line that is being edited. */
  readonly editing: string | null;
  readonly onEdit: (key: string) => void;
  readonly onEdited: () => void;
  readonly onReply: (line: Line) => void;
}

export function Messages({ conversation, editing, onEdit, onEdited, onReply }: MessagesProps) {
  const { me } = useAccount();
  const box = useRef<HTMLDivElement>(null);
  const keeper = useMemo(() => new ScrollKeeper(() => !conversation.hasNewer), [conversation]);
  const pages = usePages(conversation, keeper);
  const [isFar, setFar] = useState(false);
  const [readBefore, clearDivider] = useDivider(conversation);
  const lines = linesOf(conversation, me.id);
  const rows = rowsOf(lines, readBefore, notesOf(conversation));
  const read = useReading(conversation, keeper);
  const seek = usePlace({ conversation, keeper, pages, box, isEmpty: lines.length === 0 });
  const actions = useMemo<MessageActions>(
    () => ({ aimed: new Cell(null), focused: new Cell(null), onEdit, onEdited, onReply, onSeek: seek }),
    [conversation],
  );

  async function toNewest(): Promise<void> {
    if (conversation.hasNewer) await pages.open();
    keeper.toEnd();
    setFar(false);
  }

  function onScroll(): void {
    keeper.remember();
    setFar(conversation.hasNewer || keeper.toEndPx() > FAR_PX);
    pages.fill();
    read();
  }

  useOpening(conversation, pages);
  useEffect(() => (box.current === null ? undefined : keeper.attach(box.current)), [keeper]);
  useEffect(() => {
    pages.fill();
    read();
  });
  useOwnSend(conversation, () => {
    clearDivider();
    void toNewest();
  });
  return (
    <div class="stage">
      <div class="scroll" ref={box} onScroll={onScroll}>
        <div class="messages">
          {lines.length === 0 && pages.isFailed ? (
            <Failed onAgain={pages.open} />
          ) : lines.length === 0 && !conversation.isOpen ? (
            <Loading what="messages" />
          ) : (
            <>
              {conversation.hasOlder ? <Loading what="older messages" /> : <TheBeginning conversation={conversation} />}
              <Rows conversation={conversation} rows={rows} actions={actions} editing={editing} />
              {conversation.hasNewer && <Loading what="newer messages" />}
            </>
          )}
        </div>
      </div>
      {isFar && (
        <button type="button" class="jump" onClick={() => void toNewest()}>
          <Icon name="down" />
          {conversation.unread > 0 ? count(conversation.unread, 'new message') : 'Newest'}
        </button>
      )}
      <Announcer conversation={conversation} />
    </div>
  );
}

/** Holds the newest messages, at the latest when the connection is there; keeps some when one goes elsewhere. */
function useOpening(conversation: Conversation, pages: Pages): void {
  const { chat, news } = useAccount();
  useCell(news.state);
  useEffect(() => keepHeld(conversation), [conversation]);
  useEffect(() => {
    if (chat.state === 'online' && !conversation.isOpen) void pages.open();
  }, [conversation, chat.state, conversation.isOpen]);
}

interface Placing {
  readonly conversation: Conversation;
  readonly keeper: ScrollKeeper;
  readonly pages: Pages;
  readonly box: { readonly current: HTMLElement | null };
  readonly isEmpty: boolean;
}

/** Where one is after each drawing. @returns what leads to a message */
function usePlace({ conversation, keeper, pages, box, isEmpty }: Placing): (seq: number) => void {
  const { me } = useAccount();
  const sought = useRef<number | null>(null);
  const isPlaced = useRef(false);

  /** Where the unread begin, when they do not all fit; else the end. */
  function placeFirst(): void {
    isPlaced.current = true;
    keeper.toEnd();
    const divider = box.current?.querySelector<HTMLElement>('.divider');
    if (divider && divider.offsetTop < keeper.scrolledPx) keeper.show(divider, 0.1);
  }

  function place(): void {
    const line = linesOf(conversation, me.id).find(({ seq }) => seq !== null && seq === sought.current);
    const row = line === undefined ? undefined : keeper.row(line.key);
    if (row === undefined) return keeper.keep();
    sought.current = null;
    keeper.show(row);
    row.focus({ preventScroll: true });
    row.classList.add('found');
    setTimeout(() => row.classList.remove('found'), FOUND_MS);
  }

  useLayoutEffect(() => {
    if (isPlaced.current) place();
    else if (!isEmpty) placeFirst();
  });
  return (seq) => {
    sought.current = seq;
    if (conversation.messages.some((message) => message.seq === seq)) place();
    else void pages.around(seq);
  };
}

/** What has been in sight while somebody looked is read. @returns what notes it, to be called when that may have changed */
function useReading(conversation: Conversation, keeper: ScrollKeeper): () => void {
  const { me } = useAccount();
  const isAttentive = useCell(attentive);

  function read(): void {
    if (!attentive.value || conversation.unread === 0 || conversation.messages.length === 0) return;
    if (keeper.isAtEnd && !conversation.hasNewer) return conversation.markRead();
    const row = keeper.rows().findLast((one) => one.offsetTop + one.offsetHeight <= keeper.seenPx);
    const n = linesOf(conversation, me.id).find(({ key }) => key === row?.dataset.key)?.n ?? 0;
    if (n > conversation.read) conversation.markRead(n);
  }

  useEffect(read, [isAttentive]);
  return read;
}

/** Calls back when one has sent something here. */
function useOwnSend(conversation: Conversation, onSend: () => void): void {
  const last = conversation.pending.findLast(({ request }) => request.t === 'message')?.id;
  useEffect(() => {
    if (last !== undefined) onSend();
  }, [last]);
}

/** After which number of a message the unread began, as it was when one last looked; null: nowhere. */
function useDivider(conversation: Conversation): readonly [readBefore: number | null, clear: () => void] {
  const isAttentive = useCell(attentive);
  const { read, unread } = conversation;
  const [readBefore, setReadBefore] = useState<number | null>(unread > 0 ? read : null);
  useEffect(() => {
    if (!isAttentive && unread > 0 && (readBefore === null || readBefore < read)) setReadBefore(read);
  }, [isAttentive, unread, read]);
  return [readBefore, () => setReadBefore(null)];
}

function TheBeginning({ conversation }: { readonly conversation: Conversation }) {
  const title = useTitle(conversation);
  return (
    <header class="beginning">
      <h3>
        <bdi>{title}</bdi>
      </h3>
      <p>
        {conversation.kind === 'direct'
          ? 'This is the beginning of your conversation. Only the two of you can read it.'
          : conversation.topic || `This is the beginning of the ${conversation.kind ?? 'conversation'}.`}
      </p>
    </header>
  );
}

function Failed({ onAgain }: { readonly onAgain: () => Promise<void> }) {
  return (
    <div class="empty" role="alert">
      <Icon name="warning" />
      <h3>The messages could not be loaded</h3>
      <p>They are safe on the server; this page could not get them.</p>
      <div class="actions">
        <button type="button" class="button" onClick={() => void onAgain()}>
          Try again
        </button>
      </div>
    </div>
  );
}

/** Says what others write, to who does not see it. */
function Announcer({ conversation }: { readonly conversation: Conversation }) {
  const { chat, me, people } = useAccount();
  const [said, setSaid] = useState('');
  useEffect(
    () =>
      chat.on('message', ({ conversation: { conv }, message }) => {
        if (conv !== conversation.conv || message.from === me.id) return;
        setSaid(`${people.nameOf(message.from)}: ${message.text}`);
      }),
    [chat, conversation],
  );
  return (
    <p class="unseen" aria-live="polite">
      {said}
    </p>
  );
}
