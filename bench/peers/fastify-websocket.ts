// A peer: Fastify with @fastify/websocket as its users write it, `socket.send(string)` to every member of a room; the rooms,
// frames and answers of the floors.
import websocket from '@fastify/websocket';
import Fastify from 'fastify';
import type { WebSocket } from 'ws';
import { endWithParent } from '../floor/announce.ts';
import { Rooms, WELCOME } from '../floor/rooms.ts';

const app = Fastify();
const rooms = new Rooms<WebSocket>();
await app.register(websocket, { options: { perMessageDeflate: false } });
app.get('/ws', { websocket: true }, (socket) => {
  socket.on('message', (data) => {
    const { answer, push, members } = rooms.handle(socket, String(data));
    socket.send(answer);
    if (push !== undefined) for (const member of members) member.send(push);
  });
  socket.send(WELCOME);
});
process.stdout.write(`listening on ${await app.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 })}\n`);
endWithParent();
