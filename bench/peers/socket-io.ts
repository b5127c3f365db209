// A peer: Socket.IO 4 as its users write it, WebSocket transport, `io.to(room).emit(...)`; the rooms, frames and answers of
// the floors. With the port of a Redis, several of these are one, through the Redis Streams adapter.
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { announce } from '../floor/announce.ts';

interface Frame {
  readonly t: string;
  readonly id: string;
  readonly token?: string;
  readonly conv?: string;
  readonly text?: string;
}

const FROM = 'floor-user-00000000001';
const [redisUrl] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, {
  transports: ['websocket'],
  serveClient: false,
  perMessageDeflate: false,
  ...(redisUrl === undefined ? {} : { adapter: await streams(redisUrl) }),
});
const seqs = new Map<string, number>();

async function streams(url: string) {
  const client = createClient({ url });
  await client.connect();
  return createAdapter(client);
}

io.on('connection', (socket) => {
  socket.on('m', (frame: Frame) => {
    if (frame.t === 'message') return onMessage(frame, (answer) => socket.emit('m', answer));
    // The token of a floor is the list of its rooms.
    const convs = (frame.token ?? '').split(',').filter((conv) => conv !== '');
    void socket.join(convs);
    const entries = convs.map((conv) => ({ conv, seq: seqs.get(conv) ?? 1 }));
    socket.emit('m', { t: 'ready', id: frame.id, convs: entries, more: false });
  });
});

function onMessage({ id, conv = '', text = '' }: Frame, answer: (answer: object) => void): void {
  const seq = (seqs.get(conv) ?? 1) + 1;
  seqs.set(conv, seq);
  const at = Date.now();
  answer({ t: 'ok', id, conv, seq, n: seq - 1, at });
  io.to(conv).emit('m', { t: 'message', conv, seq, n: seq - 1, from: FROM, at, key: id, text });
}

announce(http);
