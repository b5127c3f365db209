// F1 at named points, a cluster: a node is killed exactly before its append reaches Redis, when Redis has made it durable and
// its answer has not reached the node, and when the store has a batch and the log has not let go of it.
import t from 'tap';
import { TRIM } from '../../src/adapters/redis/log-scripts.ts';
import type { Node } from '../kit/nodes.ts';
import { often } from '../kit/often.ts';
import type { Way } from '../kit/tcp-proxy.ts';
import { soon } from '../kit/waiting.ts';
import { conclude, startRun } from './cluster-run.ts';

const KILLS = often(10, 3);

t.setTimeout(600_000);

interface Point {
  readonly what: string;
  /** What passes between node and Redis in that moment. */
  readonly isIt: (way: Way, bytes: Buffer) => boolean;
  /** What is durable then has lost its answer. */
  readonly losesAnswers?: true;
  readonly env?: Readonly<Record<string, string>>;
}

/** The only script with such a key is the one that appends (log-append.lua, KEYS). */
const APPEND_KEY = /evalsha.*chat:\{\d+\}:ahead\r\n/is;
/** How its answer begins when the batch is in the log: an array, first its status, then a number. */
const APPEND_OK = /^\*[45]\r\n\$2\r\nok\r\n:\d/;

/** This script goes as it is. */
const TRIM_WORDS = TRIM.text.slice(0, 80);

const POINTS: readonly Point[] = [
  {
    what: 'before its append is made',
    isIt: (way, bytes) => way === 'up' && APPEND_KEY.test(bytes.toString('latin1')),
  },
  {
    what: 'when its append is durable, before `ok` has left',
    isIt: (way, bytes) => way === 'down' && APPEND_OK.test(bytes.toString('latin1')),
    losesAnswers: true,
  },
  {
    what: 'when a batch is stored, before the log lets go of it',
    isIt: (way, bytes) => way === 'up' && bytes.includes(TRIM_WORDS),
    // It is trimmed often.
    env: { CHAT_LOG_BUDGET_BYTES: '4194304' },
  },
];

/** Resolves when one of the nodes has come to the point and is dead. */
function killAt({ isIt }: Point, nodes: readonly Node[]): Promise<Node> {
  const { promise, resolve } = Promise.withResolvers<Node>();
  const pass = (node: Node) =>
    node.proxy.stopAt(
      () => false,
      () => undefined,
    );
  for (const node of nodes) {
    node.proxy.stopAt(isIt, () => {
      for (const other of nodes) if (other !== node) pass(other);
      void node.kill('SIGKILL').then(() => resolve(node));
    });
  }
  return soon(promise, () => 'no node came to this point');
}

for (const point of POINTS) {
  t.test(`kill -9 of a node ${point.what}, ${KILLS} times: nothing is lost, nothing is there twice`, async (t) => {
    const { cluster, run } = await startRun(t, { hasProxies: true, env: point.env ?? {} });
    for (let kills = 0; kills < KILLS; kills++) {
      await run.after(1 + run.random.whole(60));
      const node = await killAt(point, cluster.nodes);
      node.proxy.heal();
      await run.after(20);
      await node.start();
      run.meet(...cluster.nodes);
    }
    const { answersLost } = run;
    if (point.losesAnswers) t.ok(answersLost >= KILLS / 2, `${answersLost} writes were made and lost their answer`);
    await conclude(t, run, cluster);
  });
}
