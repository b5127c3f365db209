// The client's side of RFC 6455, as little as a load generator needs: the upgrade request, masked frames out,
// unmasked frames in. No fragments, no extensions, no close handshake.

/** Any mask but zero, which servers could take a short cut for. */
const MASK = [0x5a, 0xc3, 0x3c, 0xa5] as const;
const OP_TEXT = 0x1;
const OP_PONG = 0xa;
export const OP_CLOSE = 0x8;
export const OP_PING = 0x9;

export function upgradeRequest(host: string, port: number, path: string): string {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: Y2hhdHRlcmJveC1iZW5jaA==',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Protocol: chatterbox.v1',
    '\r\n',
  ].join('\r\n');
}

/** One masked frame; the payload is ASCII and shorter than 64 KiB. */
export function maskedFrame(payload: string, op: number = OP_TEXT): Buffer {
  const length = payload.length;
  const at = length < 126 ? 2 : 4;
  const frame = Buffer.allocUnsafe(at + 4 + length);
  frame[0] = 0x80 | op;
  if (length < 126) frame[1] = 0x80 | length;
  else {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  }
  for (let index = 0; index < 4; index++) frame[at + index] = MASK[index] as number;
  frame.write(payload, at + 4, 'latin1');
  for (let index = 0; index < length; index++) {
    frame[at + 4 + index] = (frame[at + 4 + index] as number) ^ (MASK[index & 3] as number);
  }
  return frame;
}

export function pongFrame(data: Buffer, start: number, end: number): Buffer {
  return maskedFrame(data.toString('latin1', start, end), OP_PONG);
}

/** `data` is only valid during the call. */
export type OnFrame = (op: number, data: Buffer, start: number, end: number) => void;

/** Cuts a stream into frames; keeps a copy of what is incomplete. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  #rest: Buffer | null = null;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  read(chunk: Buffer): void {
    const data = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (true) {
      const next = this.#frameAt(data, at);
      if (next === at) break;
      at = next;
    }
    this.#rest = at === data.length ? null : Buffer.from(data.subarray(at));
  }

  /** Hands out the frame at an offset; returns where the next begins, or the offset itself when it is incomplete. */
  #frameAt(data: Buffer, at: number): number {
    if (data.length < at + 2) return at;
    const short = (data[at + 1] as number) & 0x7f;
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
    if (data.length < start) return at;
    const length = short < 126 ? short : short === 126 ? data.readUInt16BE(at + 2) : data.readUInt32BE(at + 6);
    if (data.length < start + length) return at;
    this.#onFrame((data[at] as number) & 0x0f, data, start, start + length);
    return start + length;
  }
}
