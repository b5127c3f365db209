// One connection of the generator: upgrade, hello, ready, then it counts what comes. Reads into one buffer that
// all connections share; a push of a message is read at fixed offsets (protocol/changes.ts `wireText`), the rest as JSON.
import { connect, type Socket } from 'node:net';
import { Cursor, type Ledger } from './ledger.ts';
import type { ClientSpec } from './orders.ts';
import { FrameReader, maskedFrame, OP_CLOSE, OP_PING, pongFrame, upgradeRequest } from './wire.ts';

/** What a client reports to its process, beside the ledger. */
export interface Watcher {
  readonly ledger: Ledger;
  deliveredBytes: number;
  ephemeral: number;
  onReady(client: Client): void;
  onDelivery(sentUs: number): void;
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

type ServerFrame =
  | { readonly t: 'welcome' }
  | { readonly t: 'ready'; readonly convs: readonly { readonly conv: string; readonly seq: number }[] }
  | ({ readonly t: 'ok' } & OkAnswer)
  | ({ readonly t: 'history' } & PageAnswer)
  | { readonly t: 'error'; readonly code: string; readonly id?: string }
  | { readonly t: 'conv' | 'edit' | 'delete' | 'react' | 'pin' | 'member'; readonly conv: string; readonly seq: number }
  | { readonly t: 'typing' | 'presence' | 'receipt' | 'unread' }
  | { readonly t: 'behind' | 'reset' | 'gone' | 'bye' };

const MESSAGE_PUSH = Buffer.from('{"t":"message","conv":"');
const SEQ_FIELD = '","seq":'.length;
const TIME_FIELD = '"text":"~';
const QUOTE = 0x22;
const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;

const shared = Buffer.allocUnsafeSlow(256 * 1_024);

export class Client {
  readonly #watcher: Watcher;
  readonly #token: string;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly cursors = new Map<string, Cursor>();
  #upgraded = false;
  #head = '';
  /** Messages a closed loop has to send after this read. */
  owed = 0;
  flush: (() => void) | null = null;

  constructor(spec: ClientSpec, host: string, port: number, watcher: Watcher) {
    this.#watcher = watcher;
    this.#token = spec.token;
    this.#reader = new FrameReader((op, data, start, end) => this.#onFrame(op, data, start, end));
    this.#socket = connect({
      host,
      port,
      localAddress: spec.from,
      noDelay: true,
      onread: { buffer: shared, callback: (bytes) => this.#onRead(bytes) },
    });
    this.#socket.on('error', (error) => watcher.onTrouble(this, error.message, undefined));
    this.#socket.on('close', () => watcher.onEnd(this));
    this.#socket.write(upgradeRequest(host, port));
  }

  write(frames: Buffer): void {
    this.#socket.write(frames);
  }

  end(): void {
    this.#socket.destroy();
  }

  #onRead(bytes: number): boolean {
    const chunk = shared.subarray(0, bytes);
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
    this.write(maskedFrame(JSON.stringify({ t: 'hello', id: 'bench-hello', token: this.#token })));
    if (rest.length > 0) this.#reader.read(rest);
  }

  #onFrame(op: number, data: Buffer, start: number, end: number): void {
    if (op === OP_PING) this.write(pongFrame(data, start, end));
    else if (op === OP_CLOSE) this.#onClose(data, start, end);
    else if (isMessagePush(data, start)) this.#onMessagePush(data, start, end);
    else this.#onOther(JSON.parse(data.toString('utf8', start, end)) as ServerFrame);
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
    if (text > 0 && text < end) this.#watcher.onDelivery(digitsAt(data, text + TIME_FIELD.length));
  }

  #see(conv: string, seq: number): void {
    let cursor = this.cursors.get(conv);
    if (cursor === undefined) {
      cursor = new Cursor(seq - 1);
      this.cursors.set(conv, cursor);
    }
    this.#watcher.ledger.see(cursor, seq);
  }

  #onOther(frame: ServerFrame): void {
    switch (frame.t) {
      case 'welcome':
        break;
      case 'ready':
        for (const { conv, seq } of frame.convs) this.cursors.set(conv, new Cursor(seq));
        this.#watcher.onReady(this);
        break;
      case 'ok':
        this.#watcher.onOk(this, frame);
        break;
      case 'history':
        this.#watcher.onPage(this, frame);
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
