// The servers that tests get from test/kit/services.ts: what fault tests build on.
import { existsSync } from 'node:fs';
import { Cluster, Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import t from 'tap';
import { birthOf } from '../../ops/service/identity.ts';
import { startProgram } from '../kit/process.ts';
import { mongoDatabase, mongoServer, redisCluster, redisServer, sharedMongo } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';

interface Owner {
  teardown(end: () => unknown): void;
}

function redisClient(t: Owner, url: string): Redis {
  const client = new Redis(url, { retryStrategy: null });
  client.on('error', () => {});
  t.teardown(() => client.disconnect());
  return client;
}

async function mongoClient(t: Owner, url: string): Promise<MongoClient> {
  const client = await new MongoClient(url).connect();
  t.teardown(() => client.close());
  return client;
}

/** Collects what a part of a test wants to have ended, to end it before the test does. */
class Part {
  readonly #ends: (() => unknown)[] = [];

  teardown(end: () => unknown): void {
    this.#ends.push(end);
  }

  async end(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
  }
}

t.test('a redis-server that was killed comes back with what it had acknowledged', async (t) => {
  const server = await redisServer(t);
  const { pid } = server;
  await redisClient(t, server.url).set('name', 'ann');
  await server.kill();
  t.equal(birthOf(pid), undefined);
  await server.start();
  t.not(server.pid, pid);
  t.equal(await redisClient(t, server.url).get('name'), 'ann');
});

t.test('a paused redis-server answers when it is resumed', async (t) => {
  const server = await redisServer(t);
  const client = redisClient(t, server.url);
  await client.ping();
  server.pause();
  let isAnswered = false;
  const answer = client.ping().then(() => {
    isAnswered = true;
  });
  t.equal(isAnswered, false);
  server.resume();
  await answer;
});

t.test('a Redis Cluster takes keys of all slots, on all its masters', async (t) => {
  const { urls, masters, replicas } = await redisCluster(t);
  t.same([urls.split(',').length, masters.length, replicas.length], [3, 3, 0]);
  const nodes = urls.split(',').map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) }));
  const cluster = new Cluster(nodes);
  t.teardown(() => cluster.disconnect());
  const keys = Array.from({ length: 30 }, (_, i) => `key-${i}`);
  for (const key of keys) await cluster.set(key, key);
  for (const key of keys) t.equal(await cluster.get(key), key);
  const counts = await Promise.all(masters.map(({ url }) => redisClient(t, url).dbsize()));
  t.ok(
    counts.every((count) => count > 0),
    `${counts}`,
  );
});

t.test('a replica takes over from a master that was killed', async (t) => {
  const { masters, replicas } = await redisCluster(t, { hasReplicas: true });
  const [master] = masters;
  const [replica] = replicas;
  if (master === undefined || replica === undefined) throw new Error('the cluster is not whole');
  const client = redisClient(t, replica.url);
  await master.kill();
  await eventually(async () => ((await client.role()) as unknown[])[0] === 'master');
});

t.test('databases are apart from each other, and gone after their test', async (t) => {
  const part = new Part();
  const [one, two] = await Promise.all([mongoDatabase(part), mongoDatabase(part)]);
  const [inOne, inTwo] = await Promise.all([mongoClient(t, one.url), mongoClient(t, two.url)]);
  await inOne.db().collection('things').insertOne({ name: 'a thing' });
  t.same(await inTwo.db().collection('things').find().toArray(), []);
  const { databaseName } = inOne.db();
  await part.end();
  const { databases } = await inOne.db('admin').admin().listDatabases({ nameOnly: true });
  t.notOk(databases.some(({ name }) => name === databaseName));
});

t.test('a mongod that was killed comes back as primary, with what it had acknowledged', async (t) => {
  const server = await mongoServer(t, { hasTestCommands: true });
  const client = await mongoClient(t, server.url);
  await client
    .db()
    .collection('things')
    .insertOne({ name: 'a thing' }, { writeConcern: { w: 'majority', journal: true } });
  await client.db('admin').command({ configureFailPoint: 'failCommand', mode: 'off' });
  await server.kill();
  await server.start();
  t.equal(await client.db().collection('things').countDocuments(), 1);
});

t.test('a mongod for a whole run is gone with its folder when it is stopped', async (t) => {
  const mongo = await sharedMongo();
  await mongo.stop();
  const client = new MongoClient(mongo.url, { serverSelectionTimeoutMS: 500 });
  t.teardown(() => client.close());
  await t.rejects(client.connect());
});

t.test('servers of a test that was killed are killed, and their folders removed', async (t) => {
  const kit = new URL('../kit/services.ts', import.meta.url).href;
  const code = `
    const { redisServer } = await import('${kit}');
    const { pid, dir } = await redisServer({ teardown() {} });
    console.log('server ' + pid + ' ' + dir);
    setInterval(() => {}, 60_000);`;
  const test = await startProgram(t, { command: [process.execPath, '--input-type=module', '--eval', code] });
  const [, pid, dir = ''] = await test.wrote(/^server (\d+) (.*)$/m);
  t.ok(existsSync(dir));
  await test.kill('SIGKILL');
  await eventually(() => birthOf(Number(pid)) === undefined && !existsSync(dir));
});
