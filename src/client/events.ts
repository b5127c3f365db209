// Who listens. A listener that throws harms nobody else: its error goes to the host as an uncaught one.

interface Event {
  readonly type: string;
  readonly state?: unknown;
}

export function createEvents<Told extends Event>() {
  type Listener = (event: Told) => void;
  const listeners = new Set<Listener>();

  /** @param type undefined: all of them */
  function on(type: string | undefined, call: Listener): () => void {
    const listener: Listener = (event) => {
      if (!type || type === event.type) call(event);
    };
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  function emit(event: Told): void {
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Listens from the first `next` on, until it is left or the chat has closed. */
  async function* all(): AsyncGenerator<Told, undefined> {
    const queue: Told[] = [];
    let wake = () => {};
    const end = on(undefined, (event) => {
      queue.push(event);
      wake();
    });
    try {
      for (;;) {
        const event = queue.shift();
        if (event) yield event;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        if (event?.state === 'closed') return;
      }
    } finally {
      end();
    }
  }

  return { on, emit, all };
}
