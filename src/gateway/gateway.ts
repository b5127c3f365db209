// The gateway: takes WebSocket upgrades on the HTTP server, keeps the connections, and lets them go in good order.
// `ws` is attached to the server directly: a route of the HTTP framework would hold request and reply for every idle
// connection (5 kB each, PERFORMANCE figures in bench/RESULTS.md).
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { Counters } from '../counters.ts';
import { ChatError, type ErrorCode, errorEntry } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Signals } from '../ports/signals.ts';
import type { Welcome } from '../protocol/answers.ts';
import { decode, type Refused } from '../protocol/codec.ts';
import type { Millis, SessionId } from '../protocol/ids.ts';
import { AUTH_TIMEOUT_MS, FLOOD_BURSTS, HEARTBEAT_MS, MAX_FRAME_BYTES, MAX_TEXT } from '../protocol/limits.ts';
import { queue } from '../queue.ts';
import { Connection, type Shared } from './connection.ts';
import type { Context } from './context.ts';
import { dispatch } from './dispatch.ts';
import { introduce, onEnded, onPresence, onSignal } from './ephemeral.ts';
import { presenceConvs, releaseUser, statuses, WANT_ALL } from './opening.ts';
import type { Flusher } from './outbox.ts';
import { Wheel } from './wheel.ts';

const SUBPROTOCOL = 'chatterbox.v1';
/** How long a closing handshake may take: less than what is left to a process after its drain time (main.ts). */
const CLOSE_TIMEOUT_MS = 3_000;
/** Enough to keep the store busy; what one greeting holds is its user's conversations. */
const MAX_GREETINGS = 500;
/** Connections told to go are told within this time, so that they do not all come back at once. */
const BYE_SPREAD_MS = 2_000;

export interface GatewayOptions {
  /** Origins besides the server's own that a browser may connect from. */
  readonly origins: readonly string[];
  readonly messageRate: number;
  readonly messageBurst: number;
  readonly outboxBytes: number;
  /** 0 = no limit. */
  readonly maxConnectionsPerUser: number;
  /** 0 = no limit. */
  readonly maxConnectionsPerAddress: number;
  /** The address of whoever is behind the trusted proxies. */
  addressOf(request: IncomingMessage): string;
  onInternal(error: unknown, requestId: string | undefined): void;
  /** A connection is ended for what its client did. */
  onOffence(offence: Offence): void;
}

/** What the log says of it: nothing the client sent. */
export interface Offence {
  readonly connection: string;
  readonly address: string;
  readonly user: string | undefined;
  readonly code: number | string;
  readonly reason: string;
}

type Domain = Omit<Context, 'greetInTurn' | 'wheel' | 'maxConnectionsPerUser'>;

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #context: Context;
  readonly #shared: Shared;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #connections = new Set<Connection>();
  readonly #perAddress = new Map<string, number>();
  readonly #unsubscribes: readonly (() => void)[];
  #isDraining = false;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    autoPong: false,
    // 16 bytes a fragment is already absurd; ws closes with 1008 beyond.
    maxFragments: 4_096,
    closeTimeout: CLOSE_TIMEOUT_MS,
    handleProtocols: (offered: Set<string>) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  } as ServerOptions);

  constructor(domain: Domain, flusher: Flusher, signals: Signals, options: GatewayOptions) {
    this.#options = options;
    this.#counters = domain.counters;
    this.#clock = domain.clock;
    this.#context = {
      ...domain,
      greetInTurn: queue(MAX_GREETINGS, Number.POSITIVE_INFINITY),
      wheel: new Wheel(domain.clock),
      maxConnectionsPerUser: options.maxConnectionsPerUser || Number.POSITIVE_INFINITY,
    };
    this.#shared = {
      flusher,
      counters: domain.counters,
      outboxBytes: options.outboxBytes,
      maxRefusals: FLOOD_BURSTS * Math.max(1, options.messageBurst),
      now: () => domain.clock.monotonic(),
      head: (conv) => domain.directory.peek(conv)?.head.seq ?? 0,
      onClosed: (connection) => this.#onClosed(connection),
      onInternal: options.onInternal,
      onOffence: (connection, code, reason) => this.#onOffence(connection, code, reason),
    };
    const { hub, directory } = domain;
    this.#unsubscribes = [
      signals.subscribe((signal) => onSignal(signal, hub, directory)),
      domain.presence.subscribe((told) => onPresence(told, hub, directory)),
      hub.subscribe((conv, users) => introduce(conv, users, domain)),
    ];
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Bytes that wait in the outboxes of all connections. */
  outboxBytes(): number {
    let bytes = 0;
    for (const connection of this.#connections) bytes += connection.outboxBytes;
    return bytes;
  }

  attach(server: Server): void {
    // Clients that would rather speak HTTP/2 offer `h2c` with their plain requests: an offer nobody has to take.
    Object.assign(server, { shouldUpgradeCallback: asksForWebSocket });
    server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const refusal = this.#refusalOf(request);
    if (refusal !== null) return refuseUpgrade(socket, refusal);
    const address = this.#options.addressOf(request);
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#onOpened(ws, socket as Socket, address));
  }

  #refusalOf(request: IncomingMessage): ErrorCode | null {
    // Not `new URL`: it throws at targets like `//`, which anyone can send.
    const url = URL.parse(request.url ?? '/', 'http://chat');
    if (url?.pathname !== '/ws') return 'not_found';
    if (this.#isDraining) return 'unavailable';
    if (url.searchParams.has('token') || url.searchParams.has('access_token')) return 'token_in_url';
    return this.#isAllowedOrigin(request) ? null : 'origin_not_allowed';
  }

  /** No Origin: not a browser. Else the server's own, or one of the list, compared as a whole. */
  #isAllowedOrigin({ headers }: IncomingMessage): boolean {
    const { origin, host } = headers;
    if (origin === undefined || this.#options.origins.includes(origin)) return true;
    return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
  }

  #onOpened(ws: WebSocket, socket: Socket, address: string): void {
    const connection = new Connection(ws, socket, address, this.#shared, WANT_ALL);
    socket.setNoDelay(true);
    ws.on('message', (data: Buffer, isBinary: boolean) => this.#onMessage(connection, data, isBinary));
    ws.on('ping', (data: Buffer) => onPing(connection, data));
    ws.on('close', () => connection.onSocketClosed());
    ws.on('error', (error: Error & { code?: string }) => this.#onFrameError(connection, error));
    this.#connections.add(connection);
    const count = (this.#perAddress.get(address) ?? 0) + 1;
    this.#perAddress.set(address, count);
    const most = this.#options.maxConnectionsPerAddress || Number.POSITIVE_INFINITY;
    if (count > most) return connection.close('too_many_connections');
    this.#context.wheel.add(connection);
    connection.send(this.#welcome());
  }

  #welcome(): Welcome {
    const { messageRate: rate, messageBurst: burst } = this.#options;
    const limits = { frame: MAX_FRAME_BYTES, text: MAX_TEXT, rate, burst, auth: AUTH_TIMEOUT_MS };
    return { t: 'welcome', v: 1, now: this.#clock.now(), heartbeat: HEARTBEAT_MS, limits };
  }

  #onMessage(connection: Connection, data: Buffer, isBinary: boolean): void {
    if (connection.state === 'closed') return;
    if (isBinary) return this.#onBinary(connection);
    const frame = decode(data.toString());
    if (!('refused' in frame)) return dispatch(connection, frame, this.#context);
    connection.refuse(this.#isBeforeReady(connection) ? refusalBeforeReady(frame) : frame.refused, frame.id);
  }

  #isBeforeReady(connection: Connection): boolean {
    return connection.state === 'opening' || connection.state === 'greeting';
  }

  #onBinary(connection: Connection): void {
    connection.refuse(
      new ChatError(this.#isBeforeReady(connection) ? 'unauthenticated' : 'unsupported_media_type'),
      undefined,
    );
  }

  /** ws has sent the close frame already (1002, 1007, 1008, 1009). */
  #onFrameError(connection: Connection, { code = 'socket', message }: Error & { code?: string }): void {
    this.#counters.failedWith(code);
    this.#onOffence(connection, code, message);
  }

  #onOffence({ activity, address, user }: Connection, code: number | string, reason: string): void {
    this.#options.onOffence({ connection: activity.name, address, user: user?.id, code, reason });
  }

  #onClosed(connection: Connection): void {
    if (!this.#connections.delete(connection)) return;
    this.#context.wheel.remove(connection);
    const count = (this.#perAddress.get(connection.address) ?? 1) - 1;
    if (count === 0) this.#perAddress.delete(connection.address);
    else this.#perAddress.set(connection.address, count);
    const { user } = connection;
    if (user === null) return;
    user.connections.splice(user.connections.indexOf(connection), 1);
    this.#context.presence.onStatuses(user.id, statuses(user), presenceConvs(user, this.#context));
    releaseUser(user, this.#context);
  }

  /** Tells all connections to go, a few at a time, and resolves when they are gone or `withinMs` has passed. */
  async drain(withinMs: Millis): Promise<void> {
    this.#isDraining = true;
    const spreadMs = Math.min(BYE_SPREAD_MS, withinMs / 2);
    const leaving = [...this.#connections].map((connection) => this.#sendAway(connection, Math.random() * spreadMs));
    await Promise.race([Promise.all(leaving), new Promise((resolve) => setTimeout(resolve, withinMs).unref())]);
    this.#context.wheel.stop();
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    for (const connection of this.#connections) connection.ws.terminate();
    this.#server.close();
  }

  /** Closes the sockets of sessions that have ended; once more changes nothing. */
  endSessions(sessions: readonly SessionId[]): void {
    onEnded(sessions, this.#context.hub);
  }

  /**
   * The log has gone on without this node: whoever is connected begins again with its cursors, here or elsewhere. Users whose
   * `hello` is under way are let go of too: what was loaded for them is of before.
   */
  sendAllAway(): void {
    for (const connection of [...this.#connections]) {
      if (!connection.isOpen || connection.state === 'opening') continue;
      connection.send(byeFrame());
      connection.close('going_away');
    }
    const { hub } = this.#context;
    for (const user of [...hub.users]) hub.leave(user);
  }

  /** `bye`, then what it has asked for is finished, then the close. */
  async #sendAway(connection: Connection, afterMs: Millis): Promise<void> {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, this.#connections.size > 1 ? afterMs : 0);
    });
    if (!connection.isOpen) return;
    connection.send(byeFrame());
    connection.state = 'draining';
    await connection.idle();
    connection.close('going_away');
  }
}

/** Not all at once. */
function byeFrame() {
  return { t: 'bye', after: Math.round(500 + Math.random() * 1_500), code: 4000 };
}

/** Whatever is no `hello` is `unauthenticated`, what is no frame at all included; a `hello` without a token has a bad one. */
function refusalBeforeReady({ t, refused }: Refused): ChatError {
  if (t !== 'hello') return new ChatError('unauthenticated');
  return refused.field === 'token' ? new ChatError('invalid_token') : refused;
}

/** Answered only when the peer takes what it gets: a flood of pings is not buffered. */
function onPing(connection: Connection, data: Buffer): void {
  if (connection.socket.writableLength === 0) connection.ws.pong(data);
}

function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

function refuseUpgrade(socket: Duplex, code: ErrorCode): void {
  const { http: status = 400, message: title, afterMs } = errorEntry(code);
  const type = `urn:chatterbox:error:${code}`;
  const body = JSON.stringify({ type, title, status, code, detail: title, requestId: randomUUID() });
  socket.on('error', () => {});
  // The server's sockets stay half open: who keeps its own side open would hold this one for ever.
  socket.once('finish', () => socket.destroy());
  const retryAfter = afterMs === undefined ? '' : `Retry-After: ${afterMs / 1_000}\r\n`;
  socket.end(
    `HTTP/1.1 ${status} ${code}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${retryAfter}Connection: close\r\n\r\n${body}`,
  );
}
