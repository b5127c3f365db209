// One connection of the generator: upgrade, hello, ready, then it counts what comes. Reads into one buffer that
// all connections share; a push of a message is read at fixed offsets (protocol/changes.ts `wireText`), the rest as JSON.
// It may come back after its end, with what it has seen in `since`, and pulls what it is told it is behind with.
import { connect, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import type { Dialect } from './dialect.ts';
import { Cursor, type Ledger } from './ledger.ts';
import type { ClientSpec } from './orders.ts';
import { FrameReader, maskedFrame, OP_CLOSE, OP_PING, pongFrame, upgradeRequest } from './wire.ts';

/** What a client reports to its process, beside the ledger. */
export interface Watcher {
  readonly ledger: Ledger;
  readonly dialect: Dialect;
  deliveredBytes: number;
  ephemeral: number;
  onReady(client: Client): void;
  /** The client has what it missed of one conversation. */
  onCaughtUp(client: Client): void;
  onDelivery(client: Client, sentUs: number): void;
  onOk(client: Client, answer: OkAnswer): void;
  onPage(client: Client, answer: PageAnswer): void;
  onTrouble(client: Client, what: string, id: string | undefined): void;
  onEnd(client: Client): void;
}

export interface OkAnswer {
  readonly id: string;
  readonly conv?: string;
  readonly seq?: number;
  readonly dup?: boolean;
}

export interface PageAnswer {
  readonly id: string;
  readonly items: readonly { readonly seq: number }[];
}

interface SyncAnswer {
  readonly conv: string;
  readonly to: number;
  readonly more: boolean;
  readonly items: readonly { readonly is: string; readonly seq: number }[];
}

type ServerFrame =
  | { readonly t: 'welcome' }
  | {
      readonly t: 'ready';
      readonly epoch?: string;
      readonly convs: readonly { readonly conv: string; readonly seq: number }[];
    }
  | ({ readonly t: 'ok' } & OkAnswer)
  | ({ readonly t: 'history' } & PageAnswer)
  | ({ readonly t: 'sync' } & SyncAnswer)
  | { readonly t: 'error'; readonly code: string; readonly id?: string }
  | { readonly t: 'conv' | 'edit' | 'delete' | 'react' | 'pin' | 'member'; readonly conv: string; readonly seq: number }
  | { readonly t: 'typing' | 'presence' | 'receipt' | 'unread' }
  | { readonly t: 'behind' | 'caught_up'; readonly conv: string; readonly seq: number }
  | { readonly t: 'reset' | 'gone' | 'bye' };

const MESSAGE_PUSH = Buffer.from('{"t":"message","conv":"');
const SEQ_FIELD = '","seq":'.length;
const TIME_FIELD = '"text":"~';
const QUOTE = 0x22;
const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
const SYNC_LIMIT = 500;

const shared = Buffer.allocUnsafeSlow(256 * 1_024);

export class Client {
  readonly #watcher: Watcher;
  readonly #spec: ClientSpec;
  readonly #host: string;
  readonly #isSecure: boolean;
  #socket: Socket;
  #reader: FrameReader;
  readonly cursors = new Map<string, Cursor>();
  #epoch = '';
  #upgraded = false;
  #head = '';
  /** It was ready once: it comes back with `since`. */
  #isReturning = false;
  /** Its end is wanted. */
  isForgotten = false;
  /** Its deliveries are not timed: it stopped reading for a while. */
  isSlow = false;
  /** Messages a closed loop has to send after this read. */
  owed = 0;
  flush: (() => void) | null = null;

  constructor(spec: ClientSpec, host: string, isSecure: boolean, watcher: Watcher) {
    this.#watcher = watcher;
    this.#spec = spec;
    this.#host = host;
    this.#isSecure = isSecure;
    this.#reader = this.#newReader();
    this.#socket = this.#open(spec.port);
  }

  /** Comes back after its end. */
  reopen(port: number): void {
    this.#isReturning = true;
    this.#upgraded = false;
    this.#reader = this.#newReader();
    this.#socket = this.#open(port);
  }

  get port(): number {
    return this.#socket.remotePort ?? this.#spec.port;
  }

  write(frames: Buffer): void {
    this.#socket.write(frames);
  }

  end(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.isSlow = true;
    this.#socket.pause();
  }

  unpause(): void {
    this.#socket.resume();
  }

  #newReader(): FrameReader {
    return new FrameReader((op, data, start, end) => this.#onFrame(op, data, start, end));
  }

  #open(port: number): Socket {
    const socket = this.#isSecure ? this.#connectSecurely(port) : this.#connect(port);
    socket.on('error', (error) => this.#watcher.onTrouble(this, error.message, undefined));
    socket.on('close', () => this.#watcher.onEnd(this));
    socket.write(upgradeRequest(this.#host, port, this.#watcher.dialect.path));
    return socket;
  }

  #connect(port: number): Socket {
    const { from } = this.#spec;
    return connect({
      host: this.#host,
      port,
      ...(from === null ? {} : { localAddress: from }),
      noDelay: true,
      onread: { buffer: shared, callback: (bytes) => this.#onRead(shared.subarray(0, bytes)) },
    });
  }

  #connectSecurely(port: number): Socket {
    const socket = connectSecurely({ host: this.#host, port, servername: this.#host, ALPNProtocols: ['http/1.1'] });
    return socket.setNoDelay(true).on('data', (chunk: Buffer) => this.#onRead(chunk));
  }

  #onRead(chunk: Buffer): boolean {
    if (this.#upgraded) this.#reader.read(chunk);
    else this.#onUpgrade(chunk);
    if (this.owed > 0) this.flush?.();
    return true;
  }

  #onUpgrade(chunk: Buffer): void {
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    if (!this.#head.startsWith('HTTP/1.1 101')) {
      this.#watcher.onTrouble(this, `no upgrade: ${this.#head.slice(0, this.#head.indexOf('\r\n'))}`, undefined);
      this.end();
      return;
    }
    this.#upgraded = true;
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1');
    this.#head = '';
    this.#greet(null);
    if (rest.length > 0) this.#reader.read(rest);
  }

  /** @returns whether the transport wanted something said first */
  #greet(serverText: string | null): boolean {
    const text = this.#watcher.dialect.opening(serverText, this.#hello());
    if (text !== null) this.write(maskedFrame(text));
    return text !== null;
  }

  #hello(): string {
    const hello = { t: 'hello', id: 'bench-hello', token: this.#spec.token };
    if (!this.#isReturning) return JSON.stringify(hello);
    const convs = Object.fromEntries([...this.cursors].map(([conv, { last }]) => [conv, last]));
    return JSON.stringify({ ...hello, since: { epoch: this.#epoch, convs } });
  }

  #onFrame(op: number, data: Buffer, start: number, end: number): void {
    if (op === OP_PING) return this.write(pongFrame(data, start, end));
    if (op === OP_CLOSE) return this.#onClose(data, start, end);
    const { before, after } = this.#watcher.dialect;
    if (isMessagePush(data, start + before)) this.#onMessagePush(data, start + before, end - after);
    else if (before === 0) this.#onOther(JSON.parse(data.toString('utf8', start, end)) as ServerFrame);
    else this.#onWrapped(data, start, end);
  }

  #onWrapped(data: Buffer, start: number, end: number): void {
    const { before, after, reply } = this.#watcher.dialect;
    const answer = reply(data, start, end);
    if (answer !== null) return this.write(maskedFrame(answer));
    if (this.#greet(data.toString('utf8', start, end))) return;
    this.#onOther(JSON.parse(data.toString('utf8', start + before, end - after)) as ServerFrame);
  }

  #onClose(data: Buffer, start: number, end: number): void {
    this.#watcher.onTrouble(this, `closed ${end - start >= 2 ? data.readUInt16BE(start) : 1005}`, undefined);
    this.end();
  }

  #onMessagePush(data: Buffer, start: number, end: number): void {
    const conv = start + MESSAGE_PUSH.length;
    let at = conv;
    while (data[at] !== QUOTE) at++;
    this.#see(data.toString('latin1', conv, at), digitsAt(data, at + SEQ_FIELD));
    this.#watcher.deliveredBytes += end - start + (end - start < 126 ? 2 : 4);
    const text = data.indexOf(TIME_FIELD, at, 'latin1');
    if (text > 0 && text < end) this.#watcher.onDelivery(this, digitsAt(data, text + TIME_FIELD.length));
  }

  #see(conv: string, seq: number): void {
    this.#watcher.ledger.see(this.#cursor(conv, seq), seq);
  }

  /** @param seq of its first change here, where nothing of the conversation is known yet */
  #cursor(conv: string, seq: number): Cursor {
    let cursor = this.cursors.get(conv);
    if (cursor === undefined) {
      cursor = new Cursor(seq - 1);
      this.cursors.set(conv, cursor);
    }
    return cursor;
  }

  #onOther(frame: ServerFrame): void {
    switch (frame.t) {
      case 'welcome':
        break;
      case 'ready':
        this.#epoch = frame.epoch ?? '';
        for (const { conv, seq } of frame.convs) {
          if (!this.cursors.has(conv)) this.cursors.set(conv, new Cursor(seq));
        }
        this.#watcher.onReady(this);
        break;
      case 'ok':
        this.#watcher.onOk(this, frame);
        break;
      case 'history':
        this.#watcher.onPage(this, frame);
        break;
      case 'behind':
        this.#watcher.onTrouble(this, 'behind', undefined);
        this.#pull(frame.conv, this.#cursor(frame.conv, frame.seq));
        break;
      case 'sync':
        this.#onSync(frame);
        break;
      case 'caught_up':
        this.#watcher.onCaughtUp(this);
        break;
      case 'error':
        this.#watcher.onTrouble(this, frame.code, frame.id);
        break;
      case 'conv':
      case 'edit':
      case 'delete':
      case 'react':
      case 'pin':
      case 'member':
        this.#see(frame.conv, frame.seq);
        break;
      case 'typing':
      case 'presence':
      case 'receipt':
      case 'unread':
        this.#watcher.ephemeral++;
        break;
      default:
        this.#watcher.onTrouble(this, frame.t, undefined);
    }
  }

  #pull(conv: string, { last }: Cursor): void {
    const request = { t: 'sync', id: 'bench-sync', conv, after: last, limit: SYNC_LIMIT };
    this.write(maskedFrame(JSON.stringify(request)));
  }

  /** Only messages are sent here, so their numbers have to be all there. */
  #onSync({ conv, to, more, items }: SyncAnswer): void {
    const cursor = this.#cursor(conv, to);
    for (const { is, seq } of items) if (is === 'message') this.#watcher.ledger.pull(cursor, seq);
    this.#watcher.ledger.cover(cursor, to);
    if (more) this.#pull(conv, cursor);
    else this.#watcher.onCaughtUp(this);
  }
}

function isMessagePush(data: Buffer, start: number): boolean {
  return data[start + 6] === 0x6d && data.compare(MESSAGE_PUSH, 0, undefined, start, start + MESSAGE_PUSH.length) === 0;
}

function digitsAt(data: Buffer, start: number): number {
  let at = start;
  while (data[at] === SPACE) at++;
  let value = 0;
  for (let byte = data[at] ?? 0; byte >= ZERO && byte <= NINE; byte = data[++at] ?? 0) value = value * 10 + byte - ZERO;
  return value;
}
