// Cutting a page off what a query brings: after so many items or bytes, and never between items of one place.

export interface PageItem {
  /** Its number in the order of the page. */
  readonly place: number;
  /** What is stored of it. */
  readonly text?: string | null;
}

/** What an item counts beside its text: those without one count, too. */
const ITEM_BYTES = 1;

/** Up to where a page tells everything: to its last item, or to the head where nothing follows. */
export function pageEnd(
  { kept, more }: { readonly kept: readonly PageItem[]; readonly more: boolean },
  head: number,
): number {
  return more ? (kept.at(-1)?.place ?? head) : head;
}

/** @returns the items of the page (one at least, where there are any), and whether others follow */
export function takePage<Item extends PageItem>(
  items: Iterable<Item>,
  limit: number,
  maxBytes = Number.POSITIVE_INFINITY,
): { readonly kept: Item[]; readonly more: boolean } {
  const kept: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const isFull = kept.length >= limit || bytes >= maxBytes;
    if (isFull && item.place !== kept.at(-1)?.place) return { kept, more: true };
    kept.push(item);
    bytes += ITEM_BYTES + Buffer.byteLength(item.text ?? '');
  }
  return { kept, more: false };
}
