// The newest messages of conversations that were read lately, so that opening a busy one asks no store. A page is true at
// one change, `upTo`; what follows is in the tail, which carries the page on. Where the tail does not reach back to it, the
// page is of no use any more and the store is asked.
import type { Change } from '../ports/log.ts';
import { parseChange } from '../protocol/changes.ts';
import type { ConvId, Seq } from '../protocol/ids.ts';
import { DEFAULT_HISTORY_LIMIT, MAX_ANSWER_BYTES, MAX_HISTORY_LIMIT } from '../protocol/limits.ts';
import type { MessageState } from '../protocol/states.ts';
import type { TailMemory } from '../tail/index.ts';
import { fitFromEnd, foldAll, jsonBytes, type NewestPage, type Page, sentIn } from './pages.ts';

/** What a page costs in memory: some bytes, and two for each of its JSON (measured: one character beyond Latin-1 makes a text so wide). */
const PAGE_BYTES = 400;
const MEMORY_PER_JSON = 2;
/** Carrying a page on past more changes would cost more than asking for it, in one go. */
const MOST_NEWER = MAX_HISTORY_LIMIT;

interface KeptPage extends NewestPage {
  readonly upTo: Seq;
}

export class NewestPages {
  readonly #tail: TailMemory;
  readonly #headOf: (conv: ConvId) => Seq | undefined;
  readonly #keepBytes: number;
  /** The longest unused first. */
  readonly #pages = new Map<ConvId, KeptPage>();
  /** Of messages in pages, as JSON. */
  readonly #sizes = new WeakMap<MessageState, number>();
  #bytes = 0;
  /** Of which view of the log they are. */
  #began: number;

  /** @param headOf the newest change this node has seen of a conversation, undefined where it follows it not */
  constructor(tail: TailMemory, headOf: (conv: ConvId) => Seq | undefined, keepBytes: number) {
    this.#tail = tail;
    this.#headOf = headOf;
    this.#keepBytes = keepBytes;
    this.#began = tail.began;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The newest messages this node has seen, at most `limit`; undefined where the store has to be asked. */
  find(conv: ConvId, limit: number): Page | undefined {
    const kept = this.#current(conv);
    if (kept === undefined || (kept.items.length < limit && kept.more && !kept.isFull)) return undefined;
    const items = this.#fit(kept.items, limit);
    return { items, more: kept.more || items.length < kept.items.length };
  }

  /**
   * @param page the newest messages
   * @param upTo the change at which the page is true; the tail has all that follow it
   */
  keep(conv: ConvId, { items, more, isFull }: NewestPage, upTo: Seq): void {
    this.#forgetOldView();
    this.#drop(conv);
    this.#put(conv, { items, more, isFull, upTo });
  }

  #current(conv: ConvId): KeptPage | undefined {
    this.#forgetOldView();
    const kept = this.#drop(conv);
    if (kept === undefined) return undefined;
    const newer = this.#tail.after(conv, kept.upTo);
    if (newer === null ? this.#headOf(conv) !== kept.upTo : newer.length > MOST_NEWER) return undefined;
    const current = newer === null || newer.length === 0 ? kept : this.#carriedOn(kept, newer);
    this.#put(conv, current);
    return current;
  }

  #carriedOn(page: KeptPage, changes: readonly Change[]): KeptPage {
    const newer = changes.map(({ wire }) => parseChange(wire));
    const all = foldAll([...page.items, ...sentIn(newer)], newer);
    const most = Math.max(DEFAULT_HISTORY_LIMIT, page.items.length);
    const items = this.#fit(all, most);
    const isCut = items.length < all.length;
    const upTo = newer.at(-1)?.seq ?? page.upTo;
    return { items, more: page.more || isCut, upTo, isFull: isCut && items.length < most };
  }

  #fit(items: readonly MessageState[], limit: number): readonly MessageState[] {
    return fitFromEnd(items, limit, MAX_ANSWER_BYTES, (item) => this.#sizeOf(item));
  }

  #sizeOf(item: MessageState): number {
    const known = this.#sizes.get(item);
    if (known !== undefined) return known;
    const size = jsonBytes(item);
    this.#sizes.set(item, size);
    return size;
  }

  #put(conv: ConvId, page: KeptPage): void {
    this.#pages.set(conv, page);
    this.#bytes += this.#costOf(page);
    for (const oldest of this.#pages.keys()) {
      if (this.#bytes <= this.#keepBytes) break;
      this.#drop(oldest);
    }
  }

  #drop(conv: ConvId): KeptPage | undefined {
    const page = this.#pages.get(conv);
    if (page === undefined) return undefined;
    this.#pages.delete(conv);
    this.#bytes -= this.#costOf(page);
    return page;
  }

  #costOf({ items }: KeptPage): number {
    return items.reduce((bytes, item) => bytes + MEMORY_PER_JSON * this.#sizeOf(item), PAGE_BYTES);
  }

  /** Where the log went on without this node, what was kept may never have been. */
  #forgetOldView(): void {
    if (this.#began === this.#tail.began) return;
    this.#began = this.#tail.began;
    this.#pages.clear();
    this.#bytes = 0;
  }
}
