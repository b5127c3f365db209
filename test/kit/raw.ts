// Raw sockets for tests: WebSocket handshakes and frames byte by byte (RFC 6455), right or wrong as a test wants them, and
// a reader of what the server answers. Written from the RFC alone: shares nothing with the server's codec or with ws.
import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A wait longer than this is a failed test, never a slow one. */
const PATIENCE_MS = 20_000;
const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

// ---- bytes a client sends ------------------------------------------------------------------------------------------

export interface FrameParts {
  readonly opcode?: number;
  readonly payload?: Buffer | string;
  readonly fin?: boolean;
  /** Reserved bits: 0x40, 0x20, 0x10. */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** The length told instead of the payload's own. */
  readonly declaredBytes?: bigint;
}

/** One frame of a client: text, final and masked unless told otherwise. */
export function clientFrame(parts: FrameParts): Buffer {
  const { opcode = OPCODE.text, fin = true, reserved = 0, masked = true } = parts;
  const payload = Buffer.from(parts.payload ?? '');
  const first = (fin ? 0x80 : 0) | reserved | opcode;
  const length = lengthBytes(parts.declaredBytes ?? BigInt(payload.length), masked);
  if (!masked) return Buffer.concat([Buffer.from([first]), length, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([Buffer.from([first]), length, mask, payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))]);
}

function lengthBytes(length: bigint, masked: boolean): Buffer {
  const bit = masked ? 0x80 : 0;
  if (length < 126n) return Buffer.from([bit | Number(length)]);
  const bytes = Buffer.alloc(length < 65_536n ? 3 : 9);
  bytes[0] = bit | (bytes.length === 3 ? 126 : 127);
  if (bytes.length === 3) bytes.writeUInt16BE(Number(length), 1);
  else bytes.writeBigUInt64BE(length, 1);
  return bytes;
}

/** A whole text message of a client. */
export function clientText(message: string | object): Buffer {
  return clientFrame({ payload: typeof message === 'string' ? message : JSON.stringify(message) });
}

export function closeFrame(code: number, reason: Buffer | string = ''): Buffer {
  const payload = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)]);
  payload.writeUInt16BE(code, 0);
  return clientFrame({ opcode: OPCODE.close, payload });
}

export interface HandshakeParts {
  readonly method?: string;
  readonly target?: string;
  readonly http?: string;
  /** Over the right ones; null leaves one out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Header lines as they are, after the others. */
  readonly lines?: readonly string[];
}

export const HANDSHAKE_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** A client's request to upgrade, right but for what the test changes. */
export function handshake(host: string, parts: HandshakeParts = {}): string {
  const { method = 'GET', target = '/ws', http = 'HTTP/1.1', headers = {}, lines = [] } = parts;
  const all: Record<string, string | null> = {
    Host: host,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': HANDSHAKE_KEY,
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const given = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  return [`${method} ${target} ${http}`, ...given, ...lines, '', ''].join('\r\n');
}

/** What the server must answer to a key (RFC 6455 section 4.2.2). */
export function acceptFor(key: string): string {
  return createHash('sha1')
    .update(key + KEY_SUFFIX)
    .digest('base64');
}

// ---- bytes a server sends ------------------------------------------------------------------------------------------

export interface ServerFrame {
  readonly fin: boolean;
  readonly reserved: number;
  readonly opcode: number;
  readonly masked: boolean;
  /** The length field had 0, 2 or 8 more bytes. */
  readonly extraLengthBytes: 0 | 2 | 8;
  readonly payload: Buffer;
}

/** The frame at a place in bytes, and where it ends; undefined while it is not all there. Expects no mask. */
export function readFrame(bytes: Buffer, at = 0): { readonly frame: ServerFrame; readonly end: number } | undefined {
  if (bytes.length < at + 2) return undefined;
  const [first, second] = [bytes.readUInt8(at), bytes.readUInt8(at + 1)];
  const short = second & 0x7f;
  const extraLengthBytes = short < 126 ? 0 : short === 126 ? 2 : 8;
  const start = at + 2 + extraLengthBytes;
  if (bytes.length < start) return undefined;
  const length = lengthOf(bytes, at + 2, short);
  if (bytes.length < start + length) return undefined;
  const frame: ServerFrame = {
    fin: (first & 0x80) !== 0,
    reserved: first & 0x70,
    opcode: first & 0x0f,
    masked: (second & 0x80) !== 0,
    extraLengthBytes,
    payload: bytes.subarray(start, start + length),
  };
  return { frame, end: start + length };
}

function lengthOf(bytes: Buffer, at: number, short: number): number {
  if (short < 126) return short;
  return short === 126 ? bytes.readUInt16BE(at) : Number(bytes.readBigUInt64BE(at));
}

/** All whole frames in bytes. */
export function readFrames(bytes: Buffer): { readonly frames: readonly ServerFrame[]; readonly rest: Buffer } {
  const frames: ServerFrame[] = [];
  let at = 0;
  for (let found = readFrame(bytes, at); found !== undefined; found = readFrame(bytes, at)) {
    frames.push(found.frame);
    at = found.end;
  }
  return { frames, rest: bytes.subarray(at) };
}

// ---- the socket ----------------------------------------------------------------------------------------------------

/** A frame of the server as JSON. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into frames of every shape
export type Json = any;

export interface HttpResponse {
  readonly status: number;
  /** By lower-case name; repeated ones joined with a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Closing {
  /** Of the close frame; null where the connection ended without one. */
  readonly code: number | null;
  readonly reason: string;
}

/** One TCP connection to the server. It sends nothing by itself but the answer to a close frame. */
export class RawSocket {
  readonly socket: Socket;
  readonly host: string;
  /** Ends its side when the server ends its own, and answers a close frame. */
  endsWithPeer = true;
  /** Frames that are no close, and that nobody has taken yet. */
  readonly frames: ServerFrame[] = [];
  readonly #texts: Json[] = [];
  #unread: Buffer = Buffer.alloc(0);
  #response: HttpResponse | null = null;
  #close: Closing | null = null;
  #hasEnded = false;
  #wake: (() => void)[] = [];

  constructor(socket: Socket, host: string) {
    this.socket = socket;
    this.host = host;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#onData(bytes));
    socket.on('error', () => {});
    socket.on('end', () => this.#onEnded());
    socket.on('close', () => this.#onEnded());
  }

  /** Opens a TCP connection to a server's `url`; nothing is sent yet. */
  static async connect(url: string): Promise<RawSocket> {
    const { hostname, port, host } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('connect', resolve).once('error', reject);
    await promise;
    return new RawSocket(socket, host);
  }

  /** A connection after a good handshake. @throws when the server refuses it */
  static async open(url: string, parts: HandshakeParts = {}): Promise<RawSocket> {
    const raw = await RawSocket.connect(url);
    raw.write(handshake(raw.host, parts));
    const { status, body } = await raw.response();
    if (status !== 101) throw new Error(`no upgrade: ${status} ${body}`);
    return raw;
  }

  write(...bytes: readonly (Buffer | string)[]): void {
    if (!this.socket.writable) return;
    this.socket.cork();
    for (const part of bytes) this.socket.write(part);
    this.socket.uncork();
  }

  /** Sends a message as one masked text frame. */
  send(message: string | object): void {
    this.write(clientText(message));
  }

  /** Resolves when the kernel has taken all that was written, or the connection has ended. */
  async flushed(): Promise<void> {
    if (!this.socket.writable) return;
    await new Promise<void>((resolve) => {
      this.socket.write('', () => resolve());
    });
  }

  /** The answer to the handshake, with its body where it is no upgrade. */
  response(): Promise<HttpResponse> {
    return this.#until(() => this.#response ?? undefined, 'an HTTP response');
  }

  /** The next response is another one: the connection was kept alive. */
  forgetResponse(): void {
    this.#response = null;
  }

  /** The next text frame that fits, as JSON; others before it stay. @throws when the connection ends first */
  next(fits: string | ((frame: Json) => boolean)): Promise<Json> {
    const isIt = typeof fits === 'string' ? (frame: Json) => frame.t === fits : fits;
    return this.#until(() => takeFirst(this.#texts, isIt), `a frame ${fits}`);
  }

  /** Text frames that nobody has taken yet. */
  get unread(): readonly Json[] {
    return this.#texts;
  }

  nextFrame(fits: (frame: ServerFrame) => boolean): Promise<ServerFrame> {
    return this.#until(() => takeFirst(this.frames, fits), 'a frame');
  }

  /** Sends a request and resolves with its answer. */
  ask(request: { readonly t: string; readonly id: string } & Readonly<Record<string, unknown>>): Promise<Json> {
    this.send(request);
    return this.next((frame) => frame.id === request.id);
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<Closing> {
    await this.#until(() => (this.#hasEnded ? true : undefined), 'the end of the connection');
    return this.#close ?? { code: null, reason: '' };
  }

  /** Resolves when the connection is no more, in either direction. */
  async gone(): Promise<void> {
    await this.#until(() => (this.socket.closed ? true : undefined), 'the connection to be gone', true);
  }

  get isOpen(): boolean {
    return !this.#hasEnded && this.#close === null;
  }

  /** A close in good order. */
  async close(): Promise<Closing> {
    if (this.isOpen) this.write(closeFrame(1000));
    const closing = await this.closed();
    this.socket.destroy();
    return closing;
  }

  /** Ends it without a word. */
  destroy(): void {
    this.socket.destroy();
  }

  #onData(bytes: Buffer): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    if (this.#response === null) this.#readResponse();
    if (this.#response?.status === 101) this.#readFrames();
    this.#notify();
  }

  #readResponse(): void {
    const end = this.#unread.indexOf('\r\n\r\n');
    if (end === -1) return;
    const [start = '', ...lines] = this.#unread.toString('latin1', 0, end).split('\r\n');
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const name = line.slice(0, line.indexOf(':')).toLowerCase();
      const value = line.slice(line.indexOf(':') + 1).trim();
      headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
    }
    const status = Number(start.split(' ')[1]);
    const body = status === 101 ? '' : this.#bodyAt(end + 4, Number(headers['content-length'] ?? 0));
    if (body === undefined) return;
    this.#unread = this.#unread.subarray(end + 4 + Buffer.byteLength(body));
    this.#response = { status, headers, body };
  }

  #bodyAt(start: number, length: number): string | undefined {
    return this.#unread.length < start + length ? undefined : this.#unread.toString('utf8', start, start + length);
  }

  #readFrames(): void {
    const { frames, rest } = readFrames(this.#unread);
    this.#unread = rest;
    for (const frame of frames) {
      if (frame.opcode === OPCODE.close) this.#onClose(frame.payload);
      else if (frame.opcode === OPCODE.text) this.#texts.push(JSON.parse(frame.payload.toString()));
      else this.frames.push(frame);
    }
  }

  #onClose(payload: Buffer): void {
    if (this.#close !== null) return;
    const code = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
    this.#close = { code, reason: payload.toString('utf8', 2) };
    if (this.endsWithPeer && this.socket.writable) this.socket.end(clientFrame({ opcode: OPCODE.close, payload }));
  }

  #onEnded(): void {
    this.#hasEnded = true;
    if (this.#response === null) this.#readResponse();
    if (this.endsWithPeer && this.socket.writable) this.socket.end();
    this.#notify();
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }

  async #until<Found>(look: () => Found | undefined, what: string, evenAfterEnd = false): Promise<Found> {
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}; ${this.#story()}`)), PATIENCE_MS);
    try {
      for (;;) {
        const found = look();
        if (found !== undefined) return found;
        if (this.#hasEnded && !evenAfterEnd) throw new Error(`ended before ${what}; ${this.#story()}`);
        await Promise.race([tooLate, new Promise<void>((wake) => this.#wake.push(wake))]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** What came instead, for the message of a failure. */
  #story(): string {
    const last = JSON.stringify(this.#texts.slice(-5));
    return `close ${JSON.stringify(this.#close)}, unread ${last.slice(0, 1_000)}`;
  }
}

function takeFirst<Item>(items: Item[], fits: (item: Item) => boolean): Item | undefined {
  const at = items.findIndex(fits);
  return at === -1 ? undefined : items.splice(at, 1)[0];
}
