// The connections of the log: when one is open, and that nothing is asked twice behind the caller's back.
import { Redis } from 'ioredis';
import t from 'tap';
import { connected, logClient } from '../../src/adapters/redis/connection.ts';
import { type OwnServer, redisCluster, redisServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';

t.test('a Redis Cluster that does not serve yet is given up, and not waited for without end', async (t) => {
  const args = ['--cluster-enabled', 'yes'];
  const [one, two] = [await redisServer(t, { args }), await redisServer(t, { args })];
  const client = logClient(`${one.url},${two.url}`);
  client.on('error', () => undefined);
  t.teardown(() => client.disconnect());
  await t.rejects(connected(client));
});

t.test('a command whose connection is lost in a Redis Cluster is answered with that, and not sent again', async (t) => {
  const { urls, masters } = await redisCluster(t);
  const client = logClient(urls);
  client.on('error', () => undefined);
  t.teardown(() => client.disconnect());
  await connected(client);
  // The connection to each master opens at its own time; until it is open a command is refused.
  const isSet = () =>
    client.set('count', 0).then(
      () => true,
      () => false,
    );
  await eventually(isSet);
  const master = await masterOf(masters, 'count');
  const redis = new Redis(master.url);
  t.teardown(() => redis.disconnect());
  // It takes the command, and gives no answer before the connection is cut.
  await redis.client('PAUSE', 1_000, 'WRITE');
  const incremented = client.incr('count').then(
    () => 'answered',
    () => 'lost',
  );
  const isWaiting = async () => /cmd=incr/.test(String(await redis.client('LIST')));
  await eventually(isWaiting);
  await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  t.equal(await incremented, 'lost');
  await redis.client('UNPAUSE');
  t.equal(await redis.get('count'), '0');
});

async function masterOf(masters: readonly OwnServer[], key: string): Promise<OwnServer> {
  for (const master of masters) {
    const redis = new Redis(master.url);
    const isThere = await redis.exists(key).then(
      (count) => count === 1,
      () => false,
    );
    redis.disconnect();
    if (isThere) return master;
  }
  throw new Error(`no master has ${key}`);
}
