// Where one reads stays where it is, whatever is added above, below or beside it; at the end one stays at the end. The same
// in every browser: their own scroll anchoring is off, or is not there.

/** So near to the end counts as there. */
const NEAR_PX = 48;

interface Anchor {
  readonly key: string;
  /** From the upper edge of what is seen to that of the row. */
  readonly top: number;
}

export class ScrollKeeper {
  /** At the end, and to stay there. */
  isAtEnd = true;
  #box: HTMLElement | null = null;
  #anchor: Anchor | null = null;
  readonly #observer = new ResizeObserver(() => this.keep());
  readonly #holdsEnd: () => boolean;

  /** @param holdsEnd whether the last row is the last there is: only there one stays at the end */
  constructor(holdsEnd: () => boolean) {
    this.#holdsEnd = holdsEnd;
  }

  attach(box: HTMLElement): () => void {
    this.#box = box;
    this.#observer.observe(box);
    for (const child of box.children) this.#observer.observe(child);
    return () => this.#observer.disconnect();
  }

  /** Notes what is seen now. To be called at each scroll. */
  remember(): void {
    const box = this.#box;
    if (box === null) return;
    this.isAtEnd = this.#holdsEnd() && this.toEndPx() < NEAR_PX;
    const row = this.rows().find((one) => one.offsetTop + one.offsetHeight > box.scrollTop);
    this.#anchor = row === undefined ? null : { key: row.dataset.key ?? '', top: row.offsetTop - box.scrollTop };
  }

  /** Brings back what was seen. To be called after each drawing, before it is painted. */
  keep(): void {
    const box = this.#box;
    if (box === null) return;
    if (this.isAtEnd) return this.toEnd();
    const row = this.#anchor === null ? undefined : this.row(this.#anchor.key);
    if (row === undefined || this.#anchor === null) return;
    const shift = row.offsetTop - box.scrollTop - this.#anchor.top;
    if (Math.abs(shift) >= 1) box.scrollTop += shift;
  }

  toEnd(): void {
    this.isAtEnd = true;
    if (this.#box !== null) this.#box.scrollTop = this.#box.scrollHeight;
  }

  /** Shows an element, a part of the height below the upper edge. */
  show(element: HTMLElement, share = 0.25): void {
    if (this.#box === null) return;
    this.isAtEnd = false;
    this.#box.scrollTop = element.offsetTop - this.#box.clientHeight * share;
    this.remember();
  }

  row(key: string): HTMLElement | undefined {
    return this.rows().find((one) => one.dataset.key === key);
  }

  /** Those that can be seen whole are before this height of the content. */
  get seenPx(): number {
    return this.#box === null ? 0 : this.#box.scrollTop + this.#box.clientHeight;
  }

  get scrolledPx(): number {
    return this.#box?.scrollTop ?? 0;
  }

  toEndPx(): number {
    const box = this.#box;
    return box === null ? 0 : box.scrollHeight - box.scrollTop - box.clientHeight;
  }

  rows(): HTMLElement[] {
    return [...(this.#box?.querySelectorAll<HTMLElement>('[data-key]') ?? [])];
  }
}
