// What supervisor and worker say to each other, over the channel that Node opens between a process and its child.

export type Note =
  /** From the worker: it accepts. */
  | { readonly t: 'listening'; readonly address: string }
  /** From the worker: its environment is at fault, and it ends with code 2. */
  | { readonly t: 'refused'; readonly reason: string }
  /** Asks a worker for its own metrics, the supervisor for those of all. */
  | { readonly t: 'ask'; readonly id: number }
  | { readonly t: 'metrics'; readonly id: number; readonly body: string };

/** The asks of one side that have no answer yet. */
export class Asks {
  readonly #open = new Map<number, (body: string | null) => void>();
  readonly #timeoutMs: number;
  #lastId = 0;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** @returns the metrics, or null where none came in time */
  ask(send: (note: Note) => void): Promise<string | null> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answer(id, null), this.#timeoutMs);
      this.#open.set(id, (body) => {
        clearTimeout(timer);
        resolve(body);
      });
      send({ t: 'ask', id });
    });
  }

  /** An answer that comes too late is nobody's. */
  answer(id: number, body: string | null): void {
    this.#open.get(id)?.(body);
    this.#open.delete(id);
  }
}
