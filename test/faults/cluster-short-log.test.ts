// Redis comes back a few changes short of what nodes have seen of it: a disk lost what it had promised to keep.
import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Client } from '../kit/client.ts';
import { type Cluster, cluster } from '../kit/nodes.ts';
import { eventually } from '../kit/waiting.ts';

t.setTimeout(120_000);

async function logFile({ redis }: Cluster): Promise<string> {
  const folder = join(redis.dir, 'appendonlydir');
  const name = (await readdir(folder)).find((file) => file.endsWith('.incr.aof'));
  if (name === undefined) throw new Error('Redis has no append-only file');
  return join(folder, name);
}

function partOf(world: Cluster, conv: string): Promise<number> {
  return world.withRedis(async (redis) => {
    for (const heads of await redis.keys('chat:{*}:heads')) {
      if ((await redis.hexists(heads, conv)) === 1) return Number(/\d+/.exec(heads)?.[0]);
    }
    throw new Error(`${conv} is in no part`);
  });
}

/** A group in another part of the log than this one. */
async function elsewhere(world: Cluster, ann: Client, bob: Client, part: number): Promise<string> {
  for (;;) {
    const conv = await ann.group([bob]);
    if ((await partOf(world, conv)) !== part) return conv;
  }
}

/** One number a part, out of what clients are told. */
function epochsOf(packed: string, parts: number): readonly string[] {
  const epochs = packed.slice(packed.lastIndexOf('_') + 1).split('-');
  return epochs.length === 1 ? new Array<string>(parts).fill(epochs[0] ?? '') : epochs;
}

t.test(
  'a part of the log that lost its last changes is noticed before anything is added: it alone has a new epoch',
  async (t) => {
    const world = await cluster(t);
    const [one, two] = world.pair;
    const [ann, bob] = await Promise.all([one.client('ann'), two.client('bob')]);
    const short = await ann.group([bob]);
    const part = await partOf(world, short);
    const whole = await elsewhere(world, ann, bob, part);
    for (const conv of [short, whole]) {
      await ann.send(conv, 'before');
      await bob.next('message', { conv });
    }
    const file = await logFile(world);
    const { size } = await stat(file);
    const last = [await ann.send(short, 'lost'), await bob.send(short, 'lost, too')];
    await Promise.all([ann, bob].map((client) => client.next('message', { text: 'lost, too' })));
    await eventually(async () => (await one.lag()) === 0);
    await world.redis.kill();
    await truncate(file, size);
    await world.redis.start();

    t.match([await ann.ended(), await bob.ended()], [{ code: 4000 }, { code: 4000 }]);
    const again = await eventually(() => ann.resume());
    const there = await eventually(() => bob.resume());
    for (const client of [again, there]) {
      await client.next('reset', { conv: short });
      await client.next('caught_up', { conv: whole });
      const before = epochsOf(ann.ready.epoch, 16);
      const after = epochsOf(client.ready.epoch, 16);
      t.same(
        after.flatMap((epoch, index) => (epoch === before[index] ? [] : [index])),
        [part],
        'one part alone has another epoch',
      );
      await client.pull(short);
    }
    const next = await eventually(() => again.send(short, 'after'));
    t.equal(next.seq, (last.at(-1)?.seq ?? 0) + 1, 'no number is given again');
    const { items } = await there.history(short);
    t.same(
      items.map(({ text }) => text),
      ['before', 'lost', 'lost, too', 'after'],
      'what the store had is there',
    );
  },
);
