// Light, dark, or as the system has it.
import { Cell } from './cell.ts';

const KEY = 'chatterbox.theme';
const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

export const theme = new Cell<Theme>(stored());

function stored(): Theme {
  return THEMES.find((name) => name === localStorage.getItem(KEY)) ?? 'auto';
}

function apply(): void {
  const { dataset } = document.documentElement;
  if (theme.value === 'auto') delete dataset.theme;
  else dataset.theme = theme.value;
}

export function choose(next: Theme): void {
  localStorage.setItem(KEY, next);
  theme.value = next;
}

theme.watch(apply);
addEventListener('storage', ({ key }) => {
  if (key === KEY) theme.value = stored();
});
apply();
