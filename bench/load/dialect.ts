// How a frame of ours travels: as it is, or inside an event of Socket.IO 4 (Engine.IO protocol 4, WebSocket only), where the
// peers of the bench carry the very same frames.

export interface Dialect {
  readonly path: string;
  /** What opens the conversation, once the socket is upgraded or the server has asked for it; null: not now. */
  opening(serverText: string | null, hello: string): string | null;
  /** A text to be sent. */
  wrap(frame: string): string;
  /** Bytes of a received text before and after the frame in it. */
  readonly before: number;
  readonly after: number;
  /** An answer that the transport itself wants; null: it is a frame. */
  reply(data: Buffer, start: number, end: number): string | null;
}

export const CHATTERBOX: Dialect = {
  path: '/ws',
  opening: (serverText, hello) => (serverText === null ? hello : null),
  wrap: (frame) => frame,
  before: 0,
  after: 0,
  reply: () => null,
};

const EVENT = '42["m",';
const PING = 0x32;
const PONG = '3';

export const SOCKET_IO: Dialect = {
  path: '/socket.io/?EIO=4&transport=websocket',
  // `0{...}`: opened, join the namespace; `40{...}`: joined, the first event may go.
  opening(serverText, hello) {
    if (serverText?.startsWith('0')) return '40';
    return serverText?.startsWith('40') ? `${EVENT}${hello}]` : null;
  },
  wrap: (frame) => `${EVENT}${frame}]`,
  before: EVENT.length,
  after: 1,
  reply: (data, start, end) => (end - start === 1 && data[start] === PING ? PONG : null),
};

export type DialectName = 'chatterbox' | 'socket.io';

export function dialectOf(name: DialectName): Dialect {
  return name === 'socket.io' ? SOCKET_IO : CHATTERBOX;
}
