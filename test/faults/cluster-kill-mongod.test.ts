// kill -9 of mongod under load: the log takes what the store cannot, and hands it over when the store is back.
import t from 'tap';
import { conclude, startRun } from './cluster-run.ts';

const KILLS = 3;

t.setTimeout(300_000);

t.test(
  `kill -9 of mongod ${KILLS} times while four clients write: sends go on without it, and everything is stored once it is back`,
  async (t) => {
    const { cluster, run } = await startRun(t, { hasOwnMongo: true }, { isPlain: true });
    for (let kills = 0; kills < KILLS; kills++) {
      await run.after(1 + run.random.whole(300));
      await cluster.mongo.kill();
      await run.after(300);
      await cluster.mongo.start();
      await run.after(50);
    }
    await conclude(t, run, cluster);
  },
);
