// kill -9 of Redis under load: what it had acknowledged it has when it comes back, so the log goes on in the same epoch.
import t from 'tap';
import { conclude, startRun } from './cluster-run.ts';
import { isRefused } from './run.ts';

const KILLS = 4;

t.setTimeout(300_000);

t.test(
  `kill -9 of Redis ${KILLS} times while four clients write: writes are \`unavailable\` until it is back, nothing is lost, the epoch stays`,
  async (t) => {
    const { cluster, run } = await startRun(t, {});
    for (let kills = 0; kills < KILLS; kills++) {
      await run.after(1 + run.random.whole(300));
      await cluster.redis.kill();
      await run.after(50, isRefused(/^unavailable$/));
      await cluster.redis.start();
      await run.after(50);
    }
    await conclude(t, run, cluster);
  },
);
