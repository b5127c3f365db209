// Where one writes: Enter sends, Shift + Enter makes a line; what is not sent yet is kept as a draft.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Conversation } from '../../client/types.ts';
import { MAX_TEXT } from '../../protocol/limits.ts';
import { codePoints } from '../../protocol/text.ts';
import { keepDraft, readDraft } from '../store/drafts.ts';
import { type Line, linesOf } from '../store/timeline.ts';
import { useAccount, usePerson, useTitle } from './context.ts';
import { Growing, isTouch } from './growing.tsx';
import { Icon } from './icon.tsx';
import { IconButton } from './icon-button.tsx';

/** So few letters are left when they begin to be counted. */
const COUNTED = 200;
interface ComposerProps {
  readonly conversation: Conversation;
  readonly answering: Line | null;
  readonly onAnswered: () => void;
  readonly onEditLast: (key: string) => void;
}

export function Composer({ conversation, answering, onAnswered, onEditLast }: ComposerProps) {
  const { me } = useAccount();
  const { conv } = conversation;
  const title = useTitle(conversation);
  const [text, setText] = useState(() => readDraft(conv));
  const box = useRef<HTMLTextAreaElement>(null);
  const left = MAX_TEXT - codePoints(text);
  const canSend = text.trim() !== '' && left >= 0;
  useLayoutEffect(() => {
    if (!isTouch) box.current?.focus();
  }, []);
  useEffect(() => {
    if (answering !== null) box.current?.focus();
  }, [answering]);

  function change(next: string): void {
    setText(next);
    keepDraft(conv, next);
    conversation.setTyping(next !== '');
  }

  function send(): void {
    if (!canSend) return;
    conversation.send(text.trim(), answering?.seq != null ? { reply: answering.seq } : {});
    setText('');
    keepDraft(conv, '');
    onAnswered();
    box.current?.focus();
  }

  function editLast(): boolean {
    const last = linesOf(conversation, me.id).findLast(
      ({ isOwn, isDeleted, seq }) => isOwn && !isDeleted && seq !== null,
    );
    if (last !== undefined) onEditLast(last.key);
    return last !== undefined;
  }

  function onKeyDown(event: KeyboardEvent): void {
    const { key, shiftKey, isComposing, altKey } = event;
    if (key === 'Enter' && !shiftKey && !isComposing && !isTouch) {
      event.preventDefault();
      send();
    } else if (key === 'ArrowUp' && text === '' && !altKey) {
      if (editLast()) event.preventDefault();
    } else if (key === 'Escape' && answering !== null) {
      onAnswered();
    }
  }

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {answering !== null && <Answering line={answering} onCancel={onAnswered} />}
      <div class="row">
        <Growing
          box={box}
          label={`Message ${title}`}
          placeholder={`Message ${title}`}
          value={text}
          onInput={change}
          onKeyDown={onKeyDown}
        />
        {left < COUNTED && (
          <span class={left < 0 ? 'letters over' : 'letters'} role="status">
            {left}
            <span class="unseen"> letters left</span>
          </span>
        )}
        <button type="submit" class="send" aria-label="Send" disabled={!canSend}>
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}

function Answering({ line, onCancel }: { readonly line: Line; readonly onCancel: () => void }) {
  const author = usePerson(line.from);
  return (
    <div class="answering">
      <p class="quote">
        <b class="name clip">
          <bdi>{author?.displayName ?? '…'}</bdi>
        </b>
        <bdi class="clip">{line.text.slice(0, 200)}</bdi>
      </p>
      <IconButton name="close" label="Do not reply" size="small" onClick={onCancel} />
    </div>
  );
}
