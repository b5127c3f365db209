// Power loss of the Redis that holds the log, in the moments in which the store has not got what the log has: of its
// append-only file there is what was synced. With `always` that is all that was answered; with `everysec` it is not, and
// the test sees it.
import t, { type Test } from 'tap';
import { check } from './checker.ts';
import { beginAnew, conclude, restore, startRun } from './cluster-run.ts';
import { dumpCluster } from './dump-cluster.ts';
import { evidenceAfter, evidenceBefore } from './evidence.ts';
import { TracedRedis } from './traced-redis.ts';

t.setTimeout(300_000);

const LOSSES = 5;

async function start(t: Test, appendfsync: 'always' | 'everysec') {
  const traced = await TracedRedis.start(t, { appendfsync });
  const env = { CHAT_REDIS_DURABILITY: appendfsync, CHAT_LOG_LEVEL: 'silent' };
  const started = await startRun(t, { redis: traced.server, hasOwnMongo: true, env }, { isPlain: true });
  t.teardown(() => started.cluster.mongo.resume());
  return { traced, ...started };
}

t.test(
  'the power of Redis goes: with `appendfsync always` nothing acknowledged is lost, and the epoch stays',
  async (t) => {
    const { traced, cluster, run } = await start(t, 'always');
    await run.after(100);
    cluster.mongo.pause();
    await run.after(200 + run.random.whole(200));
    const { lostBytes } = await traced.losePower(run.random);
    t.comment(`${lostBytes} bytes were not synced`);
    cluster.mongo.resume();
    await run.after(200);
    await conclude(t, run, cluster);
  },
);

t.test('with `everysec` the checker finds the loss, and the log a new epoch', async (t) => {
  for (let losses = 0; losses < LOSSES; losses++) {
    const { traced, cluster, run } = await start(t, 'everysec');
    await run.after(100);
    cluster.mongo.pause();
    await run.after(200 + run.random.whole(200));
    const lostMs = performance.now();
    const { lostBytes } = await traced.losePower(run.random);
    cluster.mongo.resume();
    await run.after(200);
    await restore(run, cluster);
    const cutMs = await beginAnew(run, cluster);
    await restore(run, cluster);
    await run.end();
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    const evidence = await run.evidence(await dumpCluster(cluster));
    const after = evidenceAfter(cutMs, evidence);
    run.judge(after, check(after), 'the checker finds nothing in the new epoch');
    const { dump } = evidence;
    const before = check({ ...evidenceBefore(lostMs, evidence), dump: dump && { ...dump, epoch: null } });
    const lost = before.filter(({ rule }) => rule === 'C1').length;
    t.comment(`${lostBytes} bytes were not synced; the checker finds ${lost} acknowledged changes lost`);
    if (lost > 0) return t.pass('what was lost is found');
  }
  t.fail(`nothing was lost ${LOSSES} times: the test cannot tell`);
});
