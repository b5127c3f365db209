// SIGSTOP of Redis and of mongod under load: connections stay open and nothing answers, which is worse than a server gone.
import t from 'tap';
import { conclude, startRun } from './cluster-run.ts';
import { isRefused } from './run.ts';

const STOPS = 2;

t.setTimeout(300_000);

t.test(
  'Redis stopped for seconds: writes are `unavailable`, and when it goes on nothing is lost or made twice',
  async (t) => {
    const { cluster, run } = await startRun(t, {});
    t.teardown(() => cluster.redis.resume());
    for (let stops = 0; stops < STOPS; stops++) {
      await run.after(1 + run.random.whole(200));
      cluster.redis.pause();
      await run.after(40, isRefused(/^unavailable$/));
      cluster.redis.resume();
      await run.after(100);
    }
    await conclude(t, run, cluster);
  },
);

t.test('mongod stopped for seconds: sends go on, and what piles up is stored once', async (t) => {
  const { cluster, run } = await startRun(t, { hasOwnMongo: true }, { isPlain: true });
  t.teardown(() => cluster.mongo.resume());
  for (let stops = 0; stops < STOPS; stops++) {
    await run.after(1 + run.random.whole(200));
    cluster.mongo.pause();
    await run.after(1_000);
    cluster.mongo.resume();
    await run.after(100);
  }
  await conclude(t, run, cluster);
});
