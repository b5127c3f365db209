// Which view the address names. `/` is the list of conversations, `/c/<conv>` one of them.
import { Cell } from './cell.ts';

export interface Route {
  readonly conv: string | null;
}

function read(): Route {
  const [, conv] = /^\/c\/([A-Za-z0-9_-]{1,40})$/.exec(location.pathname) ?? [];
  return { conv: conv ?? null };
}

export const route = new Cell<Route>(read());

export function pathOf(conv: string): string {
  return `/c/${conv}`;
}

export function go(path: string, { replace = false } = {}): void {
  if (path === location.pathname) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', path);
  route.value = read();
}

/** Links of ours change the view; those with a modifier, or to elsewhere, are the browser's. */
function onClick(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.('a');
  const isPlain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (!link || !isPlain || event.defaultPrevented || link.target !== '' || link.origin !== location.origin) return;
  if (link.pathname !== '/' && !link.pathname.startsWith('/c/')) return;
  event.preventDefault();
  go(link.pathname);
}

addEventListener('popstate', () => {
  route.value = read();
});
document.addEventListener('click', onClick);
