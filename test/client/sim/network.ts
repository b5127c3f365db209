// Connections that are slow, cut, or dead without a word. What was sent on one before it was cut may arrive after the next
// one has been opened.
import type { Frame } from '../../../src/client/connection.ts';
import type { SocketConstructor } from '../../../src/client/types.ts';
import type { World } from './world.ts';

/** The server's end of a connection. */
export interface Line {
  send(frame: object): void;
  close(code: number): void;
}

export interface Peer {
  onFrame(frame: Frame): void;
  onClosed(): void;
}

export interface Listener {
  readonly isUp: boolean;
  /** A connection came. */
  accept(line: Line): Peer;
}

/** What is done to frames on their way, to show that the simulation finds it. */
export interface Tamper {
  /** @returns what arrives in its place */
  toClient?(frame: Frame): readonly object[];
  toServer?(frame: Frame): readonly object[];
}

export class Network {
  readonly #world: World;
  readonly #listener: Listener;
  readonly #wires = new Set<Wire>();
  #count = 0;
  isCalm = false;

  constructor(world: World, listener: Listener) {
    this.#world = world;
    this.#listener = listener;
  }

  /** The constructor of sockets for one client, for as long as that lives. */
  sockets(owner: string, isAlive: () => boolean, tamper: Tamper = {}): SocketConstructor {
    const network = this;
    return class {
      onmessage: ((event: { data: unknown }) => void) | null = null;
      onclose: ((event: { code: number }) => void) | null = null;
      onerror: ((event: never) => void) | null = null;
      readonly #wire: Wire;

      constructor() {
        const tell = (frame: Frame) => {
          for (const one of tamper.toClient?.(frame) ?? [frame])
            if (isAlive()) this.onmessage?.({ data: JSON.stringify(one) });
        };
        const end = (code: number) => {
          if (isAlive()) this.onclose?.({ code });
        };
        this.#wire = network.#open(owner, tell, end);
      }

      send(text: string): void {
        for (const frame of tamper.toServer?.(JSON.parse(text)) ?? [JSON.parse(text)])
          this.#wire.toServer(frame as Frame);
      }

      close(): void {
        this.#wire.leave();
      }
    };
  }

  #open(owner: string, tell: (frame: Frame) => void, end: (code: number) => void): Wire {
    const wire = new Wire(this.#world, {
      name: `${owner} #${++this.#count}`,
      tell,
      end,
      onGone: () => this.#wires.delete(wire),
      isCalm: () => this.isCalm,
    });
    this.#wires.add(wire);
    this.#world.after(wire.delayMs(), () => {
      if (this.#listener.isUp) wire.connect((line) => this.#listener.accept(line));
      else wire.cut(1006);
    });
    return wire;
  }

  /** Something happens to one connection. */
  disturb(): void {
    const { random } = this.#world;
    if (this.#wires.size === 0) return;
    const wire = random.pick([...this.#wires]);
    if (random.chance(0.3)) wire.die();
    else wire.cut(random.pick([1006, 1001, 4002, 4003, 4004, 4005, 4000]));
  }

  cutAll(): void {
    for (const wire of [...this.#wires]) wire.cut(1006);
  }
}

interface Ends {
  readonly name: string;
  /** A frame has arrived at the client; its connection has ended. */
  readonly tell: (frame: Frame) => void;
  readonly end: (code: number) => void;
  readonly onGone: () => void;
  readonly isCalm: () => boolean;
}

class Wire {
  readonly #world: World;
  readonly #ends: Ends;
  #peer: Peer | undefined;
  /** Neither end hears anything any more, nor that it ended. */
  #isDead = false;
  #isReset = false;
  #isClosedByClient = false;
  #isClosedByServer = false;
  #toServerAtMs = 0;
  #toClientAtMs = 0;

  constructor(world: World, ends: Ends) {
    this.#world = world;
    this.#ends = ends;
  }

  delayMs(): number {
    const { random } = this.#world;
    if (!this.#ends.isCalm() && random.chance(0.02)) return 1_000 + random.whole(20_000);
    return 1 + random.whole(random.chance(0.2) ? 400 : 40);
  }

  connect(accept: (line: Line) => Peer): void {
    if (this.#isDead || this.#isClosedByServer) return;
    this.#peer = accept({ send: (frame) => this.toClient(frame as Frame), close: (code) => this.cut(code) });
  }

  /** In order; what is on its way when the client leaves arrives all the same. */
  toServer(frame: Frame): void {
    if (this.#isDead || this.#isClosedByClient) return;
    this.#toServerAtMs = Math.max(this.#toServerAtMs, this.#world.nowMs + this.delayMs());
    this.#world.after(this.#toServerAtMs - this.#world.nowMs, () => {
      if (this.#isClosedByServer) return;
      this.#world.trace(`${this.#ends.name} sends`, frame);
      this.#peer?.onFrame(frame);
    });
  }

  toClient(frame: Frame): void {
    if (this.#isDead || this.#isClosedByServer) return;
    this.#toClientAtMs = Math.max(this.#toClientAtMs, this.#world.nowMs + this.delayMs());
    this.#world.after(this.#toClientAtMs - this.#world.nowMs, () => {
      if (this.#isDead || this.#isReset || this.#isClosedByClient) return;
      this.#world.trace(`${this.#ends.name} gets`, frame);
      this.#ends.tell(frame);
    });
  }

  /** The client closes it. */
  leave(): void {
    if (this.#isClosedByClient) return;
    this.#isClosedByClient = true;
    this.#world.after(Math.max(this.#toServerAtMs - this.#world.nowMs, 0) + this.delayMs(), () => this.#gone());
  }

  /** The server, or something between, closes it: what it had sent still arrives, or is lost with it. */
  cut(code: number): void {
    if (this.#isClosedByServer) return;
    this.#gone();
    this.#isReset = code === 1006 && this.#world.random.chance(0.5);
    const left = this.#isReset ? 0 : Math.max(this.#toClientAtMs - this.#world.nowMs, 0);
    this.#world.after(left + this.delayMs(), () => {
      if (!this.#isDead && !this.#isClosedByClient) this.#ends.end(code);
    });
  }

  /** The server notices much later; the client by itself. */
  die(): void {
    this.#isDead = true;
    this.#ends.onGone();
    this.#world.after(this.delayMs() * 50, () => this.#gone());
  }

  #gone(): void {
    if (this.#isClosedByServer) return;
    this.#isClosedByServer = true;
    this.#ends.onGone();
    this.#peer?.onClosed();
  }
}
