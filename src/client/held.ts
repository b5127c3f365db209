// The messages of a conversation that are held: a stretch without gaps, loaded by pages and kept up to date. Ruled by one
// law: a newer state replaces an older one of the same message, and nothing else does, so nothing that comes twice or late
// does harm.
import type { HistoryAnswer } from '../protocol/answers.ts';
import type { ChangeBody } from '../protocol/changes.ts';
import type { Seq } from '../protocol/ids.ts';
import { foldMessage, type MessageState } from '../protocol/states.ts';

export interface Range {
  readonly before?: Seq | undefined;
  readonly after?: Seq | undefined;
  readonly around?: Seq;
  readonly limit?: number | undefined;
}

export class Held {
  messages: readonly MessageState[] = [];
  isOpen = false;
  /** Before the first page there may be anything. */
  hasOlder = true;
  hasNewer = true;
  readonly #ask: (range: Range) => Promise<HistoryAnswer>;
  readonly #onPage: (items: readonly MessageState[]) => void;
  /** Pages are loaded one after the other. */
  #loading: Promise<void> = Promise.resolve();
  /** What happened while a page was on its way, to be done again over it: the page may be older. */
  #meanwhile: (() => void)[] | undefined;
  /** A page asked for in another one is let go. */
  #era = {};

  constructor(ask: (range: Range) => Promise<HistoryAnswer>, onPage: (items: readonly MessageState[]) => void) {
    this.#ask = ask;
    this.#onPage = onPage;
  }

  /** In place of what is held: the newest page, or one around a message. */
  replace(range: Range): Promise<void> {
    this.isOpen = true;
    return this.load(
      () => range,
      (answer) => this.#replaceBy(answer),
    );
  }

  #replaceBy({ items, more, moreBefore, moreAfter }: HistoryAnswer): void {
    this.messages = items;
    this.hasOlder = !!(more ?? moreBefore);
    this.hasNewer = !!moreAfter;
  }

  older(limit?: number): Promise<void> {
    return this.#extend('before', 0, limit, (more) => {
      this.hasOlder = more;
    });
  }

  newer(limit?: number): Promise<void> {
    return this.#extend('after', -1, limit, (more) => {
      this.hasNewer = more;
    });
  }

  trim(from: Seq, to: Seq): void {
    const { messages } = this;
    this.messages = messages.filter(({ seq }) => seq >= from && seq <= to);
    this.hasOlder ||= this.messages[0] !== messages[0];
    this.hasNewer ||= this.messages.at(-1) !== messages.at(-1);
  }

  close(): void {
    this.isOpen = false;
    this.clear();
  }

  /** Also what is on its way. */
  clear(): void {
    this.#era = {};
    this.messages = [];
    this.hasOlder = this.hasNewer = true;
  }

  /** @param merge what becomes of the page where messages are held; they are told in any case */
  load(range: () => Range, merge: (answer: HistoryAnswer) => void): Promise<void> {
    const load = async () => {
      const era = this.#era;
      this.#meanwhile = [];
      try {
        const answer = await this.#ask(range());
        if (era !== this.#era) return;
        if (this.isOpen) merge(answer);
        for (const again of this.#meanwhile) again();
        this.#onPage(answer.items);
      } finally {
        this.#meanwhile = undefined;
      }
    };
    this.#loading = this.#loading.then(load, load);
    return this.#loading;
  }

  find(seq: Seq): MessageState | undefined {
    return this.messages.find((message) => message.seq === seq);
  }

  /** A state that was told. Held when it is of one of those held, or follows on them where nothing is missing. */
  take(state: MessageState): void {
    this.#do(() => {
      const { messages } = this;
      const at = messages.findLastIndex(({ seq }) => seq <= state.seq);
      const same = messages[at];
      if (same?.seq === state.seq) this.messages = messages.with(at, newer(state, same));
      else if (this.isOpen && (at >= 0 || !this.hasOlder) && (at < messages.length - 1 || !this.hasNewer))
        this.messages = messages.toSpliced(at + 1, 0, state);
    });
  }

  /** A change of a message, held or not. */
  fold(seq: Seq, change: ChangeBody): void {
    this.#do(() => {
      const state = this.find(seq);
      if (state !== undefined) this.take(fold(state, change));
    });
  }

  #do(step: () => void): void {
    step();
    this.#meanwhile?.push(step);
  }

  /** A page that follows on the message at one end, if that is still held when it comes. Holding none: the newest page. */
  #extend(
    side: 'before' | 'after',
    end: 0 | -1,
    limit: number | undefined,
    onMore: (more: boolean) => void,
  ): Promise<void> {
    let edge: Seq | undefined;
    return this.load(
      () => {
        edge = this.messages.at(end)?.seq;
        return { [side]: edge, limit };
      },
      (answer) => {
        if (edge === undefined) return this.#replaceBy(answer);
        const all = new Map(this.messages.map((state) => [state.seq, state]));
        if (!all.has(edge)) return;
        for (const state of answer.items) all.set(state.seq, newer(state, all.get(state.seq)));
        this.messages = [...all.values()].sort((one, other) => one.seq - other.seq);
        onMore(!!answer.more);
      },
    );
  }
}

export function newer(state: MessageState, held: MessageState | undefined): MessageState {
  return held === undefined || state.rev > held.rev ? state : held;
}

/**
 * The state of a message after a change. What is replayed of one deleted since says so, but is not the deletion itself,
 * which follows and has the `rev`.
 */
export function fold(state: MessageState, change: ChangeBody): MessageState {
  const { deleted, ...rest } = state;
  const folded = foldMessage(change.t === 'delete' ? rest : state, change);
  if (folded === rest) return state;
  return change.t === 'edit' && change.deleted ? { ...folded, deleted: true } : folded;
}
