// A node that starts while others work.

import { MongoClient } from 'mongodb';
import t from 'tap';
import { idleCluster, type Node } from '../kit/nodes.ts';
import { eventually, soon } from '../kit/waiting.ts';

t.test('a node that waits for Redis at its start accepts, whatever others have stored meanwhile', async (t) => {
  const { nodes, mongoUrl } = await idleCluster(t, { hasProxies: true });
  const [one, two] = nodes as readonly [Node, Node];
  await one.start();
  const ann = await one.client('ann');
  const group = await ann.group([]);
  await ann.send(group, 'before');
  const mongo = await new MongoClient(mongoUrl).connect();
  t.teardown(() => mongo.close());
  const storedMost = async (count: number) => {
    const parts = await mongo.db().collection<{ _id: number; offset: number }>('parts').find().toArray();
    return parts.some(({ offset }) => offset >= count);
  };
  await eventually(() => storedMost(2));
  two.proxy.cut();
  const starting = two.start();
  // One for limits and signals; the other is the log's, asked for once the store's watermark is known.
  await eventually(() => two.proxy.connections >= 3);
  for (let count = 0; count < 8; count++) await ann.send(group, 'meanwhile');
  await eventually(() => storedMost(10));
  two.proxy.heal();
  await soon(starting, () => 'it never accepted', 20_000);
});
