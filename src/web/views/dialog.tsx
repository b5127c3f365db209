// A dialog of the browser's own: it holds the focus, gives it back, and Esc closes it.
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { IconButton } from './icon-button.tsx';

/** Where the focus goes first: where one writes, else to the answer that changes nothing. */
const BEGINNING = '.content input:not([type=radio]), footer button';

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly foot?: ComponentChildren;
  readonly kind?: string;
}

export function Dialog({ title, onClose, children, foot, kind }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  const isOpen = useRef(true);
  const titleId = useId();
  // Before the next key arrives: what is typed at once belongs to the dialog.
  useLayoutEffect(() => {
    const dialog = box.current;
    // `close` comes later, when something else may be open already.
    const onEnd = () => isOpen.current && onClose();
    dialog?.addEventListener('close', onEnd);
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>(BEGINNING)?.focus();
    return () => {
      isOpen.current = false;
      dialog?.close();
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Esc does the same
    <dialog
      ref={box}
      class={kind}
      aria-labelledby={titleId}
      onClick={(event) => event.target === box.current && onClose()}
    >
      <header>
        <h2 id={titleId}>{title}</h2>
        <IconButton name="close" label="Close" onClick={onClose} />
      </header>
      <div class="content">{children}</div>
      {foot !== undefined && <footer>{foot}</footer>}
    </dialog>
  );
}

interface ConfirmProps {
  readonly title: string;
  readonly text: string;
  readonly yes: string;
  readonly onYes: () => void;
  readonly onClose: () => void;
}

export function Confirm({ title, text, yes, onYes, onClose }: ConfirmProps) {
  const agree = () => {
    onYes();
    onClose();
  };
  const foot = (
    <>
      <button type="button" class="button" onClick={onClose}>
        Cancel
      </button>
      <button type="button" class="button danger" onClick={agree}>
        {yes}
      </button>
    </>
  );
  return (
    <Dialog title={title} onClose={onClose} foot={foot}>
      <p>{text}</p>
    </Dialog>
  );
}
