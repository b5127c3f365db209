// The one timer of all connections: a turn a second. It sends heartbeats (each connection's slot comes round once a
// heartbeat), notices who is silent, who never said hello, and whose token has expired.
import type { Clock } from '../ports/clock.ts';
import type { Millis } from '../protocol/ids.ts';
import { AUTH_TIMEOUT_MS, HEARTBEAT_MS } from '../protocol/limits.ts';
import type { Connection } from './connection.ts';

const TICK_MS = 1_000;
const SLOTS = HEARTBEAT_MS / TICK_MS;
/** RFC 6455 section 5.5.2: an unmasked ping without payload. */
const PING = Buffer.from([0x89, 0x00]);

export class Wheel {
  readonly #clock: Clock;
  readonly #slots: Set<Connection>[] = Array.from({ length: SLOTS }, () => new Set());
  #turn = 0;
  /** When the time to say hello is up, in order of arrival: the first one's is up first. */
  readonly #opening = new Map<Connection, Millis>();
  /** By second. */
  readonly #expiring = new Map<number, Set<Connection>>();
  readonly #stop: () => void;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#stop = clock.every(TICK_MS, () => this.#tick());
  }

  add(connection: Connection): void {
    (this.#slots[this.#turn] as Set<Connection>).add(connection);
    this.#opening.set(connection, this.#clock.monotonic() + AUTH_TIMEOUT_MS);
  }

  /** Lets go of a connection at once: kept until its token's time, it would outlive its socket by days. */
  remove(connection: Connection): void {
    this.#slots.some((slot) => slot.delete(connection));
    this.#opening.delete(connection);
    this.#forgetExpiry(connection);
  }

  /** From now on the connection ends at this time, and not at the one it had before. */
  watchExpiry(connection: Connection, expiresAt: Millis): void {
    this.#forgetExpiry(connection);
    connection.expiresAt = expiresAt;
    const watched = this.#expiring.get(secondOf(expiresAt));
    if (watched === undefined) this.#expiring.set(secondOf(expiresAt), new Set([connection]));
    else watched.add(connection);
  }

  stop(): void {
    this.#stop();
  }

  #tick(): void {
    this.#turn = (this.#turn + 1) % SLOTS;
    for (const connection of this.#slots[this.#turn] as Set<Connection>) beat(connection);
    this.#closeSilentOpenings();
    this.#closeExpired();
  }

  #closeSilentOpenings(): void {
    const now = this.#clock.monotonic();
    for (const [connection, dueMs] of this.#opening) {
      if (dueMs > now) return;
      // A hello under way may still be refused, and its sender be silent again.
      if (connection.state === 'greeting') continue;
      this.#opening.delete(connection);
      if (connection.state === 'opening') connection.close('auth_timeout');
    }
  }

  #closeExpired(): void {
    const now = this.#clock.now();
    for (const [second, connections] of this.#expiring) {
      if (second * 1_000 > now) continue;
      this.#expiring.delete(second);
      for (const connection of connections) if (connection.isOpen) connection.close('token_expired');
    }
  }

  #forgetExpiry(connection: Connection): void {
    const second = secondOf(connection.expiresAt);
    const watched = this.#expiring.get(second);
    if (watched?.delete(connection) && watched.size === 0) this.#expiring.delete(second);
  }
}

function secondOf(time: Millis): number {
  return Math.ceil(time / 1_000);
}

/** Anything received counts as life: a pong is not looked for. */
function beat(connection: Connection): void {
  const heardBytes = connection.socket.bytesRead;
  connection.silentPasses = heardBytes === connection.heardBytes ? connection.silentPasses + 1 : 0;
  connection.heardBytes = heardBytes;
  if (connection.silentPasses >= 2) return connection.close('no_pong');
  if (connection.socket.writableLength === 0) connection.socket.write(PING);
}
