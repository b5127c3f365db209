// The budget of the log on Redis, and what the persister does to get room again.
import { Redis } from 'ioredis';
import t from 'tap';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { partKeys, partOf } from '../../src/adapters/redis/log-keys.ts';
import { ChatError } from '../../src/errors.ts';
import { Persister } from '../../src/persist/index.ts';
import type { Log } from '../../src/ports/log.ts';
import { eventually } from '../kit/waiting.ts';
import { appendOne, conv, creation, message, readUpTo } from './log-items.ts';
import { type RedisUnderTest, redisUnderTest } from './log-redis.ts';

/** As app.ts makes it. */
function persister(under: RedisUnderTest, log: Log, budgetBytes: number): Persister {
  return new Persister({
    log,
    store: under.store.messages,
    clock: systemClock(),
    batch: 512,
    lingerMs: 50,
    trimEvery: { changes: 4_096, bytes: budgetBytes / 16 },
    parts: [0],
    onStored: () => undefined,
    onFault: () => undefined,
    onPoison: () => undefined,
  });
}

async function fill(log: Log, text: string): Promise<void> {
  await appendOne(log, creation(conv(1)));
  const one = message(conv(1), { fields: { text } });
  for (let count = 0; count < 500; count++) {
    try {
      await log.append(Array.from({ length: 10 }, () => one));
    } catch (error) {
      if (error instanceof ChatError && error.code === 'overloaded') return;
      throw error;
    }
  }
}

async function goesOn(log: Log): Promise<boolean> {
  return eventually(() => appendOne(log, message(conv(1)))).then(
    () => true,
    () => false,
  );
}

t.test(
  'a log filled faster than nodes tell how far they have read takes changes again once all is stored',
  async (t) => {
    const under = await redisUnderTest(t);
    const budgetBytes = 1_000_000;
    const [log] = [await under.open({ budgetBytes }), await under.open({ budgetBytes })];
    const carrier = persister(under, log, budgetBytes);
    const running = carrier.run();
    await fill(log, 'x'.repeat(1_000));
    await eventually(async () => (await under.store.messages.watermark())[0] === (await log.readIndex())[0]);
    t.ok(await goesOn(log), 'half a minute later');
    await carrier.stop();
    await running;
  },
);

t.test('a part full of long messages in many bytes a character takes changes again once all is stored', async (t) => {
  const under = await redisUnderTest(t);
  const [parts, budgetBytes] = [16, 16_000_000];
  const log = await under.open({ budgetBytes, parts });
  const part = partOf(conv(1), parts);
  const carrier = new Persister({
    log,
    store: under.store.messages,
    clock: systemClock(),
    batch: 512,
    lingerMs: 50,
    trimEvery: { changes: 4_096, bytes: budgetBytes / parts / 16 },
    parts: [part],
    onStored: () => undefined,
    onFault: () => undefined,
    onPoison: () => undefined,
  });
  const running = carrier.run();
  await fill(log, '漢'.repeat(2_000));
  await eventually(async () => (await under.store.messages.watermark())[part] === (await log.readIndex())[part]);
  t.ok(await goesOn(log), 'half a minute later');
  await carrier.stop();
  await running;
});

t.test('a node that trims nothing knows what others have trimmed', async (t) => {
  const under = await redisUnderTest(t);
  const [log, other] = [await under.open(), await under.open()];
  await appendOne(log, creation(conv(1)));
  const tail = log.tail([0]);
  const { value } = await tail.next();
  await tail.return();
  await under.apply(log, value);
  await eventually(async () => {
    await log.trim([1]);
    return log.state().trimmed[0] === 1;
  });
  t.ok(
    await eventually(() => other.state().trimmed[0] === 1).then(
      () => true,
      () => false,
    ),
    'and lets go of it',
  );
});

const START = 1_794_000_000_000;
const HOURS_MS = 2 * 3_600_000;

async function headsIn(under: RedisUnderTest): Promise<readonly string[]> {
  const redis = new Redis(under.redis.url);
  const heads = await redis.hkeys(partKeys(0).heads);
  redis.disconnect();
  return heads;
}

async function storeAll(under: RedisUnderTest, log: Log, from: number): Promise<void> {
  const [head = 0] = await log.readIndex();
  await under.apply(log, await readUpTo(log, [from], [head]));
  await eventually(async () => {
    await log.trim([head]);
    return log.state().trimmed[0] === head;
  });
}

t.test(
  'the head of a conversation that is silent for long, and stored, is let go of, and asked for again',
  async (t) => {
    const under = await redisUnderTest(t);
    let now = START;
    const log = await under.open({ now: () => now });
    await log.append([creation(conv(1)), message(conv(1)), creation(conv(2))]);
    await storeAll(under, log, 0);
    t.equal((await headsIn(under)).length, 2, 'not yet');
    now += HOURS_MS;
    await appendOne(log, message(conv(2)));
    await storeAll(under, log, 3);
    t.same(await headsIn(under), [conv(2)]);
    t.match(await appendOne(log, message(conv(1))), { is: 'ok', seq: 3, n: 2 });
    t.same(await appendOne(log, message(conv(1), { guard: 3 })), { is: 'moved', guard: 1 });
  },
);

t.test(
  'law 1: a head that was asked for before others moved it, and it was let go of again, is not used',
  async (t) => {
    const under = await redisUnderTest(t);
    let now = START;
    const other = await under.open({ now: () => now });
    await twoWithOneSilent(other);
    const { messages } = under.store;
    const answered = Promise.withResolvers<void>();
    const mayGoOn = Promise.withResolvers<void>();
    let looks = 0;
    const slow = await under.open({
      now: () => now,
      heads: async (convs) => {
        const heads = await messages.heads(convs);
        if (looks++ > 0) return heads;
        answered.resolve();
        await mayGoOn.promise;
        return heads;
      },
    });
    const late = appendOne(slow, message(conv(1)));
    await answered.promise;
    t.match(await appendOne(other, message(conv(1))), { is: 'ok', seq: 3 });
    now += HOURS_MS;
    await appendOne(other, message(conv(2)));
    await storeAll(under, other, 4);
    t.notOk((await headsIn(under)).includes(conv(1)), 'let go of');
    mayGoOn.resolve();
    t.match(await late, { is: 'ok', seq: 4 });
    t.equal(looks, 2);

    /** Two conversations; the head of the first has been let go of. */
    async function twoWithOneSilent(log: Log): Promise<void> {
      await log.append([creation(conv(1)), message(conv(1)), creation(conv(2))]);
      now += HOURS_MS;
      await appendOne(log, message(conv(2)));
      await storeAll(under, log, 0);
    }
  },
);
