// F1: bare net.Socket, the physical floor of Node: the upgrade by hand, a frame prepared once, one write a recipient.
import { createHash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { announce } from './announce.ts';
import { prepareFrame, Rooms, WELCOME } from './rooms.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const rooms = new Rooms<Socket>();

function upgrade(socket: Socket, head: string): void {
  const key = /sec-websocket-key: (\S+)/i.exec(head)?.[1] ?? '';
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.write(prepareFrame(WELCOME));
}

/** Handles all whole frames; returns what is left. */
function readFrames(socket: Socket, data: Buffer): Buffer {
  let rest = data;
  while (rest.length >= 2) {
    const short = (rest[1] as number) & 0x7f;
    const start = (short < 126 ? 2 : 4) + 4;
    if (rest.length < start) break;
    const end = start + (short < 126 ? short : rest.readUInt16BE(2));
    if (rest.length < end) break;
    onFrame(socket, unmask(rest.subarray(start - 4, start), rest.subarray(start, end)));
    rest = rest.subarray(end);
  }
  return rest;
}

function unmask(mask: Buffer, payload: Buffer): string {
  for (let at = 0; at < payload.length; at++) payload[at] = (payload[at] as number) ^ (mask[at & 3] as number);
  return payload.toString();
}

function onFrame(socket: Socket, data: string): void {
  const { answer, push, members } = rooms.handle(socket, data);
  socket.write(prepareFrame(answer));
  if (push === undefined) return;
  const frame = prepareFrame(push);
  for (const member of members) member.write(frame);
}

function onConnection(socket: Socket): void {
  let rest: Buffer | null = null;
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    if (rest !== null) {
      rest = readFrames(socket, rest.length === 0 ? chunk : Buffer.concat([rest, chunk]));
      return;
    }
    upgrade(socket, chunk.toString('latin1'));
    rest = Buffer.alloc(0);
  });
}

announce(createServer(onConnection));
