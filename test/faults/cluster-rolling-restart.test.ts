// A new version comes, node by node: whoever is told `bye` goes to the other node and notices nothing else.
import t, { type Test } from 'tap';
import WebSocket from 'ws';
import { freePort } from '../../ops/service/launch.ts';
import { type Cluster, idleCluster, type Node } from '../kit/nodes.ts';
import { nginxServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';
import { conclude, startRun } from './cluster-run.ts';
import type { Event } from './evidence.ts';
import { isReady, type Place, Run } from './run.ts';

t.setTimeout(300_000);

const ENV = { CHAT_DRAIN_TIME: '2s' };

/** Requests that got an error, but for those that crossed the `bye` of their connection: these are repeated elsewhere. */
function errorsIn(events: readonly Event[]): readonly string[] {
  const left = new Set(events.flatMap((event) => (event.is === 'closed' ? [event.connection] : [])));
  const askedOn = new Map<string, number>();
  return events.flatMap((event) => {
    if (event.is === 'invoke') askedOn.set(event.operation.key, event.connection);
    if (event.is !== 'info' && event.is !== 'fail') return [];
    const hasCrossed = event.is === 'info' && left.has(askedOn.get(event.name.key) ?? 0);
    return hasCrossed ? [] : [`${event.is} ${event.code}`];
  });
}

interface Rolling {
  readonly cluster: Cluster;
  readonly run: Run;
  /** Where writers go while a node is away. */
  readonly elsewhere: (staying: Node) => Place;
  readonly restart: (node: Node) => Promise<void>;
}

async function roll(t: Test, { cluster, run, elsewhere, restart }: Rolling): Promise<void> {
  const { history } = run.world;
  await run.after(200);
  const [one, two] = cluster.pair;
  for (const [leaving, staying] of [
    [one, two],
    [two, one],
  ] as const) {
    run.meet(elsewhere(staying));
    const { length: from } = history.events;
    t.same(await leaving.kill('SIGTERM'), { code: 0, signal: null });
    await run.after(200);
    const during = history.events.slice(from);
    const moved = during.filter(({ is }) => is === 'closed').length;
    t.ok(moved > 0);
    t.equal(during.filter(isReady).length, moved, `${moved} were told to go and came back once`);
    t.same(errorsIn(during), [], 'nobody else was told of an error');
    await restart(leaving);
  }
  t.same(errorsIn(history.events), [], 'nor was anybody at any other time');
}

t.test(
  'a rolling restart of both nodes under load: nothing is lost, who stays sees no error, who is told to go comes back once',
  async (t) => {
    const { cluster, run } = await startRun(t, { env: ENV }, { isPlain: true });
    const restart = async (node: Node) => {
      await node.start();
      run.meet(...cluster.nodes);
    };
    await roll(t, { cluster, run, elsewhere: (staying) => staying, restart });
    await conclude(t, run, cluster);
  },
);

/** nginx leaves a node that was away alone for 2 s: the next one is restarted when connections come to this one again. */
function isFoundBy(nginx: Place, node: Node): Promise<unknown> {
  return eventually(async () => {
    const probe = new WebSocket(nginx.socketUrl);
    await new Promise((resolve) => probe.once('open', resolve).once('error', resolve));
    const connections = await node.metric('chat_connections');
    probe.terminate();
    return connections > 0;
  }, 100);
}

t.test('the same behind nginx, which alone the clients know', async (t) => {
  const cluster = await idleCluster(t, { env: { ...ENV, CHAT_TRUST_PROXY: '127.0.0.1/32' } });
  const ports = new Map<Node, number>();
  for (const node of cluster.nodes) ports.set(node, await freePort());
  const start = (node: Node) => node.start({ CHAT_PORT: `${ports.get(node)}` });
  await Promise.all(cluster.nodes.map(start));
  const { url } = await nginxServer(
    t,
    [...ports.values()].map((port) => `127.0.0.1:${port}`),
  );
  const nginx: Place = { url, socketUrl: `${url.replace('http', 'ws')}/ws` };
  const run = await Run.begin(t, nginx, { isPlain: true });
  run.meet(nginx);
  await run.after(run.writers.length, isReady);
  const restart = async (node: Node) => {
    await start(node);
    await isFoundBy(nginx, node);
  };
  await roll(t, { cluster, run, elsewhere: () => nginx, restart });
  await conclude(t, run, cluster);
});
