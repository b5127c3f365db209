// A text area as high as its text.
import type { RefObject } from 'preact';
import { useLayoutEffect } from 'preact/hooks';

/** On a keyboard of glass Enter makes a line, and a button sends. */
export const isTouch = matchMedia('(pointer: coarse)').matches;
const growsByItself = CSS.supports('field-sizing', 'content');

interface GrowingProps {
  readonly box: RefObject<HTMLTextAreaElement | null>;
  readonly label: string;
  readonly value: string;
  readonly placeholder?: string;
  readonly onInput: (text: string) => void;
  readonly onKeyDown: (event: KeyboardEvent) => void;
}

export function Growing({ box, label, value, placeholder, onInput, onKeyDown }: GrowingProps) {
  useLayoutEffect(() => {
    const area = box.current;
    if (growsByItself || area === null) return;
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight}px`;
  }, [value]);
  return (
    <textarea
      ref={box}
      class="growing"
      aria-label={label}
      placeholder={placeholder}
      rows={1}
      dir="auto"
      value={value}
      onInput={(event) => onInput(event.currentTarget.value)}
      onKeyDown={onKeyDown}
    />
  );
}
