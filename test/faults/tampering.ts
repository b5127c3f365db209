// Ways to tamper with a good history, each with the rule that must find it. A tampering picks its place at random.
import type { Change } from '../kit/frames.ts';
import type { Random } from '../kit/random.ts';
import { type DumpedChange, type Event, type EventOf, type Evidence, isChangePush, nameOf } from './evidence.ts';

type Push = EventOf<'push'> & { readonly push: Change };

const isChange = (event: EventOf<'push'>): event is Push => isChangePush(event.push);

/** A history, and where it can be tampered with. */
export class Good {
  readonly evidence: Evidence;
  readonly random: Random;
  readonly #byKind: ReadonlyMap<Event['is'], readonly Event[]>;
  readonly #invokes: ReadonlyMap<string, readonly EventOf<'invoke'>[]>;
  readonly #neighbours: readonly (readonly [Push, Push])[];

  constructor(evidence: Evidence, chance: Random) {
    this.evidence = evidence;
    this.#byKind = Map.groupBy(evidence.events, ({ is }) => is);
    this.#invokes = Map.groupBy(this.all('invoke'), ({ operation }) => nameOf(operation));
    this.random = chance;
    this.#neighbours = this.#findNeighbours();
  }

  get changes(): readonly DumpedChange[] {
    return this.evidence.dump?.changes ?? [];
  }

  all<Is extends Event['is']>(is: Is, where: (event: EventOf<Is>) => boolean = () => true): readonly EventOf<Is>[] {
    return ((this.#byKind.get(is) ?? []) as EventOf<Is>[]).filter(where);
  }

  pick<Is extends Event['is']>(is: Is, where?: (event: EventOf<Is>) => boolean): EventOf<Is> {
    return this.random.pick(this.all(is, where));
  }

  /**
   * A change with the next one of the conversation right after it on its connection. Not one that lets somebody in or out:
   * without it the next one is no hole, but what somebody outside may not hear.
   */
  pushInTheMiddle(): readonly [push: Push, next: Push] {
    return this.random.pick(this.#neighbours);
  }

  #findNeighbours(): readonly (readonly [Push, Push])[] {
    const found: (readonly [Push, Push])[] = [];
    const last = new Map<string, EventOf<'push'>>();
    for (const event of this.all('push')) {
      const place = `${event.connection} ${event.push.conv}`;
      const before = last.get(place);
      last.set(place, event);
      if (before === undefined || !isChange(before) || !isChange(event)) continue;
      if (before.push.t === 'member' || before.push.t === 'conv') continue;
      if (event.push.seq === before.push.seq + 1) found.push([before, event]);
    }
    return found;
  }

  /** The last push of each conversation to each connection that stays: nothing comes that makes up for it. */
  lastWords(): readonly EventOf<'push'>[] {
    const last = new Map<string, EventOf<'push'>>();
    const isOf = (connection: number) => (place: string) => place.startsWith(`${connection} `);
    for (const event of this.evidence.events) {
      if (event.is === 'push') last.set(`${event.connection} ${event.push.conv}`, event);
      // Every connection is closed when all is over; those of the quiet end are closed after the history ends.
      if (event.is === 'closed')
        for (const place of [...last.keys()].filter(isOf(event.connection))) last.delete(place);
    }
    return [...last.values()];
  }

  /** Two acknowledged messages of a conversation, one after the other in time. */
  twoInTurn(isSameConnection: boolean): readonly [EventOf<'ok'>, EventOf<'ok'>] {
    const isNew = (ok: EventOf<'ok'>) => !ok.dup && ok.n !== undefined;
    for (;;) {
      const first = this.pick('ok', isNew);
      const sent = (ok: EventOf<'ok'>) => this.#invokes.get(nameOf(ok.name)) ?? [];
      const later = this.all(
        'ok',
        (ok) => isNew(ok) && ok.name.conv === first.name.conv && (ok.seq ?? 0) > (first.seq ?? 0),
      );
      const second = later.find((ok) => {
        const [one] = sent(first);
        const [two] = sent(ok);
        if (one === undefined || two === undefined || sent(first).length > 1 || sent(ok).length > 1) return false;
        return isSameConnection ? one.connection === two.connection && one.at < two.at : two.at > first.at;
      });
      if (second !== undefined) return [first, second];
    }
  }

  /** With an event replaced by others. */
  replacing(event: Event, ...others: readonly Event[]): Evidence {
    const events = this.evidence.events.flatMap((other) => (other === event ? others : [other]));
    return { ...this.evidence, events };
  }

  dumping(changes: readonly DumpedChange[]): Evidence {
    const { dump } = this.evidence;
    return { ...this.evidence, dump: dump && { ...dump, changes } };
  }

  /** Every mention of a change, by whoever, rewritten. */
  everywhere(
    rewrite: <Mention extends { conv?: string; seq: number }>(mention: Mention, conv: string) => Mention,
  ): Evidence {
    const { events, finals, dump } = this.evidence;
    const items = (conv: string, all: readonly { is: string; seq?: number }[]) =>
      all.map((item) => (item.is === 'message' ? rewrite(item as never, conv) : item)) as never;
    return {
      events: events.map((event) => {
        if (event.is === 'ok' && event.seq !== undefined) return rewrite(event as never, event.name.conv);
        if (event.is === 'push' && isChangePush(event.push))
          return { ...event, push: rewrite(event.push, event.push.conv) };
        if (event.is === 'sync' || event.is === 'history')
          return {
            ...event,
            answer: { ...event.answer, items: items(event.answer.conv, event.answer.items) },
          } as Event;
        return event;
      }),
      finals: finals.map((final) => ({
        ...final,
        messages: items(final.conv, final.messages),
        pages: final.pages.map((page) => ({ ...page, items: items(final.conv, page.items) })),
      })),
      dump: dump && {
        ...dump,
        changes: dump.changes.map((dumped) => ({ ...dumped, change: rewrite(dumped.change, dumped.change.conv) })),
      },
    };
  }
}

/** A way to tamper, the rule that is about it, and what it makes of a good history. */
export type Tampering = readonly [rule: string, what: string, tamper: (good: Good) => Evidence];

const isMessage = ({ change }: DumpedChange) => change.t === 'message';
const key = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;

const DROPS: readonly Tampering[] = [
  [
    'C1',
    'an acknowledged change is in no file',
    (good) => {
      const { name, seq } = good.pick('ok', (ok) => ok.seq !== undefined && ok.seq > 1);
      return good.dumping(good.changes.filter(({ change }) => change.conv !== name.conv || change.seq !== seq));
    },
  ],
  [
    'C1',
    'the files end too early',
    (good) => {
      const { name } = good.pick('ok', (ok) => ok.seq !== undefined);
      const last = Math.max(...good.all('ok', (ok) => ok.name.conv === name.conv).map(({ seq = 0 }) => seq));
      return good.dumping(good.changes.filter(({ change }) => change.conv !== name.conv || change.seq < last));
    },
  ],
  [
    'C1',
    'a message is missing in a final history',
    (good) => {
      const { finals } = good.evidence;
      const final = good.random.pick(finals.filter(({ messages }) => messages.length > 0));
      const missing = good.random.pick(final.messages);
      const messages = final.messages.filter((message) => message !== missing);
      return { ...good.evidence, finals: finals.map((other) => (other === final ? { ...final, messages } : other)) };
    },
  ],
  [
    'C9',
    'an item is missing in a final sync',
    (good) => {
      const { finals } = good.evidence;
      const final = good.random.pick(finals);
      const missing = good.random.pick(final.pages.flatMap(({ items }) => items));
      const pages = final.pages.map((page) => ({ ...page, items: page.items.filter((item) => item !== missing) }));
      return { ...good.evidence, finals: finals.map((other) => (other === final ? { ...final, pages } : other)) };
    },
  ],
  ['C6', 'a push is left out', (good) => good.replacing(good.pushInTheMiddle()[0])],
  [
    'C9',
    'an item is missing in a page',
    (good) => {
      const sync = good.pick('sync', ({ answer }) => answer.items.length > 0);
      const missing = good.random.pick(sync.answer.items);
      const items = sync.answer.items.filter((item) => item !== missing);
      return good.replacing(sync, { ...sync, answer: { ...sync.answer, items } });
    },
  ],
  [
    'C9',
    'a message is missing inside a page of history',
    (good) => {
      const history = good.pick('history', ({ answer }) => answer.items.length > 2);
      const missing = 1 + good.random.whole(history.answer.items.length - 2);
      const items = history.answer.items.filter((_, index) => index !== missing);
      return good.replacing(history, { ...history, answer: { ...history.answer, items } });
    },
  ],
  [
    'C10',
    'the last push of a connection that stays never comes',
    (good) => {
      return good.replacing(good.random.pick(good.lastWords().filter((push) => isChangePush(push.push))));
    },
  ],
];

const SWAPS: readonly Tampering[] = [
  [
    'C6',
    'two pushes come in the wrong order',
    (good) => {
      const [push, next] = good.pushInTheMiddle();
      const events = good.evidence.events.map((event) => (event === push ? next : event === next ? push : event));
      return { ...good.evidence, events };
    },
  ],
  [
    'C4',
    'two changes stand in each other’s place in a file',
    (good) => {
      const file = good.random.pick(['log', 'store'] as const);
      const one = good.random.pick(good.changes.filter((dumped) => isMessage(dumped) && dumped.file === file));
      const others = good.changes.filter((other) => isMessage(other) && other !== one && other.file === file);
      const other = good.random.pick(others.filter(({ change }) => change.conv === one.change.conv));
      const put = (dumped: DumpedChange, { change: { seq } }: DumpedChange) => ({
        ...dumped,
        change: { ...dumped.change, seq },
      });
      return good.dumping(
        good.changes.map((change) => (change === one ? put(one, other) : change === other ? put(other, one) : change)),
      );
    },
  ],
  ['C7', 'a later message has, for everybody, the smaller number', (good) => swapped(good, false)],
  ['C8', 'two messages of a connection have, for everybody, each other’s number', (good) => swapped(good, true)],
];

/** Two messages change places wherever they are mentioned: only time tells. */
function swapped(good: Good, isSameConnection: boolean): Evidence {
  const [one, two] = good.twoInTurn(isSameConnection);
  return good.everywhere((mention, conv) => {
    if (conv !== one.name.conv) return mention;
    const name =
      (mention as { key?: string; name?: { key: string } }).key ?? (mention as { name?: { key: string } }).name?.key;
    const other = name === one.name.key ? two : name === two.name.key ? one : undefined;
    return other === undefined ? mention : { ...mention, seq: other.seq ?? 0, n: other.n };
  });
}

const DUPLICATES: readonly Tampering[] = [
  [
    'C3',
    'a push comes twice',
    (good) => {
      const [push] = good.pushInTheMiddle();
      return good.replacing(push, push, push);
    },
  ],
  [
    'C3',
    'a request made two changes',
    (good) => {
      const one = good.random.pick(good.changes.filter(isMessage));
      const seq =
        Math.max(
          ...good.changes.filter(({ change }) => change.conv === one.change.conv).map(({ change }) => change.seq),
        ) + 1;
      return good.dumping([...good.changes, { ...one, change: { ...one.change, seq } }]);
    },
  ],
  [
    'C3',
    'a request is told twice that it is new',
    (good) => {
      const ok = good.pick('ok', ({ dup }) => !dup);
      return good.replacing(ok, ok, ok);
    },
  ],
];

const RENUMBERINGS: readonly Tampering[] = [
  [
    'C4',
    'an answer names another number',
    (good) => {
      const ok = good.pick('ok', ({ seq = 0 }) => seq > 2);
      return good.replacing(ok, { ...ok, seq: (ok.seq ?? 0) - 1 });
    },
  ],
  [
    'C4',
    'a push has another time',
    (good) => {
      const [push] = good.pushInTheMiddle();
      return good.replacing(push, { ...push, push: { ...push.push, at: push.push.at + 1 } });
    },
  ],
  [
    'C4',
    'a message is counted otherwise',
    (good) => {
      const push = good.pick('push', ({ push }) => push.t === 'message');
      return good.replacing(push, { ...push, push: { ...push.push, n: 1_000_000 } as Change });
    },
  ],
  [
    'C4',
    'one client is told of another epoch',
    (good) => {
      const ready = good.pick('ready');
      return good.replacing(ready, { ...ready, ready: { ...ready.ready, epoch: 'another' } });
    },
  ],
  [
    'C5',
    'the log has a hole',
    (good) => {
      const logged = good.changes.filter(({ file }) => file === 'log');
      const missing = logged[good.random.whole(logged.length - 1)];
      return good.dumping(good.changes.filter((change) => change !== missing));
    },
  ],
];

const PHANTOMS: readonly Tampering[] = [
  [
    'C2',
    'a change that nobody asked for is in a file',
    (good) => {
      const one = good.random.pick(good.changes.filter(isMessage));
      const invented = { ...one.change, key: key(good.random.whole(1e9)) } as Change;
      return good.dumping(good.changes.map((other) => (other === one ? { ...one, change: invented } : other)));
    },
  ],
  [
    'C2',
    'a text is not what was sent',
    (good) => {
      const push = good.pick('push', ({ push }) => push.t === 'message' && push.deleted === undefined);
      return good.replacing(push, { ...push, push: { ...push.push, text: 'not mine' } as Change });
    },
  ],
  [
    'C2',
    'what was refused is there',
    (good) => {
      const unknown = new Set(good.evidence.events.flatMap((event) => (event.is === 'info' ? [event.name.key] : [])));
      const ok = good.pick('ok', ({ seq, dup, name }) => seq !== undefined && !dup && !unknown.has(name.key));
      return good.replacing(ok, { at: ok.at, is: 'fail', name: ok.name, code: 'forbidden' });
    },
  ],
  [
    'C2',
    'what had no effect is there',
    (good) => {
      const ok = good.pick('ok', ({ seq, dup }) => seq !== undefined && !dup);
      return good.replacing(ok, { at: ok.at, is: 'ok', name: ok.name, dup: false });
    },
  ],
];

const LEAKS: readonly Tampering[] = [
  [
    'C11',
    'somebody hears on after having left',
    (good) => {
      const leave = good.pick('push', ({ push, connection }) => {
        if (push.t !== 'member' || push.what !== 'leave' || push.user !== userOf(good, connection)) return false;
        return changeAt(good, push.conv, push.seq + 1) !== undefined && isLive(good, connection, push);
      }) as Push;
      const next = changeAt(good, leave.push.conv, leave.push.seq + 1) as Change;
      return good.replacing(leave, leave, { ...leave, push: next });
    },
  ],
  [
    'C11',
    'somebody hears before having joined',
    (good) => {
      const join = good.pick('push', ({ push, connection }) => {
        if (push.t !== 'member' || push.what !== 'join' || push.user !== userOf(good, connection)) return false;
        return isLive(good, connection, push);
      }) as Push;
      const before = changeAt(good, join.push.conv, join.push.seq - 1) as Change;
      return good.replacing(join, { ...join, push: before }, join);
    },
  ],
  [
    'C9',
    'a deleted text is replayed',
    (good) => {
      const push = good.pick(
        'push',
        ({ push }) => (push.t === 'message' || push.t === 'edit') && push.deleted === true,
      );
      return good.replacing(push, { ...push, push: { ...push.push, text: 'psst', deleted: undefined } as never });
    },
  ],
];

const STALE: readonly Tampering[] = [
  [
    'C8',
    'a sync lacks what was acknowledged before it was asked',
    (good) => {
      const before = (at: number, conv: string) =>
        Math.max(0, ...good.all('ok', (ok) => ok.at < at && ok.name.conv === conv).map(({ seq = 0 }) => seq));
      const sync = good.pick('sync', ({ answer, asked }) => before(asked, answer.conv) > 1);
      const head = before(sync.asked, sync.answer.conv) - 1;
      return good.replacing(sync, { ...sync, answer: { ...sync.answer, head, to: head, more: false, items: [] } });
    },
  ],
  [
    'C8',
    'a history lacks the newest message',
    (good) => {
      const isNewest = ({ query, answer }: EventOf<'history'>) => query.after === undefined && answer.items.length > 2;
      const history = good.pick('history', (history) => {
        if (!isNewest(history)) return false;
        const { conv, items } = history.answer;
        return (
          good.all(
            'ok',
            (ok) =>
              ok.at < history.asked && ok.name.conv === conv && ok.n !== undefined && ok.seq === items.at(-1)?.seq,
          ).length > 0
        );
      });
      return good.replacing(history, {
        ...history,
        answer: { ...history.answer, items: history.answer.items.slice(0, -1) },
      });
    },
  ],
  [
    'C9',
    'a sync gives an old state',
    (good) => {
      const sync = good.pick('sync', ({ answer }) => answer.items.some((item) => item.is === 'message' && item.edited));
      const items = sync.answer.items.map((item) =>
        item.is === 'message' && item.edited ? { ...item, text: 'old' } : item,
      );
      return good.replacing(sync, { ...sync, answer: { ...sync.answer, items } });
    },
  ],
];

function userOf(good: Good, connection: number): string {
  return good.all('ready', (ready) => ready.connection === connection)[0]?.user ?? '';
}

function changeAt(good: Good, conv: string, seq: number): Change | undefined {
  return good.changes.find(({ change }) => change.conv === conv && change.seq === seq)?.change;
}

/** Not in the replay of a resume. */
function isLive(good: Good, connection: number, { conv, seq }: Change): boolean {
  const since = good.all('ready', (ready) => ready.connection === connection)[0]?.since;
  if (since?.convs[conv] === undefined) return true;
  const caughtUp = good.all(
    'push',
    (event) => event.connection === connection && event.push.t === 'caught_up' && event.push.conv === conv,
  )[0];
  return caughtUp !== undefined && 'seq' in caughtUp.push && caughtUp.push.seq < seq;
}

export const TAMPERINGS: readonly Tampering[] = [
  ...DROPS,
  ...SWAPS,
  ...DUPLICATES,
  ...RENUMBERINGS,
  ...PHANTOMS,
  ...LEAKS,
  ...STALE,
];
