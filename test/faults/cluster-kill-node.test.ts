// kill -9 of nodes under load, at any moment and at the worst ones: the others go on, and nothing acknowledged is lost.
import t from 'tap';
import type { Node } from '../kit/nodes.ts';
import { conclude, startRun } from './cluster-run.ts';
import { isReady, type Run } from './run.ts';

const KILLS = 6;

t.setTimeout(300_000);

/**
 * When a node is killed: `acks` after some acknowledgements, `greeting` while clients come back, `unanswered` when it has
 * appended and will not hear of it.
 */
const MOMENTS = ['acks', 'acks', 'greeting', 'unanswered'] as const;

async function killAt(moment: (typeof MOMENTS)[number], node: Node, run: Run): Promise<void> {
  const { random } = run;
  if (moment === 'acks') await run.after(1 + random.whole(300));
  if (moment === 'greeting') {
    await run.hangUp();
    await run.after(1 + random.whole(3), isReady);
  }
  if (moment === 'unanswered') {
    node.proxy.cut('down');
    await run.after(1 + random.whole(20), ({ is }) => is === 'invoke');
  }
  await node.kill('SIGKILL');
  node.proxy.heal();
}

t.test(
  `kill -9 of a node ${KILLS} times while four clients write: the other goes on, nothing acknowledged is lost, no number twice`,
  async (t) => {
    const { cluster, run } = await startRun(t, { hasProxies: true });
    for (let kills = 0; kills < KILLS; kills++) {
      const node = run.random.pick(cluster.nodes);
      await killAt(MOMENTS[kills % MOMENTS.length] ?? 'acks', node, run);
      await run.after(50);
      await node.start();
      run.meet(...cluster.nodes);
    }
    await conclude(t, run, cluster);
  },
);
