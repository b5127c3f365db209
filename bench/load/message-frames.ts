// Builds the generator's messages: a UUIDv7 of now whose tail counts, so that an answer leads back to the instant its
// message was meant to be sent; the text carries the same instant to whoever gets the push.
import { randomBytes } from 'node:crypto';
import { CHATTERBOX, type Dialect } from './dialect.ts';
import { maskedFrame } from './wire.ts';

const SLOTS = 1 << 18;
/** performance.now and hrtime tick together; only hrtime is the same in all processes. */
const ORIGIN_US = Math.max(...Array.from({ length: 100 }, clockDifferenceUs));

/** Too small where the process was interrupted between its two readings: of several the largest is right. */
function clockDifferenceUs(): number {
  return Number(process.hrtime.bigint() / 1_000n) - performance.now() * 1_000;
}

/** The machine's monotonic clock, in all processes the same. */
export function nowUs(): number {
  return ORIGIN_US + performance.now() * 1_000;
}

export class MessageFrames {
  readonly #middle = `7${randomHex(3)}-a${randomHex(3)}`;
  readonly #intendedUs = new Float64Array(SLOTS);
  #count = 0;
  dialect: Dialect = CHATTERBOX;

  /**
   * @param intendedUs when this message was meant to leave
   * @param isTimed whether its readers tell how long it took
   */
  message(conv: string, intendedUs: number, textBytes: number, isTimed: boolean): Buffer {
    const text = `${isTimed ? '~' : '-'}${Math.floor(intendedUs)}`.padEnd(textBytes, ' x');
    const frame = `{"t":"message","id":"${this.#id(intendedUs)}","conv":"${conv}","text":"${text}"}`;
    return maskedFrame(this.dialect.wrap(frame));
  }

  history(conv: string, intendedUs: number, before: number, limit: number): Buffer {
    return maskedFrame(
      `{"t":"history","id":"${this.#id(intendedUs)}","conv":"${conv}","before":${before},"limit":${limit}}`,
    );
  }

  /** When the request of an answer was meant to leave. */
  intendedUs(id: string): number {
    return this.#intendedUs[Number.parseInt(id.slice(24), 16) % SLOTS] ?? Number.NaN;
  }

  #id(intendedUs: number): string {
    const count = this.#count++;
    this.#intendedUs[count % SLOTS] = intendedUs;
    const ms = Date.now().toString(16).padStart(12, '0');
    return `${ms.slice(0, 8)}-${ms.slice(8)}-${this.#middle}-${count.toString(16).padStart(12, '0')}`;
  }
}

function randomHex(digits: number): string {
  return randomBytes(digits).toString('hex').slice(0, digits);
}
