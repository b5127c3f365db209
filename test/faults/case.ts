// The evidence of a run, put in order once for all rules: operations with their attempts and answers, what every observer
// says of every number, and the timelines of the conversations.
import type { Change } from '../kit/frames.ts';
import {
  type Event,
  type EventOf,
  type Evidence,
  isChangePush,
  type Named,
  nameOf,
  type Operation,
} from './evidence.ts';
import { Timeline } from './timeline.ts';

export interface Finding {
  /** C1, C2, ... of the table of checks. */
  readonly rule: string;
  readonly text: string;
}

export interface Attempted {
  readonly operation: Operation;
  /** Of the first attempt. */
  readonly invokedAt: number;
  readonly connection: number;
  attempts: number;
  readonly oks: EventOf<'ok'>[];
  /** Refused for good; null also where an attempt before it has no answer: that one may still be on its way. */
  failed: string | null;
  isUnknown: boolean;
}

/** What one observer says of one number. A field that it cannot know is undefined; a change without key has the key null. */
export interface Sighting {
  readonly by: string;
  readonly conv: string;
  readonly seq: number;
  readonly key?: string | null;
  readonly from?: string;
  readonly at?: number | undefined;
  readonly n?: number | undefined;
  readonly t?: string;
  readonly of?: number;
  readonly text?: string;
  readonly user?: string;
  readonly what?: string;
}

export class Case {
  readonly evidence: Evidence;
  readonly operations = new Map<string, Attempted>();
  readonly sightings: readonly Sighting[];
  readonly timelines = new Map<string, Timeline>();
  readonly users = new Map<number, string>();

  constructor(evidence: Evidence) {
    this.evidence = evidence;
    for (const event of evidence.events) this.#take(event);
    this.sightings = [...seen(evidence)];
    for (const [conv, changes] of dumped(evidence)) {
      this.timelines.set(conv, new Timeline(changes, (change) => this.#textOf(change)));
    }
  }

  operation(name: Named): Attempted | undefined {
    return this.operations.get(nameOf(name));
  }

  #take(event: Event): void {
    if (event.is === 'ready') this.users.set(event.connection, event.user);
    if (event.is === 'invoke') this.#attempt(event);
    if (event.is === 'ok') this.operation(event.name)?.oks.push(event);
    if (event.is !== 'fail' && event.is !== 'info') return;
    const attempted = this.operation(event.name);
    if (attempted === undefined) return;
    if (event.is === 'info') attempted.isUnknown = true;
    else if (!attempted.isUnknown) attempted.failed = event.code;
  }

  #attempt({ at, operation, connection }: EventOf<'invoke'>): void {
    const known = this.operation(operation);
    if (known !== undefined) known.attempts++;
    else {
      const first = { operation, invokedAt: at, connection, attempts: 1, oks: [], failed: null, isUnknown: false };
      this.operations.set(nameOf(operation), first);
    }
  }

  #textOf(change: Change): string {
    const { conv, from: user, key = '' } = change;
    return this.operation({ conv, user, key })?.operation.text ?? (change as { text?: string }).text ?? '';
  }
}

function* seen({ events, finals, dump }: Evidence): Generator<Sighting> {
  for (const event of events) {
    if (event.is === 'push' && isChangePush(event.push)) yield ofChange(`push on ${event.connection}`, event.push);
    else if (event.is === 'ok' && event.seq !== undefined) {
      const { seq, n, time, name } = event;
      yield { by: 'ok', conv: name.conv, seq, key: name.key, from: name.user, at: time, n };
    } else if (event.is === 'sync' || event.is === 'history') {
      yield* ofItems(`${event.is} on ${event.connection}`, event.answer.conv, event.answer.items);
    }
  }
  for (const { user, conv, messages, pages } of finals) {
    yield* ofItems(`final history of ${user}`, conv, messages);
    for (const page of pages) yield* ofItems(`final sync of ${user}`, conv, page.items);
  }
  for (const { file, change } of dump?.changes ?? []) yield ofChange(file, change);
}

function* ofItems(by: string, conv: string, items: readonly object[]): Generator<Sighting> {
  for (const item of items as readonly Record<string, unknown>[]) {
    if (item.is !== 'message') continue;
    const { seq, key = null, from, at, n } = item;
    const text = item.rev === seq ? { text: item.text } : {};
    yield { by, conv, seq, key, from, at, n, t: 'message', ...text } as Sighting;
  }
}

function ofChange(by: string, change: Change): Sighting {
  const { conv, seq, from, at, t, key = null } = change;
  const { n, of, text, user, what, deleted } = change as unknown as Partial<Record<string, unknown>>;
  const content = text === undefined || deleted === true ? {} : { text };
  const fields = Object.entries({ n, of, user, what }).filter(([, value]) => value !== undefined);
  return { by, conv, seq, key, from, at, t, ...Object.fromEntries(fields), ...content } as Sighting;
}

/** By conversation and seq. What the store has erased, the log may still hold as it was. */
function dumped({ dump }: Evidence): Map<string, Map<number, Change>> {
  const convs = new Map<string, Map<number, Change>>();
  for (const { change } of dump?.changes ?? []) {
    const changes = convs.get(change.conv) ?? new Map<number, Change>();
    changes.set(change.seq, change);
    convs.set(change.conv, changes);
  }
  return convs;
}

/** The largest seq acknowledged before a moment, for many moments. */
export class Acknowledged {
  readonly #times: number[] = [];
  readonly #seqs: number[] = [];

  /** @param oks in order of time */
  constructor(oks: readonly EventOf<'ok'>[]) {
    for (const { at, seq = 0 } of oks) {
      this.#times.push(at);
      this.#seqs.push(Math.max(seq, this.#seqs.at(-1) ?? 0));
    }
  }

  before(at: number): number {
    let low = 0;
    let high = this.#times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#times[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    return this.#seqs[low - 1] ?? 0;
  }
}
