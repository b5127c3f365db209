// A network that misbehaves on demand: a TCP proxy on the loopback, in the test's own process. Each of its two ways can be
// cut, delayed, slowed or sliced; what is cut waits, as TCP's own repeats would make it, and goes on when healed. Knows
// nothing of what passes through.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What this file needs of a tap test. */
interface Owner {
  teardown(end: () => unknown): void;
}

/** `up`: to the server; `down`: from it. */
export type Way = 'up' | 'down';

type Look = (way: Way, bytes: Buffer) => void;

interface Sky {
  weather(way: Way): Weather;
  readonly look: Look;
}

interface Weather {
  readonly isCut: boolean;
  readonly delayMs: number;
  readonly bytesPerSecond: number;
  /** Every byte in a segment of its own. */
  readonly isSliced: boolean;
}

const FAIR: Weather = { isCut: false, delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY, isSliced: false };

const BOTH: readonly Way[] = ['up', 'down'];
/** What waits in the proxy for one way of one connection; beyond it the sender feels it. */
const MAX_WAITING_BYTES = 65_536;
/** A slowed way gives out this often. */
const SLOW_STEP_MS = 20;

/** A proxy in front of a port of the loopback. */
export async function tcpProxy(t: Owner, target: number): Promise<TcpProxy> {
  const server = createServer({ allowHalfOpen: true });
  const proxy = new TcpProxy(server, target);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => proxy.close());
  return proxy;
}

export class TcpProxy {
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #weather: Record<Way, Weather> = { up: FAIR, down: FAIR };
  /** Sees what comes before it goes on. */
  #look: Look = () => undefined;

  constructor(server: Server, target: number) {
    this.#server = server;
    server.on('connection', (near) => {
      const link = new Link(near, target, {
        weather: (way) => this.#weather[way],
        look: (...seen) => this.#look(...seen),
      });
      this.#links.add(link);
      void link.ended.then(() => this.#links.delete(link));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#links.size;
  }

  /** Nothing comes through; connections stay, and new ones are taken and not served. */
  cut(...ways: readonly Way[]): void {
    this.#turn(ways, { isCut: true });
  }

  delay(delayMs: number, ...ways: readonly Way[]): void {
    this.#turn(ways, { delayMs });
  }

  slow(bytesPerSecond: number, ...ways: readonly Way[]): void {
    this.#turn(ways, { bytesPerSecond });
  }

  slice(...ways: readonly Way[]): void {
    this.#turn(ways, { isSliced: true });
  }

  /** Ends all connections by a reset; new ones are served. */
  reset(): void {
    for (const link of this.#links) link.reset();
  }

  /** Calls in the moment in which bytes like these have come on a way; these, and all that follows, do not go on. */
  stopAt(isIt: (way: Way, bytes: Buffer) => boolean, onStop: () => void): void {
    this.#look = (way, bytes) => {
      if (!isIt(way, bytes)) return;
      this.#look = () => undefined;
      this.cut();
      onStop();
    };
  }

  /** Everything is well again, and what was held up arrives. */
  heal(): void {
    for (const way of BOTH) this.#weather[way] = FAIR;
    this.#wake();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.reset();
    await Promise.all([...this.#links].map((link) => link.ended));
  }

  /** Both ways where none is named. */
  #turn(ways: readonly Way[], change: Partial<Weather>): void {
    for (const way of ways.length === 0 ? BOTH : ways) this.#weather[way] = { ...this.#weather[way], ...change };
    this.#wake();
  }

  #wake(): void {
    for (const link of this.#links) link.wake();
  }
}

/** One connection through the proxy. */
class Link {
  readonly ended: Promise<unknown>;
  readonly #sockets: readonly [near: Socket, far: Socket];
  readonly #pumps: readonly Pump[];

  constructor(near: Socket, target: number, { weather, look }: Sky) {
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    this.#sockets = [near, far];
    for (const socket of this.#sockets) {
      socket.setNoDelay(true);
      socket.on('error', () => this.reset());
    }
    near.on('data', (bytes: Buffer) => look('up', bytes));
    far.on('data', (bytes: Buffer) => look('down', bytes));
    this.#pumps = [new Pump(near, far, () => weather('up')), new Pump(far, near, () => weather('down'))];
    this.ended = Promise.all(this.#sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  }

  reset(): void {
    for (const socket of this.#sockets) {
      // The reset of one that is being ended is refused (EINVAL), and its `close` never comes.
      if (socket.connecting || socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.wake();
  }

  wake(): void {
    for (const pump of this.#pumps) pump.wake();
  }
}

interface Chunk {
  readonly bytes: Buffer;
  readonly cameMs: number;
}

/** One way of one connection: carries bytes, and the end, in order. */
class Pump {
  readonly #to: Socket;
  readonly #weather: () => Weather;
  readonly #chunks: Chunk[] = [];
  #waitingBytes = 0;
  #isEnded = false;
  #wake = () => {};

  constructor(from: Socket, to: Socket, weather: () => Weather) {
    this.#to = to;
    this.#weather = weather;
    from.on('data', (bytes: Buffer) => {
      this.#chunks.push({ bytes, cameMs: performance.now() });
      this.#waitingBytes += bytes.length;
      if (this.#waitingBytes > MAX_WAITING_BYTES) from.pause();
      this.#wake();
    });
    from.on('end', () => {
      this.#isEnded = true;
      this.#wake();
    });
    void this.#run(from);
  }

  wake(): void {
    this.#wake();
  }

  async #run(from: Socket): Promise<void> {
    while (!this.#to.destroyed) {
      const chunk = this.#chunks[0];
      if (this.#weather().isCut || (chunk === undefined && !this.#isEnded)) await this.#change();
      else if (chunk === undefined) return void this.#to.end();
      else if (await this.#isDue(chunk)) {
        this.#chunks.shift();
        await this.#carry(chunk.bytes);
        this.#waitingBytes -= chunk.bytes.length;
        if (this.#waitingBytes <= MAX_WAITING_BYTES) from.resume();
      }
    }
  }

  #change(withinMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = withinMs === undefined ? undefined : setTimeout(resolve, withinMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** @returns false where it was waited for, and the weather may have changed */
  async #isDue({ cameMs }: Chunk): Promise<boolean> {
    const leftMs = cameMs + this.#weather().delayMs - performance.now();
    if (leftMs <= 0) return true;
    await this.#change(leftMs);
    return false;
  }

  /** In pieces as the weather has it at each of them. */
  async #carry(bytes: Buffer): Promise<void> {
    for (let from = 0; from < bytes.length && !this.#to.destroyed; ) {
      const { isCut, isSliced, bytesPerSecond } = this.#weather();
      if (isCut) {
        await this.#change();
        continue;
      }
      const most = Math.max(1, Math.floor((bytesPerSecond * SLOW_STEP_MS) / 1_000));
      const piece = bytes.subarray(from, from + (isSliced ? 1 : Math.min(most, bytes.length)));
      from += piece.length;
      this.#to.write(piece);
      if (isSliced) await new Promise((resolve) => setImmediate(resolve));
      else if (from < bytes.length) await this.#change(SLOW_STEP_MS);
    }
  }
}
