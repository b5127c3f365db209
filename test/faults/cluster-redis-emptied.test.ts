// Redis comes back without what it had. What the store holds goes on under a new epoch, which every client is told.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Cluster } from '../kit/nodes.ts';
import { eventually } from '../kit/waiting.ts';
import { check } from './checker.ts';
import { beginAnew, conclude, restore, startRun } from './cluster-run.ts';
import { dumpCluster } from './dump-cluster.ts';
import { type Event, evidenceAfter, evidenceBefore } from './evidence.ts';

t.setTimeout(300_000);

const isReset = (event: Event) => event.is === 'push' && event.push.t === 'reset';

async function empty({ redis }: Cluster): Promise<void> {
  await redis.kill();
  for (const name of await readdir(redis.dir)) {
    if (/^appendonlydir$|\.rdb$/.test(name)) await rm(join(redis.dir, name), { recursive: true });
  }
  await redis.start();
}

t.test(
  'Redis restarted empty when everything was stored: clients get `reset` and go on, nothing is lost',
  async (t) => {
    const { cluster, run } = await startRun(t, {});
    await restore(run, cluster);
    const before = await dumpCluster(cluster);
    const { length: from } = run.world.history.events;
    await empty(cluster);
    run.meet(...cluster.nodes);
    run.goOn();
    await run.after(200);
    const resets = run.world.history.events.slice(from).filter(isReset);
    t.ok(resets.length >= run.writers.length, `${resets.length} times a conversation was reset`);
    t.not((await dumpCluster(cluster)).epoch, before.epoch, 'the log has a new epoch');
    await conclude(t, run, cluster, false);
  },
);

t.test(
  'Redis restarted empty under load: in the new epoch nothing is lost, and no number is given twice in either',
  async (t) => {
    const { cluster, run } = await startRun(t, {});
    await run.after(500);
    const lostMs = performance.now();
    await empty(cluster);
    await run.after(1, isReset);
    await run.after(200);
    await restore(run, cluster);
    // What was lost shows in nothing they say from here on.
    const cutMs = await beginAnew(run, cluster);
    await run.after(500);
    await restore(run, cluster);
    run.tell();
    await run.end();
    await Promise.all(cluster.nodes.map((node) => eventually(async () => (await node.lag()) === 0)));
    for (const node of cluster.nodes) t.same(await node.kill('SIGTERM'), { code: 0, signal: null });
    const evidence = await run.evidence(await dumpCluster(cluster));
    for (const [part, what] of [
      [evidenceBefore(lostMs, evidence), 'the checker finds nothing in the old epoch'],
      [evidenceAfter(cutMs, evidence), 'the checker finds nothing in the new epoch'],
    ] as const)
      run.judge(part, check(part), what);
  },
);
