// How several frames best leave in one turn: one write each, copied into one buffer, or one vectored write; and what the
// outbox adds to it. Real sockets; the readers are another process, so that only writing is counted.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Flusher, Outbox } from '../../src/gateway/outbox.ts';
import { report } from './compare.ts';

const SOCKETS = 100;
const ROUNDS = 7;
const TURNS = 60;
const LIMIT_BYTES = 2 ** 20;

type Write = (socket: Socket, frames: readonly Buffer[]) => void;

const flusher = new Flusher();
const outboxes = new WeakMap<Socket, Outbox>();

const WAYS: Readonly<Record<string, Write>> = {
  'one write a frame': (socket, frames) => {
    for (const frame of frames) socket.write(frame);
  },
  'copied into one buffer': (socket, frames) => {
    socket.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
  },
  'one vectored write': (socket, frames) => {
    socket.cork();
    for (const frame of frames) socket.write(frame);
    socket.uncork();
  },
  'the outbox': (socket, frames) => {
    let outbox = outboxes.get(socket);
    if (outbox === undefined) {
      outbox = new Outbox(socket, flusher);
      outboxes.set(socket, outbox);
    }
    for (const frame of frames) outbox.offer(frame, LIMIT_BYTES);
  },
};

/** The other process: connects and throws away what it reads. */
async function readAll(port: number): Promise<void> {
  for (let index = 0; index < SOCKETS; index++) {
    const buffer = Buffer.allocUnsafe(2 ** 18);
    const socket = connect({ port, host: '127.0.0.1', onread: { buffer, callback: () => true } });
    socket.on('error', () => process.exit(0));
    await once(socket, 'connect');
  }
}

async function drained(sockets: readonly Socket[]): Promise<void> {
  while (sockets.some((socket) => socket.writableLength > 0)) await new Promise(setImmediate);
}

/** Nanoseconds of CPU one turn costs one socket. */
async function cost(sockets: readonly Socket[], frames: readonly Buffer[], write: Write): Promise<number> {
  const before = process.cpuUsage();
  for (let turn = 0; turn < TURNS; turn++) {
    for (const socket of sockets) write(socket, frames);
    flusher.flush();
    await drained(sockets);
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / (TURNS * sockets.length);
}

async function compareWays(sockets: readonly Socket[], count: number, bytes: number): Promise<void> {
  const frames = Array.from({ length: count }, () => Buffer.alloc(bytes, 0x78));
  const times = Object.keys(WAYS).map((name): [string, number[]] => [name, []]);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, list] of times) {
      const ns = await cost(sockets, frames, WAYS[name] as Write);
      if (round > 0) list.push(ns);
    }
  }
  report(`${count} frames of ${bytes} bytes to one socket`, times);
}

async function measureAll(): Promise<void> {
  const sockets: Socket[] = [];
  const connected = Promise.withResolvers<void>();
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    if (sockets.push(socket) === SOCKETS) connected.resolve();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const reader = fork(fileURLToPath(import.meta.url), [String(port)]);
  await connected.promise;
  for (const [count, bytes] of [
    [1, 200],
    [2, 200],
    [10, 200],
    [10, 400],
    [10, 800],
    [10, 1_600],
    [10, 4_000],
    [40, 1_000],
  ] as const) {
    await compareWays(sockets, count, bytes);
  }
  reader.kill();
  server.close();
  for (const socket of sockets) socket.destroy();
}

const port = process.argv[2];
if (port === undefined) await measureAll();
else {
  process.on('disconnect', () => process.exit(0));
  await readAll(Number(port));
}
