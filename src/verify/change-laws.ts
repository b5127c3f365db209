// The laws of one conversation's changes, one after the other as they come: numbers, time, and that a row is what its wire
// says. After a fault it goes on from what was found: one fault is told once.
import type { ChangeRow } from '../ports/audit.ts';
import type { ChangeBody } from '../protocol/changes.ts';
import type { ConvId, Millis, Seq } from '../protocol/ids.ts';
import { bodyOf, isSetAside } from './wires.ts';

type Tell = (seq: Seq, text: string) => void;

export class ChangeLaws {
  readonly conv: ConvId;
  readonly #tell: Tell;
  #seq = 0;
  #n = 0;
  #at: Millis = 0;
  #isFit = true;

  constructor(conv: ConvId, tell: Tell) {
    this.conv = conv;
    this.#tell = tell;
  }

  /** The last one seen. */
  get seq(): Seq {
    return this.#seq;
  }

  /** Whether the changes so far can be folded: what comes after a hole cannot. */
  get isFit(): boolean {
    return this.#isFit;
  }

  /** @returns the change, or null where it cannot be read as one */
  check(row: ChangeRow): ChangeBody | null {
    this.#dense(row);
    this.#counted(row);
    this.#inTime(row);
    const body = bodyOf(row.wire);
    this.#own(row, body);
    if (row.seq === 1) this.#creation(row, body);
    return body;
  }

  #dense({ seq }: ChangeRow): void {
    const first = this.#seq + 1;
    if (seq > first) {
      const last = seq - 1;
      this.#tell(first, first === last ? 'it is missing' : `it and all up to ${last} are missing`);
      this.#isFit = false;
    }
    this.#seq = seq;
  }

  #counted({ seq, n, type }: ChangeRow): void {
    const expected = type === 'message' ? this.#n + 1 : 0;
    if (n !== expected) this.#tell(seq, `its number as a message is ${n}, and ${expected} has its turn`);
    if (type === 'message') this.#n = n;
  }

  #inTime({ seq, at }: ChangeRow): void {
    if (at < this.#at) this.#tell(seq, `its time ${at} is before that of the change before it, ${this.#at}`);
    this.#at = at;
  }

  #own(row: ChangeRow, body: ChangeBody | null): void {
    if (body === null) {
      this.#tell(row.seq, 'its wire text cannot be read');
      this.#isFit = false;
      return;
    }
    const { t, conv, seq, from, at, key = null } = body;
    const n = t === 'message' ? body.n : 0;
    const said = { type: t, conv, seq, n, from, at, key };
    const names = (Object.keys(said) as (keyof typeof said)[]).filter((name) => said[name] !== row[name]);
    if (names.length > 0) this.#tell(row.seq, `its row and its wire text differ in ${names.join(', ')}`);
    if (t !== row.type || conv !== row.conv || seq !== row.seq) this.#isFit = false;
  }

  #creation({ seq, wire }: ChangeRow, body: ChangeBody | null): void {
    if (body === null || isSetAside(wire) || (body.t === 'conv' && body.kind !== undefined)) return;
    this.#tell(seq, 'the first change of a conversation is its creation, and this is none');
  }
}

/** What is wrong with the changes it refers to; undefined: nothing. */
export function wrongReference(body: ChangeBody, isMessage: (seq: Seq) => boolean): string | undefined {
  const { seq } = body;
  if ('of' in body && !(body.of < seq && isMessage(body.of))) return `no message ${body.of} stands before it`;
  if (body.t !== 'message') return undefined;
  const { reply, thread } = body;
  if (reply !== undefined && !(reply >= 1 && reply < seq)) return `it answers ${reply}, which does not stand before it`;
  if (thread !== undefined && !(thread < seq && isMessage(thread)))
    return `its thread ${thread} is no message before it`;
  return undefined;
}
