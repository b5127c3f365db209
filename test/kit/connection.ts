// One WebSocket as a test uses it: requests with their one answer, pushes in their order, waiting for either, and the ways
// a connection can be mistreated. Everything it gets goes past the observer.
import { randomUUIDv7 } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type ClientOptions, WebSocket } from 'ws';
import type { ErrorAnswer } from '../../src/protocol/answers.ts';
import {
  type Answer,
  type AnswerOf,
  type Change,
  isAnswer,
  isChange,
  type Push,
  type PushOf,
  type ServerFrame,
} from './frames.ts';
import type { Observer, Since } from './observer.ts';
import { soon } from './waiting.ts';

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A frame to send; a request gets an `id` where it has none. */
export type Outgoing = { readonly t: string; readonly id?: string } & Readonly<Record<string, unknown>>;

/** The connection ended before the answer: whether the request took effect is unknown. */
export class Unanswered extends Error {}

/** Fields it has; ids may be plain strings. */
type Where<P> =
  | { readonly [Field in keyof P]?: P[Field] extends string | undefined ? string : P[Field] }
  | ((push: P) => boolean);

interface Asked {
  readonly since?: Since;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** How much of what came is told when something does not. */
const TOLD_FRAMES = 15;

export class Connection {
  readonly ws: WebSocket;
  readonly socket: Socket;
  readonly observer: Observer;
  /** Everything that came, in order. */
  readonly frames: ServerFrame[] = [];
  readonly closed: Promise<Closed>;
  readonly #fault: (fault: string) => void;
  readonly #asked = new Map<string, Asked[]>();
  /** Pushes that nobody has waited for yet, and errors that answer no request. */
  readonly #unread: (Push | ErrorAnswer)[] = [];
  readonly #waiting = new Set<() => void>();
  #end: Closed | null = null;

  constructor(url: string, observer: Observer, fault: (fault: string) => void, options: ClientOptions = {}) {
    this.observer = observer;
    this.#fault = fault;
    const { port, hostname } = new URL(url);
    this.socket = connect({ port: Number(port), host: hostname });
    this.ws = new WebSocket(url, 'chatterbox.v1', {
      perMessageDeflate: false,
      createConnection: () => this.socket,
      ...options,
    });
    this.ws.on('message', (data: Buffer) => this.#onFrame(JSON.parse(data.toString()) as ServerFrame));
    this.ws.on('error', () => {});
    this.closed = new Promise((resolve) => {
      this.ws.once('close', (code, reason) => {
        this.#end = { code, reason: reason.toString() };
        this.#onEnd();
        resolve(this.#end);
      });
    });
  }

  get isOpen(): boolean {
    return this.#end === null;
  }

  get pushes(): readonly Push[] {
    return this.frames.filter((frame): frame is Push => !isAnswer(frame));
  }

  /** The changes that were pushed, of one conversation or all. */
  changes(conv?: string): readonly Change[] {
    return this.frames.filter(isChange).filter((change) => conv === undefined || change.conv === conv);
  }

  /** Sends a request. @returns its one answer @throws Unanswered when the connection ends first */
  request(frame: Outgoing): Promise<Answer> {
    const request: Outgoing & { readonly id: string } = { id: randomUUIDv7(), ...frame };
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const asked = this.#asked.get(request.id) ?? [];
    const since = request.since as Since | undefined;
    this.#asked.set(request.id, [...asked, { resolve, reject, ...(since === undefined ? {} : { since }) }]);
    if (!this.isOpen) this.#onEnd();
    else this.signal(request);
    return soon(promise, () => `no answer to ${JSON.stringify(request)}; ${this.#seen()}`);
  }

  /** As `request`. @throws when the answer is not of this type */
  async ask<T extends Answer['t']>(type: T, frame: Outgoing): Promise<AnswerOf<T>> {
    const answer = await this.request(frame);
    if (answer.t === type) return answer as AnswerOf<T>;
    throw new Error(`${JSON.stringify(frame)} got ${JSON.stringify(answer)}`);
  }

  /** As `request`, for what the server has to refuse. */
  refused(frame: Outgoing): Promise<ErrorAnswer> {
    return this.ask('error', frame);
  }

  /** Sends what gets no answer. */
  signal(frame: Outgoing): void {
    this.ws.send(JSON.stringify(frame));
  }

  /** The next push of this type that nobody has been given yet, and that is as told. */
  next<T extends Push['t']>(type: T, where: Where<PushOf<T>> = {}): Promise<PushOf<T>> {
    return this.#take<PushOf<T>>(
      `a push ${type} ${told(where)}`,
      (frame) => frame.t === type && matches(frame as PushOf<T>, where),
    );
  }

  /** The next error that answers no request. */
  nextError(): Promise<ErrorAnswer> {
    return this.#take<ErrorAnswer>('an error', (frame) => frame.t === 'error');
  }

  /** Everything the server sent before now has arrived: it answers in order. */
  async fence(): Promise<void> {
    await this.ask('pong', { t: 'ping' });
  }

  /** Ends it in good order. */
  async close(): Promise<void> {
    this.ws.close(1000);
    await this.closed;
  }

  /** Cuts it: no close frame, nothing more is read. */
  async cut(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  /** The server closes it. */
  async ended(): Promise<Closed> {
    return soon(this.closed, () => `it was not closed; ${this.#seen()}`);
  }

  async opened(): Promise<this> {
    await this.next('welcome');
    return this;
  }

  #take<Taken extends Push | ErrorAnswer>(
    what: string,
    isWanted: (frame: Push | ErrorAnswer) => boolean,
  ): Promise<Taken> {
    const { promise, resolve, reject } = Promise.withResolvers<Taken>();
    const look = () => {
      const found = this.#unread.findIndex(isWanted);
      if (found === -1 && this.isOpen) return;
      this.#waiting.delete(look);
      if (found === -1) reject(new Error(`closed before ${what}; ${this.#seen()}`));
      else resolve(this.#unread.splice(found, 1)[0] as Taken);
    };
    this.#waiting.add(look);
    look();
    return soon(promise, () => `no ${what}; ${this.#seen()}`);
  }

  #onFrame(frame: ServerFrame): void {
    this.frames.push(frame);
    if (isAnswer(frame)) this.#onAnswer(frame);
    else {
      this.observer.onPush(frame);
      this.#unread.push(frame);
    }
    for (const look of [...this.#waiting]) look();
  }

  #onAnswer(answer: Answer): void {
    const asked = this.#asked.get(answer.id ?? '');
    const first = asked?.shift();
    if (asked?.length === 0) this.#asked.delete(answer.id ?? '');
    if (answer.t === 'ready') this.observer.onReady(answer, first?.since);
    if (answer.t === 'sync') this.observer.onSync(answer);
    if (first !== undefined) first.resolve(answer);
    else if (answer.t === 'error') this.#unread.push(answer);
    else this.#fault(`an answer nobody waits for: ${JSON.stringify(answer)}`);
  }

  #onEnd(): void {
    for (const { reject } of [...this.#asked.values()].flat()) reject(new Unanswered(`closed; ${this.#seen()}`));
    this.#asked.clear();
    for (const look of [...this.#waiting]) look();
  }

  #seen(): string {
    const last = this.frames.slice(-TOLD_FRAMES).map((frame) => JSON.stringify(frame).slice(0, 200));
    const end = this.#end === null ? 'open' : `closed ${this.#end.code} ${this.#end.reason}`;
    return `of ${this.frames.length} frames the last:\n  ${last.join('\n  ')}\n  (${end})`;
  }
}

function matches<P>(push: P, where: Where<P>): boolean {
  if (typeof where === 'function') return where(push);
  return Object.entries(where).every(([field, value]) => push[field as keyof P] === value);
}

function told(where: unknown): string {
  return typeof where === 'function' ? where.toString() : JSON.stringify(where);
}
