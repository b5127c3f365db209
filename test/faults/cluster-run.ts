// A run under faults over the nodes of a cluster: writers go from node to node in turn, and what is there at the end is read
// through every node and compared with what Redis and MongoDB hold.
import type { Test } from 'tap';
import { type Cluster, type ClusterOptions, cluster } from '../kit/nodes.ts';
import { eventually } from '../kit/waiting.ts';
import { dumpCluster } from './dump-cluster.ts';
import { isReady, type Place, Run, type RunOptions } from './run.ts';

/** Acknowledgements after the last fault. */
const AFTERWARDS = 200;

/** A cluster, and writers at work on all its nodes. */
export async function startRun(
  t: Test,
  options: ClusterOptions,
  runOptions: RunOptions = {},
): Promise<{ readonly cluster: Cluster; readonly run: Run }> {
  const world = await cluster(t, options);
  const [first] = world.pair;
  const run = await Run.begin(t, first, runOptions);
  run.meet(...world.nodes);
  await run.after(run.writers.length, isReady);
  return { cluster: world, run };
}

/** Everybody goes on for a while, everything is stored and read through every node. */
export async function restore(run: Run, { nodes }: Cluster): Promise<void> {
  run.meet(...nodes);
  await run.after(AFTERWARDS);
  await run.comeToRest(...nodes);
  for (const node of nodes) await eventually(async () => (await node.lag()) === 0);
}

/** Everybody leaves and comes back: from here on all know the epoch that holds. @returns the moment in which they were away */
export async function beginAnew(run: Run, { nodes }: { readonly nodes: readonly Place[] }): Promise<number> {
  run.part();
  await run.hangUp();
  const cutMs = performance.now();
  run.meet(...nodes);
  run.goOn();
  return cutMs;
}

/** As `restore`; then the nodes end in good order, and the checker finds nothing. */
export async function conclude(t: Test, run: Run, world: Cluster, hasOneEpoch = true): Promise<void> {
  await restore(run, world);
  run.tell();
  await run.end();
  for (const node of world.nodes) t.same(await node.kill('SIGTERM'), { code: 0, signal: null });
  const dump = await dumpCluster(world);
  await run.verify(hasOneEpoch ? dump : { ...dump, epoch: null }, 'the checker finds nothing');
}
