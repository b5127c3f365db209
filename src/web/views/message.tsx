// One message: who, when, what; its state on its way; and what can be done with it, shown where one points or stands.
import { useState } from 'preact/hooks';
import type { Conversation, MessageState } from '../../client/types.ts';
import { type Cell, useIs } from '../store/cell.ts';
import type { Line } from '../store/timeline.ts';
import { Avatar } from './avatar.tsx';
import { useAccount, useNames, usePerson } from './context.ts';
import { Confirm } from './dialog.tsx';
import { Editor } from './editor.tsx';
import { Icon, type IconName } from './icon.tsx';
import { IconButton } from './icon-button.tsx';
import { memo } from './memo.ts';
import { isEmojiOnly, Text } from './text.tsx';
import { bareTime, moment, names, time } from './words.ts';

export interface MessageActions {
  /** Key of the line one points at. */
  readonly aimed: Cell<string | null>;
  /** Key of the line one stands at with the keyboard. */
  readonly focused: Cell<string | null>;
  readonly onEdit: (key: string) => void;
  readonly onEdited: () => void;
  readonly onReply: (line: Line) => void;
  readonly onSeek: (seq: number) => void;
}

interface MessageProps {
  readonly conversation: Conversation;
  readonly line: Line;
  /** The first of a paragraph. */
  readonly isFirst: boolean;
  /** Where the Tab key stops. */
  readonly isStop: boolean;
  readonly isEditing: boolean;
  readonly mayRemove: boolean;
  /** User ids with blanks between. */
  readonly readBy: string;
  /** The other side of a direct has got it. */
  readonly isDelivered: boolean;
  /** The message it answers, where that is held. */
  readonly quoted: MessageState | undefined;
  readonly actions: MessageActions;
}

export const MessageRow = memo(function MessageRow(props: MessageProps) {
  const { conversation, line, isFirst, isStop, isEditing, mayRemove, actions } = props;
  const { key, seq, isDeleted, isOwn, sending } = line;
  const isAimed = useIs(actions.aimed, key);
  const [isRemoving, setRemoving] = useState(false);
  const isSettled = seq !== null && !isDeleted;
  const deeds = [
    isSettled && { name: 'Reply', icon: 'reply', key: 'r', act: () => actions.onReply(line) },
    isSettled && isOwn && { name: 'Edit', icon: 'edit', key: 'e', act: () => actions.onEdit(key) },
    isSettled && mayRemove && { name: 'Delete', icon: 'trash', key: 'Delete', act: () => setRemoving(true) },
  ].filter((deed) => deed !== false) as readonly Deed[];

  function onKeyDown(event: KeyboardEvent): void {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const deed = deeds.find((one) => one.key === event.key);
    if (deed === undefined) return;
    event.preventDefault();
    deed.act();
  }

  const marks = {
    first: isFirst,
    waiting: sending?.state === 'waiting',
    mentioned: line.mentionsMe && !isDeleted,
    aimed: isAimed,
  };
  return (
    <li
      class={['message', ...Object.entries(marks).flatMap(([name, is]) => (is ? [name] : []))].join(' ')}
      data-key={key}
      tabIndex={isStop ? 0 : -1}
      onKeyDown={onKeyDown}
      onFocusCapture={() => {
        actions.focused.value = key;
        actions.aimed.value = key;
      }}
      onPointerEnter={({ pointerType }) => {
        if (pointerType === 'mouse') actions.aimed.value = key;
      }}
      onPointerLeave={({ pointerType }) => {
        if (pointerType === 'mouse' && actions.aimed.value === key) actions.aimed.value = null;
      }}
    >
      <Content {...props} />
      {isAimed && !isEditing && deeds.length > 0 && <Deeds deeds={deeds} />}
      {isRemoving && (
        <Confirm
          title="Delete this message?"
          text="It is deleted for everyone, and cannot be brought back."
          yes="Delete"
          onYes={() => seq !== null && conversation.remove(seq)}
          onClose={() => setRemoving(false)}
        />
      )}
    </li>
  );
});

/** Something that can be done with a message. */
interface Deed {
  readonly name: string;
  readonly icon: IconName;
  /** Does it where the row has the focus. */
  readonly key: string;
  readonly act: () => void;
}

function Deeds({ deeds }: { readonly deeds: readonly Deed[] }) {
  return (
    <div class="message-actions">
      {deeds.map(({ name, icon, act }) => (
        <IconButton key={name} name={icon} label={name} size="small" onClick={act} />
      ))}
    </div>
  );
}

function Content(props: MessageProps) {
  const { conversation, line, isFirst, isEditing, quoted, actions } = props;
  const { from, at, isDeleted, sending } = line;
  const name = usePerson(from)?.displayName ?? '…';
  const isoTime = new Date(at).toISOString();
  return (
    <>
      {isFirst ? (
        <Avatar id={from} name={name} />
      ) : (
        <time class="gutter" dateTime={isoTime} title={moment(at)}>
          {bareTime(at)}
        </time>
      )}
      <div class="body">
        {isFirst && (
          <p class="by">
            <b class="name clip">
              <bdi>{name}</bdi>
            </b>
            <time dateTime={isoTime} title={moment(at)}>
              {time(at)}
            </time>
          </p>
        )}
        {line.reply !== null && <Quote seq={line.reply} quoted={quoted} onSeek={actions.onSeek} />}
        {isEditing ? (
          <Editor conversation={conversation} line={line} onDone={actions.onEdited} />
        ) : isDeleted ? (
          <p class="text removed">This message was deleted.</p>
        ) : (
          <Said {...props} />
        )}
        {sending?.state === 'refused' && <Refused line={line} />}
      </div>
    </>
  );
}

function Said(props: MessageProps) {
  const { line } = props;
  const { people } = useAccount();
  const { text, isEdited, sending, mentions } = line;
  // Drawn again when they are known.
  useNames(mentions.filter((user) => user !== 'all').join(' '));
  const mentioned = mentions.map((user) => (user === 'all' ? user : people.of(user).value?.name));
  return (
    <div class="said">
      <p class={isEmojiOnly(text) ? 'text large' : 'text'} dir="auto">
        <Text text={text} isMentioned={(name) => mentioned.includes(name.toLowerCase().replace(/[.-]+$/, ''))} />
        {isEdited && <span class="mark"> (edited)</span>}
      </p>
      {line.isOwn && sending?.state !== 'refused' && <State {...props} />}
    </div>
  );
}

function State({ conversation, line, readBy, isDelivered }: MessageProps) {
  const readers = useNames(readBy);
  const isRead = readers.length > 0;
  const [icon, label] = stateOf();

  function stateOf(): readonly [IconName, string] {
    if (line.sending?.state === 'waiting') return ['clock', 'Not sent yet'];
    if (isRead) return ['checks', conversation.kind === 'direct' ? 'Read' : `Read by ${names(readers)}`];
    return isDelivered ? ['checks', 'Delivered'] : ['check', 'Sent'];
  }

  return (
    <span class={isRead ? 'state read' : 'state'} role="img" aria-label={label} title={label}>
      <Icon name={icon} />
    </span>
  );
}

interface QuoteProps {
  readonly seq: number;
  readonly quoted: MessageState | undefined;
  readonly onSeek: (seq: number) => void;
}

function Quote({ seq, quoted, onSeek }: QuoteProps) {
  const { me } = useAccount();
  const author = usePerson(quoted?.from ?? me.id);
  return (
    <button type="button" class="quote" onClick={() => onSeek(seq)}>
      <Icon name="reply" />
      {quoted === undefined ? (
        <span class="clip">An earlier message</span>
      ) : (
        <>
          <b class="name clip">
            <bdi>{author?.displayName ?? '…'}</bdi>
          </b>
          <bdi class="clip">{quoted.deleted ? 'Deleted message' : quoted.text.slice(0, 200)}</bdi>
        </>
      )}
    </button>
  );
}

function Refused({ line }: { readonly line: Line }) {
  const { sending } = line;
  if (sending === null) return null;
  return (
    <p class="refused" role="alert">
      <Icon name="warning" />
      <span>Not sent: {sending.error?.message ?? 'the server refused it.'}</span>
      <button type="button" class="link" onClick={() => sending.retry()}>
        Try again
      </button>
      <button type="button" class="link" onClick={() => sending.discard()}>
        Discard
      </button>
    </p>
  );
}
