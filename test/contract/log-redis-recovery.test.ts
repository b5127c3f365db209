// Recovery of the log on Redis when something goes wrong in the middle of it, or when it is the store that comes back older.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { openRedisLog } from '../../src/adapters/redis/log.ts';
import { ChatError } from '../../src/errors.ts';
import type { Log } from '../../src/ports/log.ts';
import { PositionLost } from '../../src/ports/log.ts';
import type { LogRecord } from '../../src/ports/log-record.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import { type OwnServer, redisServer } from '../kit/services.ts';
import { eventually, soon } from '../kit/waiting.ts';
import { appendOne, conv, creation, message, read } from './log-items.ts';
import { redisUnderTest } from './log-redis.ts';

const META = 'chat:{0}:meta';

interface Stored {
  readonly logRecord: LogRecord;
  readonly messages: MessageStore;
}

async function open(t: Test, redis: OwnServer, { logRecord, messages }: Stored): Promise<Log> {
  const log = await openRedisLog({
    urls: redis.url,
    parts: 1,
    node: randomUUID(),
    persists: true,
    record: logRecord,
    budgetBytes: 1e9,
    durability: 'none',
    lookback: { heads: (convs) => messages.heads(convs), recall: (...key) => messages.recall(...key) },
  });
  t.teardown(() => log.close());
  return log;
}

async function withRedis<Result>(redis: OwnServer, act: (redis: Redis) => Promise<Result>): Promise<Result> {
  const client = new Redis(redis.url);
  try {
    return await act(client);
  } finally {
    client.disconnect();
  }
}

t.test('law 3: an epoch whose beginning is interrupted loses nothing that Redis has kept', async (t) => {
  // `everysec` and a clean restart: Redis has everything, and may not be believed.
  const redis = await redisServer(t, { appendfsync: 'everysec' });
  const store = memoryStore();
  const first = await open(t, redis, store);
  await appendOne(first, creation(conv(1)));
  for (let count = 0; count < 9; count++) await appendOne(first, message(conv(1)));
  await store.messages.apply((await read(first, 3, [0])).slice(0, 3), [3], first.tail([]).epochs);
  await first.close();
  await redis.stop();
  await redis.start();
  t.equal(await withRedis(redis, (client) => client.xlen('chat:{0}:log')), 10, 'Redis has kept all');
  // MongoDB has begun the epoch, and its answer does not come.
  let failures = 1;
  const record: LogRecord = {
    ...store.logRecord,
    async beginEpoch(part, from) {
      const begun = await store.logRecord.beginEpoch(part, from);
      if (failures-- > 0) throw new ChatError('unavailable');
      return begun;
    },
  };
  const second = await open(t, redis, { ...store, logRecord: record });
  t.same(await second.readIndex(), [10]);
  t.match(await eventually(() => appendOne(second, message(conv(1)))), { is: 'ok', seq: 11 });
});

t.test('law 6: what a node has appended counts as seen, read or not', async (t) => {
  const under = await redisUnderTest(t);
  const log = await under.open();
  await appendOne(log, creation(conv(1)));
  await eventually(() => log.state().head[0] === 1);
  await under.snapshot();
  // It reads no more: its reader loses its connection whenever it has one.
  const killer = new Redis(under.redis.url);
  const stopReading = async () => {
    const list = String(await killer.client('LIST'));
    for (const line of list.split('\n')) {
      if (/ cmd=xread /.test(line)) await killer.client('KILL', 'ID', Number(/id=(\d+)/.exec(line)?.[1]));
    }
  };
  await stopReading();
  const { epoch } = log.state();
  const first = await appendOne(log, message(conv(1), { fields: { text: 'acknowledged' } }));
  await under.redis.kill('SIGKILL');
  killer.disconnect();
  t.match(first, { is: 'ok', seq: 2 });
  await under.restoreSnapshot();
  await under.redis.start();
  const second = await eventually(() => appendOne(log, message(conv(1), { fields: { text: 'another' } })));
  t.match(second, { is: 'ok', seq: 2 });
  t.not(log.state().epoch, epoch, 'the number is given again: that is another epoch');
});

t.test('MongoDB comes back empty: what Redis holds is no continuation of it', async (t) => {
  const redis = await redisServer(t);
  const store = memoryStore();
  const first = await open(t, redis, store);
  await appendOne(first, creation(conv(1)));
  await appendOne(first, message(conv(1)));
  await store.messages.apply(await read(first, 2, [0]), [2], first.tail([]).epochs);
  await eventually(async () => {
    await first.trim([2]);
    return first.state().trimmed[0] === 2;
  });
  await first.close();
  const other = memoryStore();
  const second = await open(t, redis, other);
  // As every node at its start: from where the store is.
  const changes = read(second, 1, [0]).catch((error: Error) => error);
  await appendOne(second, creation(conv(2)));
  const seen = await soon(changes, () => 'nothing');
  t.notOk(seen instanceof PositionLost, 'the log can be read from where the store is');
});

t.test('Redis holds another log, of the same epoch: nothing of it is read, nor added to it', async (t) => {
  const redis = await redisServer(t);
  const first = await open(t, redis, memoryStore());
  await appendOne(first, creation(conv(1)));
  await first.close();
  const other = memoryStore();
  await other.logRecord.open(1);
  await other.logRecord.beginEpoch(0, 0);
  await other.logRecord.openEpoch(0, 1);
  const second = await open(t, redis, other);
  t.match(await appendOne(second, creation(conv(2))), { is: 'ok', seq: 1 });
  t.match(await read(second, 1, [0]), [{ offset: 1, conv: conv(2) }]);
});

t.test('MongoDB is put back older: the epoch goes on above the one that Redis has got to', async (t) => {
  const redis = await redisServer(t);
  const store = memoryStore();
  const first = await open(t, redis, store);
  await appendOne(first, creation(conv(1)));
  for (const epoch of [2, 3]) {
    await withRedis(redis, (client) => client.flushall());
    await eventually(() => appendOne(first, creation(conv(epoch))));
  }
  t.equal(await withRedis(redis, (client) => client.hget(META, 'epoch')), '3');
  await first.close();
  const older = memoryStore();
  const { id } = await store.logRecord.open(1);
  await older.logRecord.open(1);
  await older.logRecord.beginEpoch(0, 0);
  await older.logRecord.openEpoch(0, 1);
  // The same log, as it was in its first epoch.
  const logRecord = { ...older.logRecord, open: async () => ({ id, parts: 1 }) };
  const second = await open(t, redis, { ...older, logRecord });
  t.equal(second.state().epoch, `${id}_4`);
  t.match(await appendOne(second, creation(conv(4))), { is: 'ok', seq: 1 });
  await older.messages.apply(await read(second, 1, [0]), [1], second.tail([]).epochs);
});

t.test('MongoDB is put back older than what Redis has let go of: what is left is set aside', async (t) => {
  const redis = await redisServer(t);
  const store = memoryStore();
  const first = await open(t, redis, store);
  await appendOne(first, creation(conv(1)));
  await appendOne(first, message(conv(1)));
  await store.messages.apply((await read(first, 1, [0])).slice(0, 1), [1], first.tail([]).epochs);
  await eventually(async () => {
    await first.trim([1]);
    return first.state().trimmed[0] === 1;
  });
  await first.close();
  const older = memoryStore();
  const { id } = await store.logRecord.open(1);
  await older.logRecord.open(1);
  await older.logRecord.beginEpoch(0, 0);
  await older.logRecord.openEpoch(0, 1);
  await withRedis(redis, (client) => client.script('FLUSH'));
  const second = await open(t, redis, {
    ...older,
    logRecord: { ...older.logRecord, open: async () => ({ id, parts: 1 }) },
  });
  t.equal(second.state().epoch, `${id}_2`);
  t.match(await appendOne(second, creation(conv(2))), { is: 'ok', seq: 1 });
  t.equal((await read(second, 1, [0]))[0]?.conv, conv(2), 'the log goes on where the store is');
  const [[, aside]] = (await withRedis(redis, (client) => client.xrange('chat:{0}:aside', '-', '+'))) as [
    [string, string[]],
  ];
  t.match(aside[5], /hello/, 'what nothing can continue is kept for people to look at');
});

t.test('law 6: a recovery that takes longer than its lock begins nothing, and ends nobody else’s', async (t) => {
  const under = await redisUnderTest(t);
  const { logRecord } = under.store;
  const lock = 'chat:{0}:recovery';
  let taken = 0;
  const record: LogRecord = {
    ...logRecord,
    async epochs() {
      if (taken++ === 0) await withRedis(under.redis, (client) => client.set(lock, 'somebody else', 'PX', 1_000));
      return logRecord.epochs();
    },
  };
  const begun: unknown[] = [];
  const held = async () => {
    const [who, epoch] = await withRedis(under.redis, (client) =>
      Promise.all([client.get(lock), client.hget(META, 'epoch')]),
    );
    begun.push(epoch);
    return who === 'somebody else';
  };
  const opening = under.open({ record });
  await eventually(held);
  await eventually(async () => !(await held()));
  const log = await opening;
  t.ok(taken > 1, 'it was tried again once the lock was free');
  t.ok(
    begun.slice(0, -1).every((epoch) => epoch === null),
    'nothing had begun while another held it',
  );
  t.match(await appendOne(log, creation(conv(1))), { is: 'ok', seq: 1 });
});

t.test('law 6: a server that was the log’s before is not believed when it is so again', async (t) => {
  const [one, two] = [await redisServer(t), await redisServer(t)];
  const store = memoryStore();
  const address = await switchable(t, one.port);
  const log = await open(t, { ...one, url: `redis://127.0.0.1:${address.port}` } as OwnServer, store);
  await appendOne(log, creation(conv(1)));
  const epochs = [log.state().epoch];
  // The second takes over, having everything.
  await withRedis(two, (client) => client.replicaof('127.0.0.1', one.port));
  await eventually(() => withRedis(two, async (client) => (await client.hget(META, 'head')) === '1'));
  await withRedis(two, (client) => client.replicaof('NO', 'ONE'));
  address.turnTo(two.port);
  await eventually(() => appendOne(log, message(conv(1))));
  await eventually(() => log.state().epoch !== epochs[0]);
  epochs.push(log.state().epoch);
  // The first copies it, then takes over again: it knows the script from its time before.
  await withRedis(one, (client) => client.replicaof('127.0.0.1', two.port));
  const head = await withRedis(two, (client) => client.hget(META, 'head'));
  await eventually(() => withRedis(one, async (client) => (await client.hget(META, 'head')) === head));
  await withRedis(one, (client) => client.replicaof('NO', 'ONE'));
  address.turnTo(one.port);
  await eventually(() => appendOne(log, message(conv(1))));
  const known = await withRedis(one, (client) => client.hget(META, 'run'));
  const run = await withRedis(one, async (client) => /run_id:(\w+)/.exec(await client.info('server'))?.[1]);
  t.equal(known, run, 'somebody has made sure of this server before it took a change');
  t.not(log.state().epoch, epochs[1], 'what took over from another may have lost something');
});

/** One address for whichever server it is turned to; connections to the one before are cut. */
async function switchable(t: Test, target: number) {
  let port = target;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  t.teardown(() => {
    cut();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    turnTo(next: number) {
      port = next;
      cut();
    },
  };
}

t.test('a start that fails leaves no connection behind', async (t) => {
  const redis = await redisServer(t);
  await redis.kill('SIGKILL');
  const store = memoryStore();
  for (let attempt = 0; attempt < 5; attempt++) await t.rejects(open(t, redis, store));
  await redis.start();
  await eventually(async () => (await withRedis(redis, (client) => client.ping())) === 'PONG');
  const count = () =>
    withRedis(
      redis,
      async (client) =>
        String(await client.client('LIST'))
          .trim()
          .split('\n').length,
    );
  let most = 0;
  for (let look = 0; look < 60; look++) {
    most = Math.max(most, await count());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.ok(most <= 1, `${most} connections`);
});
