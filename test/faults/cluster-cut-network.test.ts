// The network between one node and Redis fails in every way a network can, while the other node is well.
import t, { type Test } from 'tap';
import { cluster } from '../kit/nodes.ts';
import type { TcpProxy } from '../kit/tcp-proxy.ts';
import { eventually } from '../kit/waiting.ts';
import { conclude, startRun } from './cluster-run.ts';
import type { Event } from './evidence.ts';
import { isOk, isRefused, type Run } from './run.ts';

t.setTimeout(300_000);

/** Writes that are refused before a cut ends. */
const REFUSED = 30;

async function withoutWay(run: Run, proxy: TcpProxy, ...ways: readonly ('up' | 'down')[]): Promise<void> {
  proxy.cut(...ways);
  await run.after(REFUSED, isRefused(/^unavailable$/));
}

/** All writers may happen to be at the node that is cut off: then none is acknowledged until it is not. */
const isAnswered = (event: Event) => isOk(event) || isRefused(/^unavailable$/)(event);

async function flapping(run: Run, proxy: TcpProxy): Promise<void> {
  for (let times = 0; times < 10; times++) {
    proxy.cut();
    await run.after(1 + run.random.whole(40), isAnswered);
    proxy.heal();
    await run.after(1 + run.random.whole(40));
  }
}

async function resets(run: Run, proxy: TcpProxy): Promise<void> {
  for (let times = 0; times < 20; times++) {
    proxy.reset();
    await run.after(1 + run.random.whole(60));
  }
}

const WEATHERS: Readonly<Record<string, (run: Run, proxy: TcpProxy) => Promise<void>>> = {
  'cut both ways': (run, proxy) => withoutWay(run, proxy),
  'cut on the way to Redis': (run, proxy) => withoutWay(run, proxy, 'up'),
  'cut on the way back': (run, proxy) => withoutWay(run, proxy, 'down'),
  slow: async (run, proxy) => {
    proxy.slow(30_000);
    await run.after(300);
  },
  'far away': async (run, proxy) => {
    proxy.delay(40);
    await run.after(300);
  },
  'in slices of one byte': async (run, proxy) => {
    proxy.slice();
    await run.after(300);
  },
  flapping,
  'resetting connections': resets,
};

for (const [name, happen] of Object.entries(WEATHERS)) {
  t.test(
    `one node ⇄ Redis ${name}: the other goes on, nothing is lost or repeated, no gap is left`,
    async (t: Test) => {
      const { cluster, run } = await startRun(t, { hasProxies: true });
      const [one] = cluster.pair;
      await run.after(100);
      await happen(run, one.proxy);
      one.proxy.heal();
      await run.after(100);
      await conclude(t, run, cluster);
    },
  );
}

t.test(
  'what a node that is cut off would carry into the store the other carries, and it ends in good order',
  async (t) => {
    const { pair } = await cluster(t, { hasProxies: true });
    const [one, other] = pair;
    const ann = await other.client('ann');
    // In many parts, of which each node carries some.
    const groups = await Promise.all(Array.from({ length: 40 }, () => ann.group([])));
    await eventually(async () => (await other.lag()) === 0);
    one.proxy.cut();
    for (const group of groups) await ann.send(group, 'while it is cut off');
    await eventually(async () => (await other.lag()) === 0);
    t.same(await one.kill('SIGTERM'), { code: 0, signal: null });
  },
);
