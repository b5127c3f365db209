// After faults log and store agree, or `verify` says in which way they do not; once servers have recovered, they agree.
import { randomBytes } from 'node:crypto';
import { copyFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Client } from '../kit/client.ts';
import { server } from '../kit/index.ts';
import { cluster } from '../kit/nodes.ts';
import { eventually } from '../kit/waiting.ts';
import { audited, fill, verified } from './scene.ts';

t.setTimeout(600_000);

const RETRY_MS = 250;

/** Writes until its connection ends. */
async function writeOn(client: Client, conv: string): Promise<void> {
  for (let index = 0; ; index++) {
    const sent = await Promise.all([client.send(conv, `${index}`), client.send(conv, `${index} too`)]);
    if (index % 3 === 0) await client.edit(conv, sent[0].seq, 'edited');
    if (index % 5 === 0) await client.remove(conv, sent[1].seq);
  }
}

t.test('a server that is killed again and again while it writes leaves what agrees', async (t) => {
  const host = await server(t);
  const { ann, group } = await fill(host);
  const { dataDir } = host.process;
  for (let kills = 0; kills < 5; kills++) {
    const client = await eventually(() => ann.device());
    const { seq } = await client.send(group, 'on we go');
    void writeOn(client, group).catch(() => undefined);
    await client.next('message', (push) => push.seq > seq + 40 * (kills + 1));
    await host.process.kill('SIGKILL');
    t.same((await audited({ CHAT_DATA: dataDir })).lines, [], `kill ${kills + 1}`);
    await host.restart();
  }
});

t.test('a log that is lost, or older than the store, is told of; after the next start all agrees', async (t) => {
  const host = await server(t);
  const { ann, group } = await fill(host);
  const { dataDir } = host.process;
  await host.stop();
  const old = join(dataDir, 'kept-log');
  await copyFile(join(dataDir, 'log.db'), old);
  await host.restart();
  await (await ann.device()).send(group, 'which the old log does not have');
  await host.stop();
  await copyFile(old, join(dataDir, 'log.db'));
  t.match(await verified(t, { dataDir }), {
    code: 1,
    stdout: /^watermark: part 0: the log ends at 63, before the watermark 64\n/,
  });
  await host.restart();
  t.match(await verified(t, { dataDir }), { code: 0 });
  await (await ann.device()).send(group, 'in the new epoch');
  await host.stop();
  t.match(await verified(t, { dataDir }), { code: 0 });
  for (const name of await readdir(dataDir)) if (name.startsWith('log.db')) await rm(join(dataDir, name));
  t.match(await verified(t, { dataDir }), { code: 2, stderr: /data_missing/ });
  await host.restart();
  await (await ann.device()).send(group, 'and in the next');
  t.match(await verified(t, { dataDir }), { code: 0 });
});

t.test('nodes and Redis that were killed, and a Redis that lost all: once they are back all agrees', async (t) => {
  const world = await cluster(t, { size: 2 });
  const [one, two] = world.pair;
  const { ann, bob, group } = await fill(one);
  const { CHAT_MONGO_URL = '', CHAT_REDIS_URL = '' } = one.env;
  const CHAT_SECRET = randomBytes(32).toString('hex');
  const env = { CHAT_MODE: 'cluster', CHAT_MONGO_URL, CHAT_REDIS_URL, CHAT_SECRET };
  /** A node that has to begin anew with its log says goodbye to its connections; one at a time may come back. */
  const goOn = (client: Client) =>
    eventually(async () => {
      const again = await client.device({}, two);
      try {
        const { seq } = await again.send(group, 'on we go');
        void writeOn(again, group).catch(() => undefined);
        await again.next('message', (push) => push.seq > seq + 100);
      } catch (error) {
        again.ws.terminate();
        throw error;
      }
    }, RETRY_MS);
  const agrees = async (what: string, isExpected: (line: string) => boolean = () => false) => {
    await eventually(async () => (await audited(env)).lines.every(isExpected));
    t.pass(what);
  };

  await goOn(ann);
  await one.kill('SIGKILL');
  t.same((await audited(env)).lines, [], 'a node was killed');
  await goOn(bob);
  await world.redis.kill();
  await world.redis.start();
  await goOn(ann);
  await agrees('Redis was killed');
  await world.withRedis((redis) => redis.flushall());
  await world.redis.kill();
  await world.redis.start();
  await goOn(bob);
  // Marks of messages that are lost stay above the head (ARCHITECTURE.md, known gaps).
  const isLostMark = (line: string) => line.startsWith('marks: ');
  await agrees('Redis lost everything', isLostMark);
  await two.kill('SIGTERM');
  t.same(
    (await audited(env)).lines.filter((line) => !isLostMark(line)),
    [],
    'at rest',
  );
});
