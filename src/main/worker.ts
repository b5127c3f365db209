// A worker's end of the channel to its supervisor: which worker it is, what it tells, and the metrics of all, which any of
// them answers. Refuses to be one without a supervisor.
import { Asks, type Note } from './channel.ts';

/** Longer than the supervisor waits for a single worker. */
const ANSWER_MS = 5_000;

/** The metrics of a process, or of several. */
export interface Metrics {
  text(): Promise<{ readonly type: string; readonly body: string }>;
}

/** The command line of a worker. */
export function workerWords(index: number, port: number): readonly string[] {
  return [`--worker=${index}`, `--port=${port}`];
}

/** The worker this process is to be, or null: the words alone make none, it takes who gave them. */
export function workerOf(words: readonly string[]): Worker | null {
  const { index, port } = /^--worker=(?<index>\d+) --port=(?<port>\d+)$/.exec(words.join(' '))?.groups ?? {};
  return index === undefined || !process.connected ? null : new Worker(Number(index), Number(port));
}

export class Worker {
  readonly index: number;
  readonly port: number;
  /** The supervisor has ended, whatever the way; without one nobody would end this process. */
  readonly orphaned: Promise<void>;
  readonly #asks = new Asks(ANSWER_MS);
  #own: Metrics | null = null;

  constructor(index: number, port: number) {
    this.index = index;
    this.port = port;
    this.orphaned = new Promise((resolve) => process.once('disconnect', resolve));
    process.on('message', (note) => this.#onNote(note as Note));
  }

  tellListening(address: string): void {
    void tell({ t: 'listening', address });
  }

  /** Resolves when it has been said: the process may end. */
  tellRefused(reason: string): Promise<void> {
    return tell({ t: 'refused', reason });
  }

  /** The metrics of all workers, in the place of its own. */
  shareMetrics(own: Metrics): Metrics {
    this.#own = own;
    return {
      text: async () => {
        const { type } = await own.text();
        const body = await this.#asks.ask(tell);
        if (body === null) throw new Error('the supervisor does not answer');
        return { type, body };
      },
    };
  }

  #onNote(note: Note): void {
    if (note.t === 'metrics') this.#asks.answer(note.id, note.body);
    else if (note.t === 'ask') void this.#answer(note.id);
  }

  async #answer(id: number): Promise<void> {
    const body = (await this.#own?.text())?.body ?? '';
    await tell({ t: 'metrics', id, body });
  }
}

/** Who is gone hears nothing, and that is no fault. */
function tell(note: Note): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(note, undefined, undefined, () => resolve());
  });
}
