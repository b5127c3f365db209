// What only the log on Redis promises: what becomes of it when its Redis is killed, emptied, put back or stopped; many nodes
// on one log; several parts; and keys of any age.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { partOf } from '../../src/adapters/redis/log-keys.ts';
import { ChatError, StartError } from '../../src/errors.ts';
import { type Append, type Change, type Log, PositionLost } from '../../src/ports/log.ts';
import type { ConvId, Key } from '../../src/protocol/ids.ts';
import { eventually } from '../kit/waiting.ts';
import { appendOne, conv, creation, message, read } from './log-items.ts';
import { type RedisUnderTest, redisUnderTest } from './log-redis.ts';

const PARTS = 4;
const MINUTE_MS = 60_000;
const START = 1_794_000_000_000;

/** A UUIDv7 of a moment. */
function keyAt(ms: number): Key {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}` as Key;
}

function convsOfPart(part: number, count: number): ConvId[] {
  const convs = Array.from({ length: 500 }, (_, index) => conv(index));
  return convs.filter((id) => partOf(id, PARTS) === part).slice(0, count);
}

/** Repeats what was not accepted, as clients do. */
function insist(log: Log, append: Append) {
  return eventually(() => appendOne(log, append));
}

function seqsOf(changes: readonly Change[], id: ConvId): number[] {
  return changes.filter((change) => change.conv === id).map(({ seq }) => seq);
}

async function withRedis(under: RedisUnderTest, act: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis(under.redis.url);
  await act(redis);
  redis.disconnect();
}

t.test('law 1: each part is dense by itself, and one tail reads them all', async (t) => {
  const under = await redisUnderTest(t);
  const log = await under.open({ parts: PARTS });
  const convs = Array.from({ length: 20 }, (_, index) => conv(index));
  await log.append(convs.map((id) => creation(id)));
  await log.append(convs.flatMap((id) => [message(id), message(id)]));
  const changes = await read(log, 60);
  for (const id of convs) t.same(seqsOf(changes, id), [1, 2, 3]);
  for (let part = 0; part < PARTS; part++) {
    const offsets = changes.filter((change) => change.part === part).map(({ offset }) => offset);
    t.same(
      offsets,
      Array.from(offsets, (_, index) => index + 1),
      `part ${part}`,
    );
  }
  const some = log.tail([], [1]);
  const { value } = await some.next();
  t.ok(
    (value as Change[]).every(({ part }) => part === 1),
    'or one of them alone',
  );
  await some.return();
});

t.test(
  'a tail that is far behind gets a batch a page, also where each entry of the log holds one change',
  async (t) => {
    const under = await redisUnderTest(t);
    const writer = await under.open({ parts: 1 });
    await appendOne(writer, creation(conv(1)));
    // One after the other: each is a call of the script, and an entry, of its own.
    for (let count = 1; count < 600; count++) await appendOne(writer, message(conv(1)));
    const late = await under.open({ parts: 1 });
    const tail = late.tail([0]);
    const { value } = await tail.next();
    const page: readonly Change[] = value ?? [];
    t.ok(page.length >= 512, `${page.length} changes`);
    t.same(
      page.map(({ seq }) => seq),
      Array.from(page, (_, index) => index + 1),
    );
    await tail.return();
  },
);

t.test('the number of parts is fixed at the first start', async (t) => {
  const under = await redisUnderTest(t);
  await under.open({ parts: PARTS });
  await t.rejects(under.open({ parts: PARTS + 1 }), StartError);
});

t.test('laws 1, 2, 8: three nodes that write the same things at once make each of them once', async (t) => {
  const under = await redisUnderTest(t);
  const nodes = await Promise.all([1, 2, 3].map(() => under.open({ parts: PARTS })));
  const [first] = nodes as readonly Log[] as readonly [Log, Log, Log];
  await appendOne(first, creation(conv(1)));
  const keys = Array.from({ length: 200 }, () => keyAt(Date.now()));
  const answers = await Promise.all(
    nodes.map((log) => Promise.all(keys.map((key) => appendOne(log, message(conv(1), { key }))))),
  );
  const [one, two, three] = answers.map((list) => list.map((answer) => (answer.is === 'ok' ? answer.seq : null)));
  t.same(two, one);
  t.same(three, one);
  t.equal(
    answers.flat().filter((answer) => answer.is === 'ok' && !answer.dup).length,
    keys.length,
    'one of them is the first',
  );
  for (const log of nodes)
    t.same(
      seqsOf(await read(log, 201), conv(1)),
      Array.from({ length: 201 }, (_, i) => i + 1),
    );
});

t.test('law 10: what one node has acknowledged another one covers', async (t) => {
  const under = await redisUnderTest(t);
  const [writer, reader] = await Promise.all([under.open({ parts: PARTS }), under.open({ parts: PARTS })]);
  await appendOne(writer, creation(conv(1)));
  const part = partOf(conv(1), PARTS);
  for (let count = 2; count < 200; count++) {
    await appendOne(writer, message(conv(1)));
    t.equal((await reader.readIndex())[part], count);
  }
});

t.test('law 2: keys of any age', async (t) => {
  let now = START;
  const settings = { now: () => now };
  const cases: readonly (readonly [what: string, keyMs: number])[] = [
    ['made now', 0],
    ['made a minute ago', -MINUTE_MS],
    ['made an hour ago', -60 * MINUTE_MS],
    ['of a clock a minute ahead', MINUTE_MS],
    ['of a clock an hour ahead', 60 * MINUTE_MS],
    ['of a clock a year ahead', 525_600 * MINUTE_MS],
  ];
  for (const [what, age] of cases) {
    t.test(`law 2: a key ${what} is one write, repeated at once, later, and after it is stored`, async (t) => {
      now = START;
      const under = await redisUnderTest(t);
      const [log, other] = [await under.open(settings), await under.open(settings)];
      await appendOne(log, creation(conv(1)));
      const append = message(conv(1), { key: keyAt(START + age) });
      const first = await appendOne(log, append);
      t.match(first, { is: 'ok', dup: false, seq: 2 });
      const again = { ...first, dup: true };
      for (const laterMs of [0, 1_000, MINUTE_MS, 3 * MINUTE_MS, 59 * MINUTE_MS, 60 * MINUTE_MS, 61 * MINUTE_MS]) {
        now = START + laterMs;
        t.same(await appendOne(other, append), again, `${laterMs} ms later`);
      }
      await under.apply(log, await read(log, 2));
      await log.trim([2]);
      now += MINUTE_MS;
      t.same(await appendOne(log, append), again, 'trimmed');
      t.same(await log.recall(conv(1), append.from, append.key as Key), { seq: 2, n: 1, at: START }, 'recalled');
    });
  }

  t.test('law 2: of five nodes that send an old key at once one writes', async (t) => {
    const under = await redisUnderTest(t);
    const nodes = await Promise.all([1, 2, 3, 4, 5].map(() => under.open()));
    await appendOne(nodes[0] as Log, creation(conv(1)));
    const append = message(conv(1), { key: keyAt(Date.now() - 60 * MINUTE_MS) });
    const answers = await Promise.all(nodes.map((log) => appendOne(log, append)));
    t.same(new Set(answers.map((answer) => answer.is === 'ok' && answer.seq)), new Set([2]));
    t.equal(answers.filter((answer) => answer.is === 'ok' && !answer.dup).length, 1);
  });
});

t.test('law 12: what waits for a look keeps its place before what comes after it', async (t) => {
  const under = await redisUnderTest(t);
  const log = await under.open();
  await appendOne(log, creation(conv(1)));
  const old = Date.now() - 60 * MINUTE_MS;
  const keys = Array.from({ length: 40 }, (_, index) => keyAt(index % 3 === 0 ? old : Date.now()));
  const answers = await Promise.all(keys.map((key) => appendOne(log, message(conv(1), { key }))));
  t.same(
    answers.map((answer) => answer.is === 'ok' && answer.seq),
    keys.map((_, index) => index + 2),
  );
});

t.test(
  'law 3: Redis is killed while four nodes write: what was acknowledged is there, under the same epoch',
  async (t) => {
    const under = await redisUnderTest(t);
    const nodes = await Promise.all([1, 2, 3, 4].map(() => under.open({ parts: PARTS })));
    const convs = nodes.map((_, index) => conv(index));
    for (const [index, log] of nodes.entries()) await appendOne(log, creation(convs[index] as ConvId));
    const { epoch } = (nodes[0] as Log).state();
    let isOver = false;
    const written = nodes.map(async (log, index) => {
      const acknowledged: Key[] = [];
      while (!isOver) {
        const key = keyAt(Date.now());
        const answer = await insist(log, message(convs[index] as ConvId, { key }));
        if (answer.is === 'ok') acknowledged.push(key);
      }
      return acknowledged;
    });
    for (let kill = 0; kill < 3; kill++) {
      await eventually(async () => (await (nodes[0] as Log).readIndex()).some((head) => head > 50 * (kill + 1)));
      await under.redis.kill('SIGKILL');
      await t.rejects(appendOne(nodes[0] as Log, message(conv(0))), ChatError, 'meanwhile it is unavailable');
      await under.redis.start();
      await insist(nodes[0] as Log, message(conv(0), { key: keyAt(Date.now()) }));
    }
    isOver = true;
    const acknowledged = await Promise.all(written);
    const index = await (nodes[3] as Log).readIndex();
    const changes = await read(
      nodes[3] as Log,
      index.reduce((sum, head) => sum + head, 0),
    );
    for (const [place, id] of convs.entries()) {
      const seqs = seqsOf(changes, id);
      t.same(
        seqs,
        Array.from(seqs, (_, i) => i + 1),
        'dense',
      );
      const keys = new Set(changes.filter((change) => change.conv === id).map(({ key }) => key));
      t.ok(
        (acknowledged[place] as Key[]).every((key) => keys.has(key)),
        'nothing acknowledged is missing',
      );
    }
    for (const log of nodes) t.equal(log.state().epoch, epoch);
  },
);

async function lost(tail: AsyncIterable<readonly Change[]>): Promise<unknown> {
  try {
    for await (const _ of tail);
  } catch (error) {
    return error;
  }
  return undefined;
}

t.test('law 6: Redis comes back empty: a new epoch goes on after what the store holds', async (t) => {
  const under = await redisUnderTest(t);
  const [log, other] = [await under.open(), await under.open()];
  await appendOne(log, creation(conv(1)));
  await log.append([message(conv(1)), message(conv(1)), message(conv(1))]);
  const stored = (await read(log, 4)).slice(0, 3);
  await under.apply(log, stored);
  const { epoch } = log.state();
  const tails = [log, other].map((node) => lost(node.tail([4])));
  await withRedis(under, (redis) => redis.flushall());
  for (const error of await Promise.all(tails)) t.type(error, PositionLost);
  t.match(await insist(log, message(conv(1))), { is: 'ok', seq: 4 }, 'the fourth is lost, the third is not');
  t.not(log.state().epoch, epoch);
  t.equal(other.state().epoch, log.state().epoch);
  t.notOk(log.sameEpoch(conv(1), epoch));
  t.ok(log.sameEpoch(conv(1), log.state().epoch));
  await t.rejects(
    under.store.messages.apply(stored, [9], [1]),
    { name: 'EpochError' },
    'nothing of before is stored any more',
  );
});

t.test('law 6: Redis comes back short of what a node has seen: a new epoch for that part alone', async (t) => {
  const under = await redisUnderTest(t);
  const [writer, reader] = [await under.open({ parts: PARTS }), await under.open({ parts: PARTS })];
  const [short, whole] = [convsOfPart(1, 1)[0] as ConvId, convsOfPart(2, 1)[0] as ConvId];
  await writer.append([creation(short), creation(whole), message(short), message(whole)]);
  await under.snapshot();
  await appendOne(writer, message(short));
  await read(reader, 5);
  const { epoch } = writer.state();
  await writer.close();
  // The older file, as a backup put back would be.
  await under.redis.kill('SIGKILL');
  await under.restoreSnapshot();
  await under.redis.start();
  t.match(await insist(reader, message(short)), { is: 'ok', seq: 3 });
  t.notOk(reader.sameEpoch(short, epoch));
  t.ok(reader.sameEpoch(whole, epoch));
  t.match(await insist(reader, message(whole)), { is: 'ok', seq: 3 });
});

t.test('the scripts are gone, nothing else: the epoch goes on', async (t) => {
  const under = await redisUnderTest(t);
  const log = await under.open();
  await appendOne(log, creation(conv(1)));
  const { epoch } = log.state();
  await withRedis(under, (redis) => redis.script('FLUSH'));
  t.match(await insist(log, message(conv(1))), { is: 'ok', seq: 2 });
  t.equal(log.state().epoch, epoch);
});

t.test('a stopped Redis is noticed in bounded time, and goes on where it stood', async (t) => {
  const under = await redisUnderTest(t);
  const log = await under.open();
  await appendOne(log, creation(conv(1)));
  under.redis.pause();
  await t.rejects(appendOne(log, message(conv(1))), { code: 'unavailable' });
  await t.rejects(log.readIndex(), { code: 'unavailable' });
  under.redis.resume();
  const key = keyAt(Date.now());
  await insist(log, message(conv(1), { key }));
  const index = await log.readIndex();
  const seqs = seqsOf(await read(log, index[0] as number), conv(1));
  t.same(
    seqs,
    Array.from(seqs, (_, i) => i + 1),
  );
});

t.test('law 7: the trim waits for every live node, and for no dead one', async (t: Test) => {
  const under = await redisUnderTest(t);
  const [log, other] = [await under.open(), await under.open()];
  await appendOne(log, creation(conv(1)));
  for (let count = 0; count < 20; count++) await appendOne(log, message(conv(1)));
  await under.apply(log, await read(log, 21));
  await eventually(async () => {
    await log.trim([21]);
    return log.state().trimmed[0] === 21;
  });
  await other.close();
  await withRedis(under, async (redis) => {
    const groups = (await redis.xinfo('GROUPS', 'chat:{0}:log')) as unknown[];
    t.equal(groups.length, 1, 'who leaves takes its group along');
  });
});
