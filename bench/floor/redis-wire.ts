// The least that talks to Redis: commands encoded once, answers counted by their lines. What an answer says is not looked
// at, but that it is no error.
import { connect, type Socket } from 'node:net';

const LINE_END = 0x0a;
const ERROR = 0x2d;

/** redis.io/docs/latest/develop/reference/protocol-spec: an array of bulk strings. */
export function command(words: readonly (string | number)[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join('')}`;
}

/** A connection all of whose answers have the same number of lines. */
export class RedisWire {
  readonly #socket: Socket;
  readonly #linesPerAnswer: number;
  readonly #onAnswers: (count: number) => void;
  #lines = 0;
  #isLineStart = true;

  /** @param onAnswers is told how many answers have become complete */
  constructor(port: number, linesPerAnswer: number, onAnswers: (count: number) => void) {
    this.#linesPerAnswer = linesPerAnswer;
    this.#onAnswers = onAnswers;
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.on('data', (data: Buffer) => this.#onData(data));
    this.#socket.on('error', (error) => {
      throw error;
    });
  }

  write(commands: string): void {
    this.#socket.write(commands);
  }

  end(): void {
    this.#socket.destroy();
  }

  #onData(data: Buffer): void {
    for (let at = 0; at < data.length; at++) {
      if (this.#isLineStart && data[at] === ERROR) throw new Error(data.toString('utf8', at).split('\r\n')[0]);
      this.#isLineStart = data[at] === LINE_END;
      if (this.#isLineStart) this.#lines++;
    }
    const count = Math.floor(this.#lines / this.#linesPerAnswer);
    this.#lines -= count * this.#linesPerAnswer;
    if (count > 0) this.#onAnswers(count);
  }
}
