// F2: the ws library reads; a frame prepared once is written through its sockets. Heartbeats by one wheel.
// F3 (with the argument `send`): ws.send(string), as most servers do.
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { announce } from './announce.ts';
import { prepareFrame, Rooms, WELCOME } from './rooms.ts';

const byString = process.argv.includes('send');
const heartbeatMs = Number(process.argv.find((argument) => argument.startsWith('heartbeat='))?.slice(10) ?? 25_000);

interface Member {
  readonly ws: WebSocket;
  readonly socket: Duplex;
}

const PING = Buffer.from([0x89, 0x00]);
const SLOTS = 25;
const wheel = Array.from({ length: SLOTS }, () => new Set<Duplex>());
const rooms = new Rooms<Member>();
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
let connected = 0;

function onMessage(member: Member, data: string): void {
  const { answer, push, members } = rooms.handle(member, data);
  member.ws.send(answer);
  if (push === undefined) return;
  if (byString) {
    for (const { ws } of members) ws.send(push);
    return;
  }
  const frame = prepareFrame(push);
  for (const { socket } of members) socket.write(frame);
}

function onUpgraded(ws: WebSocket, socket: Duplex): void {
  const member = { ws, socket };
  const slot = wheel[connected++ % SLOTS] as Set<Duplex>;
  slot.add(socket);
  ws.on('message', (data) => onMessage(member, String(data)));
  ws.on('error', () => undefined);
  ws.on('close', () => slot.delete(socket));
  ws.send(WELCOME);
}

const server = createServer();
server.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (ws) => onUpgraded(ws, socket));
});

let turn = 0;
setInterval(() => {
  for (const socket of wheel[turn++ % SLOTS] as Set<Duplex>) socket.write(PING);
}, heartbeatMs / SLOTS);

announce(server);
