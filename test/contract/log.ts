// The contract of the log (src/ports/log.ts): every adapter passes it.
import fc from 'fast-check';
import type { Test } from 'tap';
import { ChatError } from '../../src/errors.ts';
import type { Append, Appended, Change, Log, Receipt } from '../../src/ports/log.ts';
import { PositionLost } from '../../src/ports/log.ts';
import { bodyText, type ChangeType, wireText } from '../../src/protocol/changes.ts';
import type { ConvId, Key, UserId } from '../../src/protocol/ids.ts';
import {
  ANN,
  appendOne,
  checkNumbers,
  conv,
  creation,
  item,
  key,
  type LogSettings,
  message,
  readAll,
  readUpTo,
} from './log-items.ts';
import { LogModel } from './log-model.ts';

export interface LogUnderTest {
  readonly log: Log;
  /** Closes the log and opens again what it kept. */
  reopen(): Promise<Log>;
  /** Does what the store does before a trim: it holds the changes, which are the next ones of the log, from now on. */
  store(changes: readonly Change[]): Promise<void>;
}

export type OpenLog = (t: Test, settings?: LogSettings) => Promise<LogUnderTest>;

const BOB = 'bob' as UserId;
const START = 1_794_000_000_000;

/** A small generator of random numbers (mulberry32) with a seed that can be told. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function ok(appended: Appended | undefined): Receipt & { readonly dup: boolean } {
  if (appended?.is !== 'ok') throw new Error(`not ok: ${JSON.stringify(appended)}`);
  return appended;
}

export function logContract(t: Test, name: string, open: OpenLog): void {
  t.test(name, async (t) => {
    numbers(t, open);
    keys(t, open);
    durability(t, open);
    tails(t, open);
    trims(t, open);
    guards(t, open);
    limits(t, open);
    randomRuns(t, open);
  });
}

function numbers(t: Test, open: OpenLog): void {
  t.test('law 1: seq counts every change of a conversation from 1, n its messages', async (t) => {
    const { log } = await open(t);
    await log.append([creation(conv(1)), creation(conv(2))]);
    await log.append([message(conv(1)), message(conv(2)), item(conv(1), 'react'), message(conv(1))]);
    const changes = await readAll(log);
    checkNumbers(t, changes);
    t.same(
      changes.filter((change) => change.conv === conv(1)).map(({ seq, n, type }) => [seq, n, type]),
      [
        [1, 0, 'conv'],
        [2, 1, 'message'],
        [3, 0, 'react'],
        [4, 2, 'message'],
      ],
    );
  });

  t.test('law 1: at never decreases in a conversation, when the clock goes back', async (t) => {
    let now = START;
    const { log } = await open(t, { now: () => now });
    await log.append([creation(conv(1))]);
    now = START - 3_600_000;
    t.equal(ok(await appendOne(log, message(conv(1)))).at, START, 'held');
    await log.append([creation(conv(2))]);
    now = START + 5;
    t.equal(ok(await appendOne(log, message(conv(1)))).at, START + 5, 'goes on');
    const changes = await readAll(log);
    checkNumbers(t, changes);
    t.equal(changes[2]?.at, START - 3_600_000, 'another conversation has its own time');
  });

  t.test(
    'law 12: answers are in the order of the items, the changes of an item consecutive, at one time',
    async (t) => {
      const { log } = await open(t);
      const drafts = (['member', 'message', 'member'] as const).map((type) => ({
        type,
        body: bodyText({ user: BOB }),
      }));
      const answers = await log.append([
        creation(conv(1)),
        message(conv(1)),
        item(conv(1), 'member', { drafts }),
        message(conv(1), { guard: 1 }),
        message(conv(1), { guard: 5 }),
      ]);
      t.match(answers, [
        { is: 'ok', seq: 1, n: 0 },
        { is: 'ok', seq: 2, n: 1 },
        { is: 'ok', seq: 3, n: 0 },
        { is: 'moved', guard: 5 },
        { is: 'ok', seq: 6, n: 3 },
      ]);
      const made = (await readAll(log)).slice(2, 5);
      t.same(
        made.map(({ seq, n }) => [seq, n]),
        [
          [3, 0],
          [4, 2],
          [5, 0],
        ],
      );
      t.equal(new Set(made.map(({ at }) => at)).size, 1);
      t.same(await log.append([]), [], 'nothing to append is nothing');
    },
  );

  t.test('law 12: appends of one caller without waiting are numbered in the order given', async (t) => {
    const { log } = await open(t);
    await log.append([creation(conv(1))]);
    const answers = await Promise.all(Array.from({ length: 300 }, () => appendOne(log, message(conv(1)))));
    t.same(
      answers.map((answer) => ok(answer).seq),
      Array.from({ length: 300 }, (_, index) => index + 2),
    );
  });

  t.test('law 8: many writers at once leave no hole and no repeat', async (t) => {
    const { log } = await open(t);
    const convs = Array.from({ length: 7 }, (_, index) => conv(index));
    await log.append(convs.map((name) => creation(name)));
    const writers = Array.from({ length: 20 }, async (_, writer) => {
      const made: { conv: ConvId; key: Key; seq: number }[] = [];
      for (let turn = 0; turn < 15; turn++) {
        const where = conv((writer + turn) % 7);
        const id = key(`w${writer}t${turn}`);
        made.push({ conv: where, key: id, seq: ok(await appendOne(log, message(where, { key: id }))).seq });
      }
      return made;
    });
    const made = (await Promise.all(writers)).flat();
    const changes = await readAll(log);
    checkNumbers(t, changes);
    t.equal(changes.length, 7 + 20 * 15);
    const byKey = new Map(changes.map((change) => [change.key, change]));
    t.ok(
      made.every((one) => byKey.get(one.key)?.seq === one.seq && byKey.get(one.key)?.conv === one.conv),
      'every writer was told the number that readers see',
    );
  });
}

function keys(t: Test, open: OpenLog): void {
  t.test('law 2: a repeated key is one write, and gets the first answer again', async (t) => {
    const { log } = await open(t);
    await log.append([creation(conv(1), { key: key('made') }), creation(conv(2))]);
    const first = ok(await appendOne(log, message(conv(1), { key: key(1) })));
    t.equal(first.dup, false);
    await log.append([message(conv(1)), message(conv(1))]);
    const again = { ...first, is: 'ok', dup: true };
    t.same(await appendOne(log, message(conv(1), { key: key(1), fields: { text: 'something else' } })), again);
    t.match(await appendOne(log, creation(conv(1), { key: key('made') })), { is: 'ok', dup: true, seq: 1, n: 0 });
    t.equal((await readAll(log)).length, 5, 'nothing more was written');
  });

  t.test('law 2: a key belongs to its user and conversation', async (t) => {
    const { log } = await open(t);
    await log.append([creation(conv(1)), creation(conv(2))]);
    const answers = await log.append([
      message(conv(1), { key: key(1) }),
      message(conv(1), { key: key(1), from: BOB }),
      message(conv(2), { key: key(1) }),
    ]);
    t.match(answers, [
      { dup: false, seq: 2 },
      { dup: false, seq: 3 },
      { dup: false, seq: 2 },
    ]);
  });

  for (const [way, send] of [
    ['in one batch', (log: Log, append: Append) => log.append(Array.from({ length: 5 }, () => append))],
    ['in parallel', (log: Log, append: Append) => Promise.all(Array.from({ length: 5 }, () => appendOne(log, append)))],
    ['over several turns', sendOverTurns],
  ] as const) {
    t.test(`law 2: the same key five times ${way} is one write with one answer`, async (t) => {
      const { log } = await open(t);
      await log.append([creation(conv(1))]);
      const answers = (await send(log, message(conv(1), { key: key(1) }))).map(ok);
      t.equal(answers.filter(({ dup }) => !dup).length, 1);
      t.equal(new Set(answers.map(({ seq, n, at }) => `${seq} ${n} ${at}`)).size, 1);
      t.equal((await readAll(log)).length, 2);
    });
  }

  t.test('law 2: of two creations at once one wins, and the other hears of it', async (t) => {
    const { log } = await open(t);
    const [mine, yours, repeat] = await Promise.all([
      appendOne(log, creation(conv(1), { key: key(1) })),
      appendOne(log, creation(conv(1), { key: key(2), from: BOB })),
      appendOne(log, creation(conv(1), { key: key(1) })),
    ]);
    t.match(mine, { is: 'ok', dup: false, seq: 1 });
    t.same(yours, { is: 'moved', guard: 1 });
    t.match(repeat, { is: 'ok', dup: true, seq: 1 });
  });

  t.test('law 2: the key is looked up before the guard', async (t) => {
    const { log } = await open(t);
    await log.append([creation(conv(1))]);
    const first = ok(await appendOne(log, message(conv(1), { key: key(1) })));
    await log.append([item(conv(1), 'member')]);
    t.match(await appendOne(log, message(conv(1), { key: key(1) })), { is: 'ok', dup: true, seq: first.seq });
    t.same(await appendOne(log, message(conv(1), { key: key(2) })), { is: 'moved', guard: 3 });
    t.equal(await log.recall(conv(1), ANN, key(2)), null, 'what was refused keeps no key');
    t.match(await appendOne(log, message(conv(1), { key: key(2), guard: 3 })), { is: 'ok', dup: false, seq: 4 });
  });

  t.test('law 2: recall tells what a key stands for, once its append has resolved', async (t) => {
    const { log } = await open(t);
    t.equal(await log.recall(conv(1), ANN, key(1)), null, 'not of a conversation that does not exist');
    await log.append([creation(conv(1))]);
    const { seq, n, at } = ok(await appendOne(log, message(conv(1), { key: key(1) })));
    t.same(await log.recall(conv(1), ANN, key(1)), { seq, n, at });
    t.equal(await log.recall(conv(1), BOB, key(1)), null);
    t.equal(await log.recall(conv(2), ANN, key(1)), null);
  });

  t.test('law 2: a trimmed key is known while later changes of its conversation are not trimmed', async (t) => {
    const { log, store } = await open(t);
    await log.append([creation(conv(1)), message(conv(1), { key: key(1) }), message(conv(1), { key: key(2) })]);
    await store(await readAll(log));
    await log.trim([2]);
    t.match(await log.append([message(conv(1), { key: key(1) }), message(conv(1), { key: key(2) })]), [
      { is: 'ok', dup: true, seq: 2, n: 1 },
      { is: 'ok', dup: true, seq: 3, n: 2 },
    ]);
  });

  t.test('law 2: keys and numbers outlive trimming and reopening', async (t) => {
    const { log, reopen, store } = await open(t);
    await log.append([creation(conv(1)), creation(conv(2))]);
    const first = ok(await appendOne(log, message(conv(1), { key: key(1) })));
    const kept = ok(await appendOne(log, message(conv(2), { key: key(2) })));
    await store(await readAll(log));
    await log.trim([3]);
    const expected = { ...first, is: 'ok', dup: true };
    t.same(await appendOne(log, message(conv(1), { key: key(1) })), expected, 'after the trim');
    const second = await reopen();
    t.same(await appendOne(second, message(conv(1), { key: key(1), guard: 9 })), expected, 'and after reopening');
    t.same(await second.recall(conv(1), ANN, key(1)), { seq: first.seq, n: first.n, at: first.at });
    t.same(await appendOne(second, message(conv(2), { key: key(2) })), { ...kept, is: 'ok', dup: true });
    t.match(await appendOne(second, message(conv(1))), { is: 'ok', seq: 3, n: 2 }, 'cold, and numbered on');
    t.match(await appendOne(second, message(conv(2))), { is: 'ok', seq: 3, n: 2 }, 'warm, and numbered on');
    t.same(await appendOne(second, creation(conv(1))), { is: 'moved', guard: 1 }, 'it still exists');
  });
}

async function sendOverTurns(log: Log, append: Append): Promise<Appended[]> {
  const sent: Promise<Appended>[] = [];
  for (let turn = 0; turn < 5; turn++) {
    sent.push(appendOne(log, append));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return Promise.all(sent);
}

function durability(t: Test, open: OpenLog): void {
  t.test('law 3: what was acknowledged is there after reopening, byte for byte, and numbering goes on', async (t) => {
    const { log, reopen } = await open(t);
    const texts = [
      '',
      'zwölf Boxkämpfer',
      '😀 "quoted" \\ \n\t',
      '\u202E\uFEFF\u2028',
      'lone \uD800 surrogate',
      'x'.repeat(4_000),
    ];
    await log.append([creation(conv(1), { key: key('made') })]);
    await log.append(texts.map((text, index) => message(conv(1), { key: key(index), fields: { text, reply: 1 } })));
    const before = await readAll(log);
    const second = await reopen();
    t.same(await readAll(second), before);
    t.same(
      before.slice(1).map(({ wire }) => (JSON.parse(wire) as { text: string }).text),
      texts,
    );
    t.match(await appendOne(second, message(conv(1))), { seq: texts.length + 2, n: texts.length + 1 });
    t.same(second.state().head, [before.length + 1]);
  });

  t.test('law 6: the epoch is the same after reopening', async (t) => {
    const { log, reopen } = await open(t);
    await log.append([creation(conv(1))]);
    const { epoch } = log.state();
    const second = await reopen();
    t.equal(second.state().epoch, epoch);
    t.equal(second.sameEpoch(conv(1), epoch), true);
    t.equal(second.sameEpoch(conv(1), `${epoch}x`), false);
    t.match(epoch, /^[A-Za-z0-9_-]{8,40}$/);
  });

  t.test('close finishes what was accepted; later calls are refused, tails end', async (t) => {
    const { log, reopen } = await open(t);
    const tail = log.tail([0]);
    await log.append([creation(conv(1))]);
    await tail.next();
    const waiting = tail.next();
    const accepted = [appendOne(log, message(conv(1))), appendOne(log, message(conv(1)))];
    const closing = log.close();
    await t.rejects(appendOne(log, message(conv(1))), { code: 'unavailable' });
    await t.rejects(log.readIndex(), { code: 'unavailable' });
    t.match(await Promise.all(accepted), [{ seq: 2 }, { seq: 3 }]);
    await closing;
    await log.close();
    await t.rejects(log.recall(conv(1), ANN, key(1)), { code: 'unavailable' });
    const last = await waiting;
    t.ok(last.done || last.value.length > 0, 'a waiting next gets changes or the end');
    t.equal((await tail.next()).done, true);
    t.equal((await log.tail([0]).next()).done, true);
    t.equal((await readAll(await reopen())).length, 3);
  });
}

function tails(t: Test, open: OpenLog): void {
  t.test('law 4: a tail started anywhere while others write misses nothing and repeats nothing', async (t) => {
    const { log } = await open(t);
    await log.append([creation(conv(1))]);
    const random = randomOf(4);
    const readers: Promise<{ from: number; offsets: number[] }>[] = [];
    const total = 900;
    let appended = 1;
    while (appended < total) {
      const [last = 0] = await log.readIndex();
      const from = random(last + 1);
      readers.push(
        readUpTo(log, [from], [total]).then((changes) => ({ from, offsets: changes.map((one) => one.offset) })),
      );
      const size = Math.min(1 + random(60), total - appended);
      const batch = Array.from({ length: size }, () => message(conv(1)));
      appended += size;
      if (random(3) === 0) void log.append(batch);
      else await log.append(batch);
    }
    for (const { from, offsets } of await Promise.all(readers)) {
      t.same(
        offsets,
        Array.from({ length: total - from }, (_, index) => from + index + 1),
        `from ${from}`,
      );
    }
  });

  t.test('law 4: several next at once are answered in turn', async (t) => {
    const { log } = await open(t);
    const tail = log.tail([0]);
    const first = tail.next();
    const second = tail.next();
    await log.append([creation(conv(1))]);
    t.same(
      (await first).value?.map(({ offset }: Change) => offset),
      [1],
    );
    await log.append([message(conv(1))]);
    t.same(
      (await second).value?.map(({ offset }: Change) => offset),
      [2],
    );
    await tail.return();
  });

  t.test('law 4: return ends a waiting next, and the tail', async (t) => {
    const { log } = await open(t);
    const tail = log.tail([0]);
    const waiting = tail.next();
    t.equal((await tail.return()).done, true);
    t.equal((await waiting).done, true);
    await log.append([creation(conv(1))]);
    t.equal((await tail.next()).done, true);
    for await (const changes of log.tail([0])) {
      t.equal(changes.length, 1, 'for await leaves it by return');
      break;
    }
  });

  t.test('law 4: a position above the head is of another log: it is lost, also when the head gets there', async (t) => {
    const { log } = await open(t);
    await log.append([creation(conv(1))]);
    const tail = log.tail([2]);
    await log.append([message(conv(1)), message(conv(1))]);
    await t.rejects(tail.next(), PositionLost);
  });

  t.test('law 4: a change is the same to a tail that waited and to one that came later', async (t) => {
    const { log } = await open(t);
    const early = log.tail([0]);
    const waiting = early.next();
    const body = bodyText({ text: 'hi', mentions: ['all'] });
    await log.append([creation(conv(1)), message(conv(1), { key: key(1), drafts: [{ type: 'message', body }] })]);
    const { value } = await waiting;
    t.same(value, await readAll(log));
    const at = (value as Change[])[1]?.at ?? 0;
    const wire = wireText('message', conv(1), 2, 1, ANN, at, key(1), body);
    t.same((value as Change[])[1], {
      ...{ part: 0, offset: 2, conv: conv(1), seq: 2, n: 1, type: 'message', from: ANN, at, key: key(1), wire },
    });
    await early.return();
  });

  t.test('law 5: what a tail shows is covered by readIndex and known by its key', async (t) => {
    const { log } = await open(t);
    const tail = log.tail([0]);
    const writing = log
      .append([creation(conv(1))])
      .then(() =>
        Promise.all(Array.from({ length: 50 }, (_, index) => appendOne(log, message(conv(1), { key: key(index) })))),
      );
    let seen = 0;
    while (seen < 51) {
      const { value } = await tail.next();
      for (const change of value as Change[]) {
        seen = change.offset;
        t.ok(((await log.readIndex())[0] ?? 0) >= change.offset);
        if (change.key !== null) t.match(await log.recall(change.conv, change.from, change.key), { seq: change.seq });
      }
    }
    await writing;
    await tail.return();
  });

  t.test('law 9: tails that stand still cost no more than one, and then get everything', async (t) => {
    const { log } = await open(t);
    await log.append([creation(conv(1))]);
    const stalled = Array.from({ length: 200 }, () => log.tail([0]));
    for (const tail of stalled) await tail.next();
    const text = 'x'.repeat(2_000);
    const before = heapBytes();
    for (let batch = 0; batch < 40; batch++) {
      await log.append(Array.from({ length: 100 }, () => message(conv(1), { fields: { text } })));
    }
    const grown = heapBytes() - before;
    t.ok(grown < 40_000_000, `8 MB of changes, 200 tails: ${Math.round(grown / 1e6)} MB more in memory`);
    for (const tail of stalled.slice(0, 3)) {
      let next = 2;
      let largest = 0;
      while (next <= 4_001) {
        const { value } = await tail.next();
        t.equal((value as Change[])[0]?.offset, next);
        largest = Math.max(largest, (value as Change[]).length);
        next += (value as Change[]).length;
      }
      t.ok(largest < 4_000, 'a batch is bounded');
    }
    await Promise.all(stalled.map((tail) => tail.return()));
  });

  t.test('law 10: readIndex covers every append that has resolved', async (t) => {
    const { log } = await open(t);
    t.same(await log.readIndex(), [0]);
    await log.append([creation(conv(1)), message(conv(1))]);
    t.same(await log.readIndex(), [2]);
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { seq } = ok(await appendOne(log, message(conv(1))));
        t.ok(((await log.readIndex())[0] ?? 0) >= seq, 'with one conversation, seq is the offset');
      }),
    );
    t.same(log.state().head, [22]);
  });
}

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function trims(t: Test, open: OpenLog): void {
  t.test('law 7: a tail from below the trim point is lost, from the trim point on it is not', async (t) => {
    const { log, reopen, store } = await open(t);
    await log.append([creation(conv(1)), ...Array.from({ length: 9 }, () => message(conv(1)))]);
    await store(await readAll(log));
    const running = log.tail([2]);
    await log.trim([4]);
    const check = async (one: Log) => {
      t.same(one.state().trimmed, [4]);
      await t.rejects(one.tail([3]).next(), PositionLost);
      await t.rejects(one.tail([0]).next(), PositionLost);
      const offsets = (await readUpTo(one, [4], [10])).map(({ offset }) => offset);
      t.same(offsets, [5, 6, 7, 8, 9, 10]);
    };
    await check(log);
    await t.rejects(running.next(), PositionLost, 'a tail that has not read what is trimmed');
    await check(await reopen());
  });

  t.test('law 7: trim is never beyond the head, and never goes back', async (t) => {
    const { log, store } = await open(t);
    await log.append([creation(conv(1)), message(conv(1))]);
    await store(await readAll(log));
    await log.trim([99]);
    t.same(log.state().trimmed, [2]);
    await log.trim([1]);
    await log.trim([]);
    t.same(log.state(), { ...log.state(), head: [2], trimmed: [2] });
    const tail = log.tail([2]);
    t.match(await appendOne(log, message(conv(1))), { seq: 3, n: 2 });
    t.same(
      (await tail.next()).value?.map(({ offset }: Change) => offset),
      [3],
    );
    await tail.return();
  });

  t.test('law 7: trimming while others write and read disturbs neither, and repeats are still known', async (t) => {
    const { log, store } = await open(t);
    const total = 2_000;
    const tail = log.tail([0]);
    await log.append([creation(conv(1))]);
    const writing = (async () => {
      for (let next = 2; next <= total; next += 13) {
        const size = Math.min(13, total - next + 1);
        await log.append(Array.from({ length: size }, (_, index) => message(conv(1), { key: key(next + index) })));
      }
    })();
    const seen: Change[] = [];
    while (seen.length < total) {
      const { value } = await tail.next();
      await store(value as Change[]);
      seen.push(...(value as Change[]));
      await Promise.all([log.trim([seen.length - 5]), log.trim([seen.length])]);
    }
    await writing;
    checkNumbers(t, seen);
    t.same(log.state().trimmed, [total]);
    const repeats = await log.append(
      Array.from({ length: 50 }, (_, index) => message(conv(1), { key: key(index + 2) })),
    );
    t.ok(repeats.map(ok).every(({ dup, seq }, index) => dup && seq === index + 2));
    await tail.return();
  });
}

function guards(t: Test, open: OpenLog): void {
  t.test('law 11: a guard that has moved writes nothing and is told the current one', async (t) => {
    const { log } = await open(t);
    t.same(await appendOne(log, message(conv(1))), { is: 'moved', guard: 0 }, 'it does not exist');
    t.same(await appendOne(log, message(conv(1), { guard: 7 })), { is: 'moved', guard: 0 });
    await log.append([creation(conv(1)), message(conv(1)), item(conv(1), 'member'), message(conv(1), { guard: 3 })]);
    t.same(await appendOne(log, message(conv(1), { guard: 1 })), { is: 'moved', guard: 3 });
    t.same(await appendOne(log, message(conv(1), { guard: 4 })), { is: 'moved', guard: 3 }, 'a message moves nothing');
    t.same(await appendOne(log, creation(conv(1))), { is: 'moved', guard: 3 }, 'it exists');
    t.match(await appendOne(log, item(conv(1), 'conv', { guard: 3 })), { is: 'ok', seq: 5 });
    t.same(await appendOne(log, message(conv(1), { guard: 3 })), { is: 'moved', guard: 5 });
    t.equal((await readAll(log)).length, 5);
  });

  t.test('law 11: of two membership changes on one guard only the first is written', async (t) => {
    const { log } = await open(t);
    await log.append([creation(conv(1))]);
    const [one, other] = await Promise.all([
      appendOne(log, item(conv(1), 'member')),
      appendOne(log, item(conv(1), 'member', { from: BOB })),
    ]);
    t.match(one, { is: 'ok', seq: 2 });
    t.same(other, { is: 'moved', guard: 2 });
  });

  t.test('law 11: of several drafts the last change of membership or settings is the guard', async (t) => {
    const { log, reopen } = await open(t);
    const drafts = (['conv', 'member', 'member', 'message'] as const).map((type) => ({
      type,
      body: bodyText({ user: BOB }),
    }));
    t.match(await appendOne(log, creation(conv(1), { drafts })), { is: 'ok', seq: 1 });
    t.same(await appendOne(log, message(conv(1), { guard: 4 })), { is: 'moved', guard: 3 });
    const second = await reopen();
    t.same(await appendOne(second, message(conv(1), { guard: 1 })), { is: 'moved', guard: 3 });
    t.match(await appendOne(second, message(conv(1), { guard: 3 })), { is: 'ok', seq: 5, n: 2 });
  });
}

function limits(t: Test, open: OpenLog): void {
  t.test('a log over its budget refuses appends until it is trimmed', async (t) => {
    const { log, store } = await open(t, { budgetBytes: 20_000 });
    await log.append([creation(conv(1))]);
    let refusal: unknown;
    let accepted = 1;
    while (refusal === undefined && accepted < 1_000) {
      try {
        await log.append([message(conv(1))]);
        accepted++;
      } catch (error) {
        refusal = error;
      }
    }
    t.match(refusal, { code: 'overloaded' });
    t.ok(refusal instanceof ChatError && (refusal.afterMs ?? 0) > 0, 'with a time to come back');
    t.ok(accepted > 10 && accepted < 1_000);
    const changes = await readAll(log);
    t.equal(changes.length, accepted, 'nothing of it was written');
    await store(changes);
    await log.trim([accepted]);
    t.match(await appendOne(log, message(conv(1))), { is: 'ok', seq: accepted + 1 });
  });
}

/** Steps of a random run, by small numbers that the run makes items of. */
const aStep = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      is: fc.constant('append' as const),
      items: fc.array(
        fc.record({
          conv: fc.nat(2),
          from: fc.constantFrom(ANN, BOB),
          key: fc.option(fc.nat(5)),
          guard: fc.constantFrom('right', 'right', 'right', 'wrong', 'none'),
          types: fc.array(fc.constantFrom<ChangeType>('message', 'message', 'edit', 'member', 'conv'), {
            minLength: 1,
            maxLength: 3,
          }),
          text: fc.string({ unit: 'binary', maxLength: 12 }),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      /** Sent as one append, or as one an item without waiting. */
      apart: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('trim' as const), percent: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.constant({ is: 'reopen' as const }) },
);
type Step = typeof aStep extends fc.Arbitrary<infer Value> ? Value : never;
type Planned = Extract<Step, { is: 'append' }>['items'][number];

function itemOf(planned: Planned, model: LogModel): Append {
  const where = conv(planned.conv);
  const current = model.guardOf(where);
  const guard = { right: current, wrong: current + 1, none: 0 }[planned.guard] ?? 0;
  // What does not exist begins with its creation.
  const types: readonly ChangeType[] = guard === 0 ? ['conv', ...planned.types] : planned.types;
  const drafts = types.map((type) => ({ type, body: bodyText({ text: planned.text }) }));
  const id = planned.key === null ? null : key(planned.key);
  return { conv: where, from: planned.from, key: id, guard, drafts: id === null ? drafts : drafts.slice(0, 1) };
}

function randomRuns(t: Test, open: OpenLog): void {
  t.test('laws 1-4, 7, 11, 12: random runs with trims and reopenings agree with the model', async (t) => {
    const run = async (steps: readonly Step[]) => {
      let now = START;
      const { log: first, reopen, store } = await open(t, { now: () => now++ });
      const model = new LogModel();
      let log = first;
      let stored = 0;
      for (const step of steps) {
        if (step.is === 'reopen') log = await reopen();
        else if (step.is === 'trim') {
          const upTo = Math.floor((model.changes.length * step.percent) / 100);
          await store(model.changes.slice(stored, upTo));
          stored = Math.max(stored, upTo);
          await log.trim([upTo]);
          model.trim(upTo);
        } else {
          // Guards by what the model knew before the batch: within it they may move, as they do for real callers.
          const items = step.items.map((planned) => itemOf(planned, model));
          const answers = step.apart
            ? await Promise.all(items.map((one) => appendOne(log, one)))
            : await log.append(items);
          model.check(items, answers, await readUpTo(log, [model.changes.length], await log.readIndex()));
        }
        model.checkState(log.state());
        model.checkRest(await readAll(log));
      }
      await log.close();
    };
    await fc.assert(fc.asyncProperty(fc.array(aStep, { minLength: 1, maxLength: 25 }), run), { numRuns: 12 });
    t.pass('12 runs');
  });
}
