// Tells views that something of the chat has changed: one cell for the list of conversations, one for each conversation,
// one for presence. However many events come in a turn, a view is drawn once.
import type { Chat, ChatEvent } from '../../client/types.ts';
import { Cell } from './cell.ts';

export class News {
  /** Which conversations there are, and their order. */
  readonly list = new Cell(0);
  readonly presence = new Cell(0);
  readonly state = new Cell(0);
  readonly #conversations = new Map<string, Cell<number>>();
  readonly #changed = new Set<Cell<number>>();
  readonly #end: () => void;

  constructor(chat: Chat) {
    const ends = [
      ...(['message', 'changed', 'conversation', 'gone', 'reset', 'unread', 'sending'] as const).map((type) =>
        chat.on(type, ({ conversation }: { readonly conversation: { readonly conv: string } | undefined }) => {
          this.#mark(this.list);
          if (conversation !== undefined) this.#mark(this.of(conversation.conv));
        }),
      ),
      ...(['member', 'typing', 'receipt'] as const).map((type) =>
        chat.on(type, ({ conversation }: ChatEvent & { readonly conversation: { readonly conv: string } }) =>
          this.#mark(this.of(conversation.conv)),
        ),
      ),
      chat.on('presence', () => this.#mark(this.presence)),
      chat.on('state', () => this.#mark(this.state)),
    ];
    this.#end = () => {
      for (const end of ends) end();
    };
  }

  of(conv: string): Cell<number> {
    const known = this.#conversations.get(conv);
    if (known !== undefined) return known;
    const cell = new Cell(0);
    this.#conversations.set(conv, cell);
    return cell;
  }

  close(): void {
    this.#end();
  }

  #mark(cell: Cell<number>): void {
    if (this.#changed.size === 0) queueMicrotask(() => this.#tell());
    this.#changed.add(cell);
  }

  #tell(): void {
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const cell of changed) cell.value++;
  }
}
