// Short words on what has just gone wrong, or can be undone: one at a time, gone after a while.
import { Cell } from './cell.ts';

const SHOWN_MS = 8_000;

export interface Toast {
  readonly text: string;
  readonly action?: { readonly name: string; readonly act: () => void };
}

export const toast = new Cell<Toast | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string, action?: Toast['action']): void {
  clearTimeout(timer);
  toast.value = action === undefined ? { text } : { text, action };
  timer = setTimeout(dismiss, SHOWN_MS);
}

export function dismiss(): void {
  clearTimeout(timer);
  toast.value = null;
}
