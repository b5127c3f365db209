// Changes the text of a message, in its place.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Conversation } from '../../client/types.ts';
import { MAX_TEXT } from '../../protocol/limits.ts';
import { codePoints } from '../../protocol/text.ts';
import type { Line } from '../store/timeline.ts';
import { Growing, isTouch } from './growing.tsx';

interface EditorProps {
  readonly conversation: Conversation;
  readonly line: Line;
  readonly onDone: () => void;
}

export function Editor({ conversation, line, onDone }: EditorProps) {
  const [text, setText] = useState(line.text);
  const box = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const area = box.current;
    area?.focus();
    area?.setSelectionRange(area.value.length, area.value.length);
  }, []);

  const canSave = text.trim() !== '' && codePoints(text) <= MAX_TEXT;

  function save(): void {
    const next = text.trim();
    if (!canSave) return;
    if (next !== line.text && line.seq !== null) conversation.edit(line.seq, next);
    onDone();
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === 'Escape') {
      event.stopPropagation();
      onDone();
    } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && !isTouch) {
      event.preventDefault();
      save();
    }
  }

  return (
    <div class="editor">
      <Growing box={box} label="Edit message" value={text} onInput={setText} onKeyDown={onKeyDown} />
      <div class="actions">
        <button type="button" class="button small primary" onClick={save} disabled={!canSave}>
          Save
        </button>
        <button type="button" class="button small" onClick={onDone}>
          Cancel
        </button>
        {!isTouch && <span class="soft">Enter saves, Esc cancels</span>}
      </div>
    </div>
  );
}
