// Promise 2 over nodes, restarts and time: one key is one write, and its answer the first one, whoever is asked and when.
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Client } from '../kit/client.ts';
import type { Sent } from '../kit/frames.ts';
import { cluster, type Node } from '../kit/nodes.ts';
import { eventually } from '../kit/waiting.ts';

t.setTimeout(120_000);

const AT_ONCE = 5;
const HOUR_MS = 3_600_000;

/** A UUIDv7 (RFC 9562 section 5.7) as a client would have made it some time ago, or will. */
function keyAt(ms: number): string {
  const time = Math.trunc(ms).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}${randomUUIDv7().slice(13)}`;
}

const KEYS: Readonly<Record<string, () => string>> = {
  'made just now': () => randomUUIDv7(),
  'made an hour ago': () => keyAt(Date.now() - HOUR_MS),
  'of a clock an hour ahead': () => keyAt(Date.now() + HOUR_MS),
  'of a client’s own making': () => `draft-${randomBytes(8).toString('hex')}`,
};

t.test(
  'a send repeated on two nodes at once, after restarts, and when Redis has forgotten it, is one message',
  async (t) => {
    const world = await cluster(t, { env: { CHAT_MAX_CONNECTIONS_PER_USER: '0' } });
    const [one, two] = world.pair;
    const ann = await one.client('ann');
    const conv = await ann.group([await two.client('bob')]);
    const keys = Object.entries(KEYS).map(([name, make]) => ({ name, key: make() }));
    const first = new Map<string, Sent>();

    const sends = async (...clients: readonly Client[]) => {
      for (const { name, key } of keys) {
        const answers = await Promise.all(
          Array.from({ length: AT_ONCE }, (_, index) => {
            const client = clients[index % clients.length] as Client;
            return client.send(conv, `text ${index}`, { id: key });
          }),
        );
        const known = first.get(key);
        const [fresh] = answers.filter(({ dup }) => dup !== true);
        t.equal(
          answers.filter(({ dup }) => dup !== true).length,
          known === undefined ? 1 : 0,
          `a key ${name}: new once`,
        );
        first.set(key, known ?? (fresh as Sent));
        const { seq, n, at } = first.get(key) as Sent;
        t.ok(
          answers.every((answer) => answer.seq === seq && answer.n === n && answer.at === at),
          `a key ${name}: the first answer every time`,
        );
      }
    };

    const devices = async (...nodes: readonly Node[]) => Promise.all(nodes.map((node) => ann.device({}, node)));
    await t.test('on two nodes at once', async () => sends(...(await devices(one, two))));
    await t.test('after a token has been refreshed', async () => {
      const { body } = await one.http('POST', 'auth/refresh', { refresh: ann.account.refresh });
      const access = body.access as string;
      await sends(await two.arrive({ ...ann.account, access }));
    });
    await t.test('after both nodes have been killed', async () => {
      await Promise.all([one.restart(), two.restart()]);
      await sends(...(await devices(one, two)));
    });
    await t.test('after Redis has been killed', async () => {
      await world.redis.kill();
      await world.redis.start();
      await eventually(async () => (await ann.device({}, one)).send(conv, 'it is back'));
      await eventually(async () => (await ann.device({}, two)).send(conv, 'here, too'));
      await sends(...(await devices(one, two)));
    });
    await t.test('after Redis has lost everything', async () => {
      for (const node of world.nodes) await eventually(async () => (await node.lag()) === 0);
      await world.redis.kill();
      for (const name of await readdir(world.redis.dir)) {
        if (name === 'appendonlydir') await rm(join(world.redis.dir, name), { recursive: true });
      }
      await world.redis.start();
      await eventually(async () => (await ann.device({}, one)).send(conv, 'it is new'));
      await eventually(async () => (await ann.device({}, two)).send(conv, 'here, too'));
      await sends(...(await devices(one, two)));
    });
    const messages = await (await ann.device({}, two)).allMessages(conv);
    for (const { name, key } of keys)
      t.equal(messages.filter((message) => message.key === key).length, 1, `a key ${name}`);
  },
);
