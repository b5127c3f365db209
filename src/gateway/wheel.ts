// The one timer of all connections: a turn a second. It sends heartbeats (each connection's slot comes round once a
// heartbeat), notices who is silent, who never said hello, and whose token has expired.
import type { Clock } from '../ports/clock.ts';
import { AUTH_TIMEOUT_MS, HEARTBEAT_MS } from '../protocol/limits.ts';
import type { Connection } from './connection.ts';

const TICK_MS = 1_000;
const SLOTS = HEARTBEAT_MS / TICK_MS;
/** RFC 6455 section 5.5.2: an unmasked ping without payload. */
const PING = Buffer.from([0x89, 0x00]);

export class Wheel {
  readonly #clock: Clock;
  readonly #slots: Connection[][] = Array.from({ length: SLOTS }, () => []);
  #turn = 0;
  /** In order of arrival, so the first one's time is up first. */
  #opening: { connection: Connection; dueMs: number }[] = [];
  /** By second. An entry may be outdated: the connection knows its own time. */
  readonly #expiring = new Map<number, Connection[]>();
  readonly #stop: () => void;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#stop = clock.every(TICK_MS, () => this.#tick());
  }

  add(connection: Connection): void {
    (this.#slots[this.#turn] as Connection[]).push(connection);
    this.#opening.push({ connection, dueMs: this.#clock.monotonic() + AUTH_TIMEOUT_MS });
  }

  /** The connection's `expiresAt` has been set. */
  watchExpiry(connection: Connection): void {
    const second = Math.ceil(connection.expiresAt / 1_000);
    const watched = this.#expiring.get(second);
    if (watched === undefined) this.#expiring.set(second, [connection]);
    else watched.push(connection);
  }

  stop(): void {
    this.#stop();
  }

  #tick(): void {
    this.#turn = (this.#turn + 1) % SLOTS;
    const slot = (this.#slots[this.#turn] as Connection[]).filter((connection) => connection.state !== 'closed');
    this.#slots[this.#turn] = slot;
    for (const connection of slot) beat(connection);
    this.#closeSilentOpenings();
    this.#closeExpired();
  }

  #closeSilentOpenings(): void {
    const now = this.#clock.monotonic();
    const kept = this.#opening.findIndex(({ dueMs }) => dueMs > now);
    const due = this.#opening.splice(0, kept === -1 ? this.#opening.length : kept);
    for (const { connection } of due) {
      if (connection.state === 'opening') connection.close('auth_timeout');
    }
  }

  #closeExpired(): void {
    const now = this.#clock.now();
    for (const [second, connections] of this.#expiring) {
      if (second * 1_000 > now) continue;
      this.#expiring.delete(second);
      for (const connection of connections) {
        if (connection.isOpen && connection.expiresAt <= now) connection.close('token_expired');
      }
    }
  }
}

/** Anything received counts as life: a pong is not looked for. */
function beat(connection: Connection): void {
  const heardBytes = connection.socket.bytesRead;
  connection.silentPasses = heardBytes === connection.heardBytes ? connection.silentPasses + 1 : 0;
  connection.heardBytes = heardBytes;
  if (connection.silentPasses >= 2) return connection.close('no_pong');
  if (connection.socket.writableLength === 0) connection.socket.write(PING);
}
