// The observer of a connection that also writes the history: every push, page and answer in the order it came.
import type { HistoryAnswer, Ready, SyncAnswer } from '../../src/protocol/answers.ts';
import type { Push } from '../kit/frames.ts';
import { type Ledger, Observer, type Since } from '../kit/observer.ts';
import { type History, type HistoryQuery, isChangePush } from './evidence.ts';

interface Options {
  readonly history: History;
  readonly ledger: Ledger;
  /** Tells this connection from all others of the run. */
  readonly connection: number;
  readonly fault: (fault: string) => void;
  /** Nothing more comes of this conversation until it has been pulled. */
  readonly onBehind: (conv: string) => void;
}

export class Recorder extends Observer {
  readonly #options: Options;
  readonly #askedAt = new Map<string, number>();
  #epoch = '';
  /** `ready` has come: what this connection has is known. */
  isReady = false;

  constructor(options: Options) {
    super(options.ledger, options.fault);
    this.#options = options;
  }

  /** What the next connection goes on from. */
  since(): Since {
    return { epoch: this.#epoch, convs: this.cursors() };
  }

  /** To be called before a read is sent. */
  onAsk(id: string): void {
    this.#askedAt.set(id, performance.now());
  }

  override onReady(ready: Ready, since: Since | undefined): void {
    const { history, connection } = this.#options;
    history.add({ is: 'ready', connection, user: ready.user.id, ready, since });
    this.isReady = true;
    this.#epoch = ready.epoch;
    super.onReady(ready, since);
  }

  override onSync(answer: SyncAnswer): void {
    const { history, connection } = this.#options;
    history.add({ is: 'sync', connection, asked: this.#askedAt.get(answer.id) ?? 0, answer });
    this.#epoch = answer.epoch;
    super.onSync(answer);
  }

  onHistory(query: HistoryQuery, answer: HistoryAnswer): void {
    const { history, connection } = this.#options;
    history.add({ is: 'history', connection, asked: this.#askedAt.get(answer.id) ?? 0, query, answer });
  }

  override onPush(push: Push): void {
    const { history, connection, onBehind } = this.#options;
    const isTurn = push.t === 'caught_up' || push.t === 'behind' || push.t === 'reset' || push.t === 'gone';
    if (isTurn || isChangePush(push)) history.add({ is: 'push', connection, push });
    if (push.t === 'reset') this.#epoch = push.epoch;
    super.onPush(push);
    if (push.t === 'behind' || push.t === 'reset') onBehind(push.conv);
  }
}
