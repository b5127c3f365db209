// A node that is stopped for longer than its lease and past what the log still holds, and then goes on: for its clients it
// is as if it had been away, for the store as if two had carried the same changes.
import t from 'tap';
import type { Cluster } from '../kit/nodes.ts';
import { eventually } from '../kit/waiting.ts';
import { conclude, startRun } from './cluster-run.ts';
import { isReady } from './run.ts';

t.setTimeout(300_000);

/** The log is trimmed early and often. */
const env = { CHAT_LOG_BUDGET_BYTES: '16777216' };

/** How far the log has let go of its changes, all parts together. */
function trimmed(cluster: Cluster): Promise<number> {
  return cluster.withRedis(async (redis) => {
    const parts = await redis.keys('chat:{*}:meta');
    const offsets = await Promise.all(parts.map((meta) => redis.hget(meta, 'trimmed')));
    return offsets.reduce((sum, offset) => sum + Number(offset), 0);
  });
}

/** How few nodes a part of the log waits for: of one that is dead a part hears when it is trimmed. */
function fewestGroups(cluster: Cluster): Promise<number> {
  return cluster.withRedis(async (redis) => {
    const parts = await redis.keys('chat:{*}:log');
    const groups = await Promise.all(parts.map((log) => redis.xinfo('GROUPS', log) as Promise<readonly unknown[]>));
    return Math.min(...groups.map(({ length }) => length));
  });
}

t.test(
  'a node stopped past its lease and past the trim notices when it goes on: its clients come back and miss nothing',
  async (t) => {
    const { cluster, run } = await startRun(t, { env }, { isPlain: true });
    const [one, two] = cluster.pair;
    const listener = await one.client('listener');
    const { account } = listener;
    await run.after(100);

    one.pause();
    run.meet(two);
    const before = await trimmed(cluster);
    await eventually(async () => (await trimmed(cluster)) > before + 500, 200);
    t.equal(await fewestGroups(cluster), 1, 'nobody waits for it any more');
    one.resume();

    await listener.next('bye');
    t.match(await listener.ended(), { code: 4000 });
    run.meet(...cluster.nodes);
    await run.after(run.writers.length / 2, isReady);
    await (await one.arrive(account)).fence();
    await conclude(t, run, cluster);
  },
);

t.test(
  'nodes stopped past their lease in the middle of their work, by turns: two carry the same part, the store takes everything once',
  async (t) => {
    const { cluster, run } = await startRun(t, { env });
    for (const node of [...cluster.nodes, ...cluster.nodes]) {
      await run.after(1 + run.random.whole(100));
      node.pause();
      run.meet(...cluster.nodes.filter((other) => other !== node));
      await run.hangUp();
      await eventually(async () => (await fewestGroups(cluster)) === 1, 200);
      // What it had under way goes on, while the other has taken it over.
      node.resume();
      run.meet(...cluster.nodes);
      await run.after(50);
    }
    await conclude(t, run, cluster);
  },
);
