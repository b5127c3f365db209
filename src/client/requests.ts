// Requests until they are answered: which may be on their way at once, in which order, and when again. A write keeps its id
// through all of it, so repeating is safe; of one conversation one write at a time is under way, so that one which has to
// be repeated is not overtaken by the next (promise 3 is about first attempts).
import type { ErrorAnswer } from '../protocol/answers.ts';
import { Refusal } from './refusal.ts';
import type { Clock } from './types.ts';

/** The `id` is given here where it has none. */
export interface Request {
  readonly t: string;
  readonly id?: string;
  readonly conv?: string;
  readonly [field: string]: unknown;
}

interface Item {
  readonly request: Request & { readonly id: string };
  answer: Promise<unknown>;
  readonly resolve: (answer: never) => void;
  readonly reject: (error?: unknown) => void;
  isFlying?: boolean;
  /** Not to be sent yet, and nothing of its conversation before it. */
  isHeld: boolean;
}

/** The server takes four unanswered `sync` and `history` a connection. */
const MAX_READS = 4;
const MAX_FLYING = 8;
const RETRY_MS = 1_000;
/** Meant for one connection: nothing to be repeated on the next. */
const FLEETING = /sync|ping|renew/;
const READ = /sync|history/;

export type Requests = ReturnType<typeof createRequests>;

export function createRequests(
  clock: Clock,
  random: () => number,
  newId: () => string,
  send: (request: Request) => void,
) {
  /** In the order asked. */
  const items = new Map<string, Item>();
  let isOnline = false;
  let flying = 0;
  /** One after a refusal, doubled by each answer: several devices of a user share one rate. */
  let mostFlying = MAX_FLYING;
  let endPause: (() => void) | undefined;

  function pump(): void {
    const ahead: Record<string, number> = {};
    if (isOnline && !endPause)
      for (const item of items.values()) {
        const { t, conv = t } = item.request;
        const isRead = READ.test(t);
        const lane = isRead ? '' : conv;
        const before = ahead[lane] ?? 0;
        ahead[lane] = before + 1;
        if (item.isFlying || item.isHeld || flying >= mostFlying || before >= (isRead ? MAX_READS : 1)) continue;
        item.isFlying = true;
        flying++;
        send(item.request);
      }
  }

  /** @returns its answer, of one asked already the same @throws Refusal; undefined when a fleeting one lost its connection */
  function ask<Answer>(asked: Request, held?: Promise<unknown>): Promise<Answer> {
    const request = { id: newId(), ...asked };
    const known = items.get(request.id);
    if (known) return known.answer as Promise<Answer>;
    const item = { request, isHeld: !!held } as Item;
    item.answer = new Promise<Answer>((resolve, reject) => Object.assign(item, { resolve, reject }));
    const release = () => {
      item.isHeld = false;
      pump();
    };
    items.set(request.id, item);
    if (held) held.then(release, release);
    else pump();
    return item.answer as Promise<Answer>;
  }

  /** Forgets one. It may have been done. */
  function cancel(id: string): void {
    if (items.get(id)?.isFlying) flying--;
    items.delete(id);
    pump();
  }

  function onAnswer({ id, t, ...rest }: { readonly id: string; readonly t: string }): void {
    const item = items.get(id);
    if (!item?.isFlying) return;
    const error = rest as ErrorAnswer;
    item.isFlying = false;
    flying--;
    if (error.retry) return pause(error.after ?? RETRY_MS);
    items.delete(id);
    mostFlying = Math.min(mostFlying * 2, MAX_FLYING);
    if (t === 'error') item.reject(new Refusal(error));
    else item.resolve(rest as never);
    pump();
  }

  /** Tried again later than told, by chance: whoever shares the rate was told the same. */
  function pause(ms: number): void {
    mostFlying = 1;
    endPause ??= clock.after(ms * (1 + random()), () => {
      endPause = undefined;
      pump();
    });
  }

  function onUp(): void {
    isOnline = true;
    pump();
  }

  function onDown(): void {
    isOnline = false;
    flying = 0;
    endPause?.();
    endPause = undefined;
    for (const [id, item] of items) {
      item.isFlying = false;
      if (FLEETING.test(item.request.t)) {
        items.delete(id);
        item.reject();
      }
    }
  }

  return { ask, cancel, onAnswer, onUp, onDown, isIdle: () => !flying };
}
