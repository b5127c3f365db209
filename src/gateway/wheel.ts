// The one timer of all connections: a turn a second. It sends heartbeats (each connection's slot comes round once a
// heartbeat), notices who is silent, who never said hello, and whose token has expired.
import type { Socket } from 'node:net';
import type { Clock } from '../ports/clock.ts';
import type { Millis } from '../protocol/ids.ts';
import { AUTH_TIMEOUT_MS, HEARTBEAT_MS } from '../protocol/limits.ts';
import type { Connection } from './connection.ts';

const TICK_MS = 1_000;
const SLOTS = HEARTBEAT_MS / TICK_MS;
/** After a ping its answer has come from whoever is there: who is silent then has been since the last one. */
const LISTEN_AFTER = 2;
/** Heartbeats without a sign of life that end a connection. */
const MAX_SILENT = 2;
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
    this.#enter(connection);
    this.#opening.set(connection, this.#clock.monotonic() + AUTH_TIMEOUT_MS);
  }

  /** It has just been heard of: the next ping is a whole heartbeat away. */
  restart(connection: Connection): void {
    this.#leave(connection);
    this.#enter(connection);
  }

  #enter(connection: Connection): void {
    (this.#slots[this.#turn] as Set<Connection>).add(connection);
    connection.heardBytes = connection.socket.bytesRead;
    connection.takenBytes = null;
    // It is listened to once before its first ping.
    connection.silentPasses = -1;
  }

  #leave(connection: Connection): void {
    this.#slots.some((slot) => slot.delete(connection));
  }

  /** Lets go of a connection at once: kept until its token's time, it would outlive its socket by days. */
  remove(connection: Connection): void {
    this.#leave(connection);
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
    for (const connection of this.#slots[this.#turn] as Set<Connection>) ping(connection);
    for (const connection of this.#slots[(this.#turn + SLOTS - LISTEN_AFTER) % SLOTS] as Set<Connection>)
      listen(connection);
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

function ping(connection: Connection): void {
  const { socket } = connection;
  if (socket.writableLength === 0) socket.write(PING);
  else connection.takenBytes ??= takenBy(socket);
}

/**
 * Anything received counts as life: a pong is not looked for. So does room in a socket's buffer that was full: a slow reader
 * may have read all the time and have no ping to answer, since none is sent while other bytes wait.
 */
function listen(connection: Connection): void {
  const { socket, heardBytes, takenBytes } = connection;
  const taken = takenBy(socket);
  const isAlive = socket.bytesRead !== heardBytes || (takenBytes !== null && taken !== takenBytes);
  connection.heardBytes = socket.bytesRead;
  connection.takenBytes = socket.writableLength === 0 ? null : taken;
  connection.silentPasses = isAlive ? 0 : connection.silentPasses + 1;
  if (connection.silentPasses >= MAX_SILENT) connection.close('no_pong');
}

/** What libuv still holds of a write that has begun; net.Socket itself looks there before it calls one idle (`_onTimeout`). */
interface Handle {
  readonly writeQueueSize: number;
}

/**
 * A number that stays the same as long as the kernel takes nothing: of the writes that are done, less what is left of the one
 * under way, which can be all that waited and take a slow reader minutes.
 */
function takenBy(socket: Socket): number {
  const handle = (socket as { readonly _handle?: Handle | null })._handle;
  return socket.bytesWritten - socket.writableLength - (handle?.writeQueueSize ?? 0);
}
