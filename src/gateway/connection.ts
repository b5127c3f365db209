// One WebSocket and what state it is in: opening (no hello yet), greeting (hello under way), live, draining (told to go),
// closed. Owns what may be written when; `behind` is a state of one conversation on a connection, not of the connection.
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Counters } from '../counters.ts';
import { ChatError, CLOSES, type CloseReason, closeName, errorEntry } from '../errors.ts';
import { Lane, type Submission } from '../messages/index.ts';
import type { PresenceStatus } from '../protocol/answers.ts';
import { encodeFrame } from '../protocol/codec.ts';
import type { ConvId, Millis, Seq, SessionId } from '../protocol/ids.ts';
import { FAULT_WINDOW_MS, MAX_FAULTS } from '../protocol/limits.ts';
import type { Want } from '../protocol/requests.ts';
import type { LocalUser, Receiver } from './hub.ts';
import { type Flusher, Outbox } from './outbox.ts';

export type State = 'opening' | 'greeting' | 'live' | 'draining' | 'closed';

/** What all connections share. */
export interface Shared {
  readonly flusher: Flusher;
  readonly counters: Counters;
  readonly outboxBytes: number;
  /** Refusals by the token bucket within FAULT_WINDOW_MS that close a connection. */
  readonly maxRefusals: number;
  now(): Millis;
  /** The last seq of a conversation this node has seen. */
  head(conv: ConvId): Seq;
  onClosed(connection: Connection): void;
  onInternal(error: unknown, requestId: string | undefined): void;
  /** The connection is ended for what its client did. */
  onOffence(connection: Connection, code: number, reason: string): void;
}

const NOTHING = Buffer.alloc(0);
/** Why a conversation's pushes are held off: up to this seq it has them, until it has pulled, until they are replayed. */
type HeldOff = Seq | 'behind' | 'replaying';

/** What only connections that send something need. */
class Activity {
  /** Tells this connection from others of its user. */
  readonly name = randomUUID();
  readonly lane = new Lane<Submission>();
  requests = 0;
  unanswered = 0;
  readsInFlight = 0;
  /** When the last ones were, oldest first. */
  readonly faults: Millis[] = [];
  readonly refusals: Millis[] = [];
  binaryFrames = 0;
  signalTokens = 0;
  signalsAt: Millis = 0;
  onIdle: (() => void) | null = null;
}

export class Connection implements Receiver {
  readonly ws: WebSocket;
  readonly socket: Socket;
  readonly address: string;
  readonly #shared: Shared;
  readonly #outbox: Outbox;
  state: State = 'opening';
  user: LocalUser<Connection> | null = null;
  session: SessionId | null = null;
  expiresAt: Millis = 0;
  wants: ReadonlySet<Want>;
  presence: PresenceStatus = 'online';
  /** When the wheel last passed: bytes read; bytes the kernel had taken, where others waited for it; passes without a sign of life. */
  heardBytes = 0;
  takenBytes: number | null = null;
  silentPasses = 0;
  #heldOff: Map<ConvId, HeldOff> | null = null;
  #activity: Activity | null = null;

  constructor(ws: WebSocket, socket: Socket, address: string, shared: Shared, wants: ReadonlySet<Want>) {
    this.ws = ws;
    this.socket = socket;
    this.address = address;
    this.wants = wants;
    this.#shared = shared;
    this.#outbox = new Outbox(socket, shared.flusher);
  }

  get activity(): Activity {
    this.#activity ??= new Activity();
    return this.#activity;
  }

  get outboxBytes(): number {
    return this.#outbox.bytes;
  }

  get isOpen(): boolean {
    return this.state !== 'closed' && this.state !== 'draining';
  }

  // ---- what the hub sends ----------------------------------------------------------------------------------------

  pushChanges(conv: ConvId, frames: Buffer, count: number, lastSeq: Seq): void {
    if (this.#heldOff !== null && this.#isHeldOff(conv, lastSeq)) return;
    if (this.#outbox.offer(frames, this.#shared.outboxBytes)) this.#shared.counters.delivered += count;
    else this.fallBehind(conv);
  }

  pushEphemeral(frame: Buffer, kind: Want | null): void {
    if (kind !== null && !this.wants.has(kind)) return;
    if (!this.#outbox.offer(frame, this.#shared.outboxBytes >> 1)) this.#shared.counters.dropped++;
  }

  pushGone(conv: ConvId, frame: Buffer): void {
    this.#heldOff?.delete(conv);
    this.#insist(frame);
  }

  #isHeldOff(conv: ConvId, lastSeq: Seq): boolean {
    const until = this.#heldOff?.get(conv);
    if (until === undefined) return false;
    if (typeof until === 'string' || lastSeq <= until) return true;
    this.#heldOff?.delete(conv);
    return false;
  }

  // ---- behind and back -------------------------------------------------------------------------------------------

  /** From now on the conversation's changes are not pushed: the client pulls. */
  fallBehind(conv: ConvId): void {
    this.#shared.counters.behind++;
    this.holdOff(conv, 'behind');
    this.send({ t: 'behind', conv, seq: this.#shared.head(conv) });
  }

  holdOff(conv: ConvId, until: HeldOff): void {
    this.#heldOff ??= new Map();
    this.#heldOff.set(conv, until);
  }

  isBehind(conv: ConvId): boolean {
    return this.#heldOff?.get(conv) === 'behind';
  }

  /** What it missed comes from the store yet. A `sync` of its own meanwhile does not end that. */
  isReplaying(conv: ConvId): boolean {
    return this.#heldOff?.get(conv) === 'replaying';
  }

  /** The client has everything up to a seq: pushes go on at the next one, which may still wait in a room's queue. */
  resume(conv: ConvId, upTo: Seq, hasBacklog: boolean): void {
    if (hasBacklog) this.holdOff(conv, upTo);
    else this.#heldOff?.delete(conv);
    if (this.#heldOff?.size === 0) this.#heldOff = null;
  }

  // ---- answers ---------------------------------------------------------------------------------------------------

  /** Sends a frame that must not be dropped. */
  send(frame: object): void {
    this.#insist(encodeFrame(JSON.stringify(frame)));
  }

  sendText(text: string): void {
    this.#insist(encodeFrame(text));
  }

  /** Replayed changes: taken as a whole, or not at all. */
  offerReplay(frames: Buffer, count: number): boolean {
    const taken = this.#outbox.offer(frames, this.#shared.outboxBytes);
    if (taken) this.#shared.counters.delivered += count;
    return taken;
  }

  #insist(frame: Buffer): void {
    if (this.state === 'closed') return;
    if (!this.#outbox.insist(frame, this.#shared.outboxBytes)) return this.close('too_slow');
    if (this.#outbox.bytes > this.#shared.outboxBytes) this.#readLess();
  }

  /** Who does not take answers is not asked for more requests until they are taken. */
  #readLess(): void {
    if (this.ws.isPaused) return;
    this.ws.pause();
    this.#outbox.flush();
    // Called when everything before it has been taken; `drain` would not come below the socket's own high-water mark.
    this.socket.write(NOTHING, () => this.ws.resume());
  }

  /** Answers a request that cannot be done; what the error table says about closing is done here too. */
  refuse(error: unknown, id: string | undefined): void {
    const known = error instanceof ChatError ? error : this.#unexpected(error, id);
    const entry = errorEntry(known.code);
    this.writeError(known, id);
    if (entry.closes !== undefined && (entry.fate === 'close' || this.#isLastStrike(known.code))) {
      this.closeWith(entry.closes, closeName(entry.closes) ?? known.code);
    }
  }

  /** An error that is nobody's fault: it never closes. */
  writeError({ code, message, afterMs: after, field }: ChatError, id: string | undefined): void {
    this.#shared.counters.failedWith(code);
    this.send({ t: 'error', id, code, message, retry: errorEntry(code).retry ?? false, after, field });
  }

  #unexpected(error: unknown, id: string | undefined): ChatError {
    this.#shared.onInternal(error, id);
    return new ChatError('internal', { cause: error });
  }

  /** Codes that close only when repeated. */
  #isLastStrike(code: string): boolean {
    const { activity } = this;
    if (code === 'unsupported_media_type') return ++activity.binaryFrames >= 2;
    const now = this.#shared.now();
    if (code === 'rate_limited') return strike(activity.refusals, now) >= this.#shared.maxRefusals;
    return strike(activity.faults, now) >= MAX_FAULTS;
  }

  /** A request that will be answered later, by exactly one `finish`. */
  begin(): void {
    this.activity.unanswered++;
  }

  finish(): void {
    if (--this.activity.unanswered === 0) this.activity.onIdle?.();
  }

  /** Resolves when every request has been answered. */
  idle(): Promise<void> {
    if ((this.#activity?.unanswered ?? 0) === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.activity.onIdle = resolve;
    });
  }

  // ---- closing ---------------------------------------------------------------------------------------------------

  close(reason: CloseReason): void {
    this.closeWith(CLOSES[reason], reason);
  }

  closeWith(code: number, reason: string): void {
    if (this.state === 'closed') return;
    this.#shared.counters.closedWith(code);
    if (code !== CLOSES.going_away) this.#shared.onOffence(this, code, reason);
    this.#outbox.flush();
    this.#end();
    // A peer that reads nothing never sees a close frame either.
    if (code === CLOSES.too_slow || code === CLOSES.no_pong) this.socket.setTimeout(1_000, () => this.ws.terminate());
    this.ws.resume();
    this.ws.close(code, reason);
  }

  /** The socket has ended, from either side. */
  onSocketClosed(): void {
    if (this.state !== 'closed') this.#end();
  }

  #end(): void {
    this.state = 'closed';
    this.#shared.onClosed(this);
  }
}

/** @returns how many there were within the window, this one included */
function strike(times: Millis[], now: Millis): number {
  while (times[0] !== undefined && now - times[0] > FAULT_WINDOW_MS) times.shift();
  return times.push(now);
}
