// Appends and readings in few words, for the tests of the log and the processes they start.
import type { Test } from 'tap';
import type { Append, Appended, Change, Log, Position, Tail } from '../../src/ports/log.ts';
import { bodyText, type ChangeType } from '../../src/protocol/changes.ts';
import type { ConvId, Key, Millis, UserId } from '../../src/protocol/ids.ts';

export interface LogSettings {
  readonly budgetBytes?: number;
  readonly now?: () => Millis;
}

export const ANN = 'ann' as UserId;

export function conv(name: string | number): ConvId {
  return `c_${name}` as ConvId;
}

export function key(name: string | number): Key {
  return `key_${String(name).padStart(8, '0')}` as Key;
}

export function item(
  where: ConvId,
  type: ChangeType,
  more: Partial<Append> & { readonly fields?: object } = {},
): Append {
  const { fields = { text: 'hello' }, ...rest } = more;
  return { conv: where, from: ANN, key: null, guard: 1, drafts: [{ type, body: bodyText(fields) }], ...rest };
}

export function creation(where: ConvId, more: Partial<Append> = {}): Append {
  return item(where, 'conv', { guard: 0, fields: { kind: 'room' }, ...more });
}

export function message(where: ConvId, more: Partial<Append> & { readonly fields?: object } = {}): Append {
  return item(where, 'message', more);
}

export async function appendOne(log: Log, append: Append): Promise<Appended> {
  const [appended] = await log.append([append]);
  if (appended === undefined) throw new Error('no answer');
  return appended;
}

/** Reads on until a number of changes has come, or the tail ends. */
export async function take(tail: Tail, count: number): Promise<Change[]> {
  const changes: Change[] = [];
  while (changes.length < count) {
    const { value, done } = await tail.next();
    if (done) break;
    changes.push(...value);
  }
  return changes;
}

/** Everything from a position on, until a number of changes has come. */
export async function read(log: Log, count: number, after: Position = []): Promise<Change[]> {
  const tail = log.tail(after);
  const changes = await take(tail, count);
  await tail.return();
  return changes;
}

/** Reads a tail from a position up to another. */
export async function readUpTo(log: Log, after: Position, upTo: Position): Promise<Change[]> {
  const tail = log.tail(after);
  const changes: Change[] = [];
  let last = after[0] ?? 0;
  while (last < (upTo[0] ?? 0)) {
    const { value, done } = await tail.next();
    if (done) throw new Error('the tail ended');
    changes.push(...value);
    last = (value.at(-1) as Change).offset;
  }
  await tail.return();
  return changes;
}

export async function readAll(log: Log): Promise<Change[]> {
  return readUpTo(log, log.state().trimmed, await log.readIndex());
}

/** Laws 1 and 4 of a reading from the first change on: offsets and numbers without gaps, time never back. */
export function checkNumbers(t: Test, changes: readonly Change[], first = 1): void {
  const heads = new Map<ConvId, { seq: number; n: number; at: number }>();
  const faults: string[] = [];
  for (const [index, change] of changes.entries()) {
    const head = heads.get(change.conv) ?? { seq: 0, n: 0, at: 0 };
    const isMessage = change.type === 'message';
    if (change.offset !== first + index) faults.push(`offset ${change.offset} at place ${index}`);
    if (change.seq !== head.seq + 1) faults.push(`${change.conv}: seq ${change.seq} after ${head.seq}`);
    if (change.n !== (isMessage ? head.n + 1 : 0)) faults.push(`${change.conv}: n ${change.n} after ${head.n}`);
    if (change.at < head.at) faults.push(`${change.conv}: at ${change.at} after ${head.at}`);
    heads.set(change.conv, { seq: change.seq, n: change.n || head.n, at: change.at });
  }
  t.same(faults, [], 'no hole, no repeat, no step back in time');
}
