// The wheel that all connections share: a ping every heartbeat, and the end of who is silent for two of them.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import type { Connection } from '../../src/gateway/connection.ts';
import { Wheel } from '../../src/gateway/wheel.ts';
import { HEARTBEAT_MS } from '../../src/protocol/limits.ts';
import { type FakeClock, fakeClock } from '../kit/clock.ts';

const SECOND = 1_000;

/** A client as the wheel sees it: it answers so many pings, each after a while. */
class Client {
  readonly pingedAt: number[] = [];
  heardAt: number;
  closedAt: number | null = null;
  heardBytes = 0;
  silentPasses = 0;
  state = 'opening';
  readonly expiresAt = 0;
  takenBytes: number | null = null;
  readonly socket: { bytesRead: number; bytesWritten: number; writableLength: number; write(): void };
  readonly #clock: FakeClock;

  constructor(clock: FakeClock, answers: number, delayMs: number) {
    this.#clock = clock;
    this.heardAt = clock.monotonic();
    this.socket = {
      bytesRead: 200,
      bytesWritten: 0,
      writableLength: 0,
      write: () => {
        this.pingedAt.push(clock.monotonic());
        if (this.pingedAt.length <= answers) clock.after(delayMs, () => this.say());
      },
    };
  }

  say(): void {
    this.socket.bytesRead += 6;
    this.heardAt = this.#clock.monotonic();
  }

  close(reason: string): void {
    if (reason === 'no_pong') this.closedAt ??= this.#clock.monotonic();
  }
}

/** In the wheel, and live after some seconds. */
function enter(wheel: Wheel, clock: FakeClock, answers: number, delayMs = 50): Client {
  const client = new Client(clock, answers, delayMs);
  const connection = client as unknown as Connection;
  wheel.add(connection);
  clock.advance(3 * SECOND + 400);
  client.say();
  client.state = 'live';
  wheel.restart(connection);
  return client;
}

for (const answers of [0, 1, 2, 5]) {
  t.test(
    `who answers ${answers} pings and then none is let go two heartbeats after the last sign of life`,
    async (t) => {
      const clock = fakeClock();
      const client = enter(new Wheel(clock), clock, answers);
      clock.advance(20 * HEARTBEAT_MS);
      const silentMs = (client.closedAt ?? Number.NaN) - client.heardAt;
      t.ok(silentMs >= 2 * HEARTBEAT_MS, `after ${silentMs} ms of silence`);
      t.ok(silentMs <= 2 * HEARTBEAT_MS + 3 * SECOND, `after ${silentMs} ms of silence`);
      t.ok(client.pingedAt.length >= answers + 2, 'two pings had no answer');
    },
  );
}

t.test('who answers stays, however late the answers are', async (t) => {
  const clock = fakeClock();
  const wheel = new Wheel(clock);
  const clients = [50, 1_900, 2_100, 10_000, 24_000].map((delayMs) =>
    enter(wheel, clock, Number.POSITIVE_INFINITY, delayMs),
  );
  clock.advance(40 * HEARTBEAT_MS);
  for (const { closedAt, pingedAt } of clients) {
    t.equal(closedAt, null);
    const steps = pingedAt.slice(1).map((at, index) => at - (pingedAt[index] ?? 0));
    t.ok(steps.length > 35 && steps.every((step) => step === HEARTBEAT_MS), 'a ping every heartbeat');
  }
});

/** Its buffers in the system are full; as long as it reads, they take some more. */
function fill({ socket }: Client, clock: FakeClock, readsForMs: number): void {
  Object.assign(socket, { bytesWritten: 300_000, writableLength: 200_000 });
  const stop = clock.every(SECOND, () => {
    socket.bytesWritten += 1_000;
  });
  clock.after(readsForMs, stop);
}

t.test('who reads slowly and has no ping to answer stays as long as it reads', async (t) => {
  const clock = fakeClock();
  const reader = enter(new Wheel(clock), clock, 0);
  const readsForMs = 20 * HEARTBEAT_MS;
  fill(reader, clock, readsForMs);
  const fullAt = clock.monotonic();
  clock.advance(readsForMs);
  t.equal(reader.closedAt, null);
  clock.advance(10 * HEARTBEAT_MS);
  const silentMs = (reader.closedAt ?? Number.NaN) - fullAt - readsForMs;
  t.ok(silentMs >= HEARTBEAT_MS && silentMs <= 3 * HEARTBEAT_MS, `let go ${silentMs} ms after it has read`);
});

t.test('who has read everything whenever it is looked at, but never when a ping is due, stays', async (t) => {
  const clock = fakeClock();
  const reader = enter(new Wheel(clock), clock, 0);
  const { socket } = reader;
  for (let heartbeat = 0; heartbeat < 10; heartbeat++) {
    clock.advance(HEARTBEAT_MS - SECOND);
    Object.assign(socket, { bytesWritten: socket.bytesWritten + 1_000, writableLength: 1_000 });
    clock.advance(SECOND);
    socket.writableLength = 0;
  }
  t.equal(reader.closedAt, null);
  t.same(reader.pingedAt, []);
});

t.test('a real socket: one write that the other side takes minutes to read', async (t) => {
  const clock = fakeClock();
  const wheel = new Wheel(clock);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  t.teardown(() => {
    accepted.destroy();
    peer.destroy();
    server.close();
  });
  peer.pause();
  const reader = enter(wheel, clock, 0);
  Object.assign(reader, { socket: accepted });
  wheel.restart(reader as unknown as Connection);
  let isWritten = false;
  accepted.write(Buffer.alloc(64 * 1_048_576), () => {
    isWritten = true;
  });
  const queued = () => (accepted as unknown as { _handle: { writeQueueSize: number } })._handle.writeQueueSize;
  for (let heartbeat = 0; heartbeat < 6; heartbeat++) {
    const before = queued();
    while (queued() === before) {
      peer.read();
      await new Promise((resolve) => setImmediate(resolve));
    }
    clock.advance(HEARTBEAT_MS);
  }
  t.notOk(isWritten);
  t.equal(reader.closedAt, null);
  clock.advance(4 * HEARTBEAT_MS);
  t.not(reader.closedAt, null, 'until it reads no more');
});

t.test('who is gone is let go of, though the system takes what is written until its buffers are full', async (t) => {
  const clock = fakeClock();
  const gone = enter(new Wheel(clock), clock, 0);
  const stop = clock.every(SECOND, () => {
    gone.socket.bytesWritten += 1_000;
  });
  clock.advance(3 * HEARTBEAT_MS);
  stop();
  t.not(gone.closedAt, null);
});
