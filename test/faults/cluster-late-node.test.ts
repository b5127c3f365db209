// A node that hears from Redis late: what it loads from the store may be newer than what it has read of the log.
import t from 'tap';
import { conclude, startRun } from './cluster-run.ts';
import { isReady } from './run.ts';

const COMINGS = 12;

t.setTimeout(300_000);

t.test('clients that come to a node which reads the log late miss nothing and are told nothing twice', async (t) => {
  const { cluster, run } = await startRun(t, { hasProxies: true });
  const [late, other] = cluster.pair;
  run.meet(other);
  await late.kill();
  await late.start();
  late.proxy.delay(40);
  for (let comings = 0; comings < COMINGS; comings++) {
    // Nobody is on the late node, so it knows nothing of the conversations but what it loads now.
    if (comings % 4 === 0) await late.restart();
    run.meet(late, other);
    await run.hangUp();
    await run.after(run.writers.length, isReady);
    await run.after(1 + run.random.whole(60));
  }
  late.proxy.heal();
  await conclude(t, run, cluster);
});
