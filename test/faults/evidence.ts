// What a run under faults leaves behind, for the checker: everything clients asked and were told, in the order of one
// clock; what a final read gave them; and what the files hold. Plain data, so that a self-test can tamper with it.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HistoryAnswer, Ready, SyncAnswer } from '../../src/protocol/answers.ts';
import type { MessageState } from '../../src/protocol/states.ts';
import type { Change, Push, PushOf } from '../kit/frames.ts';
import type { Since } from '../kit/observer.ts';

/** A durable request: the same for all its attempts, as its key is. */
export interface Operation {
  readonly user: string;
  readonly conv: string;
  readonly key: string;
  readonly t: 'create' | 'message' | 'edit' | 'delete' | 'join' | 'leave';
  /** The message an edit or deletion acts on. */
  readonly of?: number;
  readonly text?: string;
}

/** What names an operation: keys are told apart by user and conversation. */
export type Named = Pick<Operation, 'user' | 'conv' | 'key'>;

export type Event = { readonly at: number } & (
  | { readonly is: 'invoke'; readonly operation: Operation; readonly connection: number }
  /** `seq` is left out where it had no effect. */
  | {
      readonly is: 'ok';
      readonly name: Named;
      readonly seq?: number;
      readonly n?: number;
      readonly time?: number;
      readonly dup: boolean;
    }
  /** Refused for good. */
  | { readonly is: 'fail'; readonly name: Named; readonly code: string }
  /** Unknown: the connection was lost, or the server could not say. */
  | { readonly is: 'info'; readonly name: Named; readonly code: string }
  | {
      readonly is: 'ready';
      readonly connection: number;
      readonly user: string;
      readonly ready: Ready;
      readonly since: Since | undefined;
    }
  | { readonly is: 'push'; readonly connection: number; readonly push: Change | Turn }
  | { readonly is: 'sync'; readonly connection: number; readonly asked: number; readonly answer: SyncAnswer }
  | {
      readonly is: 'history';
      readonly connection: number;
      readonly asked: number;
      readonly query: HistoryQuery;
      readonly answer: HistoryAnswer;
    }
  | { readonly is: 'closed'; readonly connection: number }
  /** Nothing is under way, and every connection that is open was given time to get everything. */
  | { readonly is: 'quiet' }
);

export type EventOf<Is extends Event['is']> = Extract<Event, { readonly is: Is }>;
export type Turn = PushOf<'caught_up' | 'behind' | 'reset' | 'gone'>;

export interface HistoryQuery {
  readonly before?: number;
  readonly after?: number;
}

/** What a member reads of a conversation at the end. */
export interface FinalRead {
  readonly user: string;
  readonly conv: string;
  /** By pages of `history` from the beginning. */
  readonly messages: readonly MessageState[];
  /** By `sync` from 0. */
  readonly pages: readonly SyncAnswer[];
}

export interface DumpedChange {
  readonly file: 'log' | 'store';
  /** Of the log. */
  readonly part: number;
  /** Place in its part of the log; 0 in the store, which keeps none. */
  readonly offset: number;
  readonly change: Change;
}

export interface DumpedPart {
  readonly trimmed: number;
  /** Offset up to which the store holds everything. */
  readonly watermark: number;
}

export interface Dump {
  /** Null: the run has seen more than one, and was meant to. */
  readonly epoch: string | null;
  /** Of the log: one, or those of a cluster's. */
  readonly parts: readonly DumpedPart[];
  readonly changes: readonly DumpedChange[];
}

export interface Evidence {
  readonly events: readonly Event[];
  readonly finals: readonly FinalRead[];
  readonly dump: Dump | null;
}

type Unstamped<E> = E extends unknown ? Omit<E, 'at'> : never;

export class History {
  readonly events: Event[] = [];
  readonly #waiting = new Map<() => void, (event: Event) => boolean>();

  add(event: Unstamped<Event>): void {
    const stamped = { at: performance.now(), ...event } as Event;
    this.events.push(stamped);
    for (const [call, isIt] of this.#waiting) {
      if (!isIt(stamped)) continue;
      this.#waiting.delete(call);
      call();
    }
  }

  /** Calls once, in the moment the `count`th event that is asked for is added. @returns how to stop waiting */
  after(count: number, isWanted: (event: Event) => boolean, call: () => void): () => void {
    let left = count;
    this.#waiting.set(call, (event) => isWanted(event) && --left <= 0);
    return () => this.#waiting.delete(call);
  }

  count(is: Event['is']): number {
    return this.events.reduce((sum, event) => sum + Number(event.is === is), 0);
  }
}

/** What there was before a moment: what became of it nobody has looked at yet. */
export function evidenceBefore(atMs: number, { events }: Evidence): Evidence {
  return { events: events.filter(({ at }) => at < atMs), finals: [], dump: null };
}

/** What came after a moment in which everybody was away, and what was asked before: it may still take effect. */
export function evidenceAfter(atMs: number, { events, finals, dump }: Evidence): Evidence {
  return { events: events.filter(({ at, is }) => at >= atMs || is === 'invoke'), finals, dump };
}

/** Keeps the evidence of a run that failed, as JSON lines. @returns where */
export function keepEvidence(seed: number, { events, finals, dump }: Evidence): string {
  const file = join(tmpdir(), `chatterbox-evidence-${seed}-${process.pid}.jsonl`);
  writeFileSync(file, [...events, ...finals, dump].map((line) => `${JSON.stringify(line)}\n`).join(''));
  return file;
}

export function isChangePush(push: Push): push is Change {
  return 'seq' in push && 'from' in push;
}

export function nameOf({ user, conv, key }: Named): string {
  return `${conv} ${user} ${key}`;
}
