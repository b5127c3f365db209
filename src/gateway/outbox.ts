// What waits to be written to one socket: bounded in bytes, written once a turn with all its frames together.
// Being full is a value `offer` returns; what to do about it is the connection's decision. Hot: bench/micro/outbox.ts.
import type { Socket } from 'node:net';

/** Frames together up to here are copied into one buffer: cheaper than a vectored write (bench/micro/outbox.ts). */
const COPY_BYTES = 8_192;
/** Room above the limit for what must not be dropped: answers, `behind`, `gone`. */
const RESERVE_BYTES = 524_288;

/** Writes all outboxes that have something at the end of the turn they got it in. */
export class Flusher {
  #due: Outbox[] = [];
  #scheduled = false;

  add(outbox: Outbox): void {
    this.#due.push(outbox);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  flush(): void {
    const due = this.#due;
    if (due.length === 0) return;
    this.#due = [];
    for (const outbox of due) outbox.flush();
  }
}

export class Outbox {
  readonly #socket: Socket;
  readonly #flusher: Flusher;
  /** One frame, the usual case, or several. */
  #queued: Buffer | Buffer[] | null = null;
  #queuedBytes = 0;

  constructor(socket: Socket, flusher: Flusher) {
    this.#socket = socket;
    this.#flusher = flusher;
  }

  /** Bytes that the kernel has not taken yet. */
  get bytes(): number {
    return this.#queuedBytes + this.#socket.writableLength;
  }

  /**
   * Takes frames unless the outbox is full. An empty one takes more than its limit, but never so much that an answer
   * right behind would find the reserve used up, by a reader who is not slow at all. @returns whether they were taken
   */
  offer(frames: Buffer, limitBytes: number): boolean {
    const waiting = this.bytes;
    const most = waiting > 0 ? limitBytes : limitBytes + RESERVE_BYTES / 2;
    if (waiting + frames.length > most) return false;
    this.#push(frames);
    return true;
  }

  /** Takes what must not be dropped. @returns false when even the reserve is used up: the connection cannot go on */
  insist(frame: Buffer, limitBytes: number): boolean {
    if (this.bytes > limitBytes + RESERVE_BYTES) return false;
    this.#push(frame);
    return true;
  }

  flush(): void {
    const queued = this.#queued;
    if (queued === null) return;
    this.#queued = null;
    const bytes = this.#queuedBytes;
    this.#queuedBytes = 0;
    if (!this.#socket.writable) return;
    if (!Array.isArray(queued)) this.#socket.write(queued);
    else if (bytes <= COPY_BYTES) this.#socket.write(Buffer.concat(queued, bytes));
    else this.#writeVector(queued);
  }

  #writeVector(frames: readonly Buffer[]): void {
    this.#socket.cork();
    for (const frame of frames) this.#socket.write(frame);
    this.#socket.uncork();
  }

  #push(frames: Buffer): void {
    this.#queuedBytes += frames.length;
    if (this.#queued === null) {
      this.#queued = frames;
      this.#flusher.add(this);
    } else if (Array.isArray(this.#queued)) this.#queued.push(frames);
    else this.#queued = [this.#queued, frames];
  }
}
