// P8: one of two nodes is killed and its connections all come back to the other one, each with what it has seen in `since`,
// while messages go on. Everything missed arrives, nothing twice; what that asks of Redis, MongoDB and the node is counted.
import { setTimeout as delay } from 'node:timers/promises';
import { type Bar, type BarResult, type Context, plainRow } from '../kit/bar.ts';
import type { Child } from '../kit/child.ts';
import { cpuBetween, markCpu, residentBytes } from '../kit/cpu.ts';
import { collectGarbage } from '../kit/gc.ts';
import { type Audit, addToAudit, newAudit } from '../kit/measure.ts';
import { CONV_SIZE, CONVS_PER_USER, fiveRoomsEach, type Scene } from '../kit/scene.ts';
import { withMongo, withRedis } from '../kit/services.ts';
import { type ClusterStage, connectUsers, stageCluster } from '../kit/stage.ts';

const LOADS = 2;
const SENDERS = 50;
/** Messages a second, each to all members of a room. */
const RATE = 25;
const TEXT_BYTES = 24;
/** Clients wait a random time up to this before they come back. */
const SPREAD_MS = 2_000;
const LOOK_MS = 20;
const GIVE_UP_MS = 180_000;
const BACKGROUND_MS = 3_000;

/** What the servers have been asked so far. */
interface Asked {
  readonly redis: Readonly<Record<string, number>>;
  readonly mongo: number;
}

async function askedOf({ redis, mongo }: ClusterStage): Promise<Asked> {
  const stats = await withRedis(redis.url, (client) => client.info('commandstats'));
  const calls = [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, count]) => [name, Number(count)]);
  const status = await withMongo(mongo.url, (client) => client.db('admin').command({ serverStatus: 1 }));
  const { query, command, getmore, insert, update } = status.opcounters as Record<string, number>;
  const operations = [query, command, getmore, insert, update].reduce<number>((sum, count = 0) => sum + count, 0);
  return { redis: Object.fromEntries(calls) as Record<string, number>, mongo: operations };
}

/** Reads of the log: what a wave of reconnections asks of Redis. */
const READS = ['hmget', 'hget', 'xrange'];

function readsOf({ redis }: Asked): number {
  return READS.reduce((sum, name) => sum + (redis[name] ?? 0), 0);
}

interface Storm {
  readonly seconds: number;
  readonly redisReads: number;
  readonly mongoOperations: number;
  readonly cpuUs: number;
  readonly peakBytes: number;
  readonly pulled: number;
}

/** Two nodes; everybody on the first, the owners of some rooms on the second too, and write from there. */
async function stageStorm(scene: Scene, { say }: Context) {
  const each = await stageCluster({ scene, nodes: 2, loads: LOADS, say });
  const [doomed, survivor] = each.nodes as [Child, Child];
  const [doomedPort, survivorPort] = each.ports as [number, number];
  await connectUsers(each, 0, scene.users, { ports: [doomedPort] });
  const rooms = Array.from({ length: SENDERS }, (_, index) => index % scene.convs.length);
  await each.load.connect(
    [survivorPort],
    rooms.map((conv) => each.token(scene.convs[conv]?.members[0] ?? 0)),
  );
  const sources = rooms.map((conv, index) => ({ client: scene.users + index, conv: each.source(conv).conv }));
  await each.load.begin({ kind: 'open', rate: RATE, textBytes: TEXT_BYTES, sources });
  return { each, doomed, survivor, survivorPort };
}

/** What the servers are asked in a second at this load, when nothing happens. */
async function backgroundOf(each: ClusterStage): Promise<{ readonly reads: number; readonly operations: number }> {
  await delay(1_000);
  const before = await askedOf(each);
  await delay(BACKGROUND_MS);
  const after = await askedOf(each);
  const seconds = BACKGROUND_MS / 1_000;
  return { reads: (readsOf(after) - readsOf(before)) / seconds, operations: (after.mongo - before.mongo) / seconds };
}

/** @returns the most memory the node left took meanwhile, bytes */
async function allBack({ load }: ClusterStage, users: number, survivor: Child): Promise<number> {
  const start = performance.now();
  for (let peakBytes = 0; ; ) {
    await delay(LOOK_MS);
    peakBytes = Math.max(peakBytes, residentBytes(survivor.pid));
    const { returned, trouble } = await load.counts();
    if (returned >= users) return peakBytes;
    if (performance.now() - start > GIVE_UP_MS)
      throw new Error(`only ${returned} of ${users} came back: ${JSON.stringify(trouble)}\n${survivor.errors}`);
  }
}

/** Per connection that came back; what the cluster is asked anyway at this load is taken off. */
async function stormOf(scene: Scene, context: Context, audit: Audit): Promise<Storm> {
  const { users } = scene;
  const { each, doomed, survivor, survivorPort } = await stageStorm(scene, context);
  const background = await backgroundOf(each);
  await collectGarbage(survivor);
  await delay(500);
  const baseBytes = residentBytes(survivor.pid);
  await each.load.comeBackOn(survivorPort, SPREAD_MS);
  const before = await askedOf(each);
  const cpu = markCpu(survivor.pid);
  const start = performance.now();
  doomed.signal('SIGKILL');
  const peakBytes = await allBack(each, users, survivor);
  const seconds = (performance.now() - start) / 1_000;
  const cpuUs = cpuBetween(cpu, markCpu(survivor.pid));
  const after = await askedOf(each);
  const totals = await each.load.settle();
  addToAudit(audit, totals);
  await each.stop();
  context.say(`${users} came back in ${seconds.toFixed(1)} s; on the way: ${JSON.stringify(totals.trouble)}`);
  return {
    seconds,
    redisReads: (readsOf(after) - readsOf(before) - background.reads * seconds) / users,
    mongoOperations: (after.mongo - before.mongo - background.operations * seconds) / users,
    cpuUs: cpuUs / users,
    peakBytes: (peakBytes - baseBytes) / users,
    pulled: totals.pulled / users,
  };
}

async function run(context: Context): Promise<BarResult> {
  const { quick } = context;
  const scene = fiveRoomsEach('storm', quick ? 1_000 : 10_000);
  const audit = newAudit();
  const storms: Storm[] = [];
  for (let repeat = 0; repeat < (quick ? 1 : Math.min(context.repeats, 3)); repeat++) {
    storms.push(await stormOf(scene, context, audit));
  }
  const pick = (name: keyof Storm) => storms.map((storm) => storm[name]);
  const who = `${scene.users} connections with ${CONVS_PER_USER} rooms of ${CONV_SIZE}`;
  const rows = [
    plainRow({
      what: `a node is killed: until all are back with gaps filled, ${who}, spread over ${SPREAD_MS / 1_000} s`,
      unit: 's',
      servers: pick('seconds'),
      limit: 'all back, 0 lost',
      isMet: () => audit.lost + audit.repeated + audit.reordered === 0,
    }),
    plainRow({ what: 'reads of Redis per connection that comes back', unit: '', servers: pick('redisReads') }),
    plainRow({
      what: 'operations of MongoDB per connection that comes back',
      unit: '',
      servers: pick('mongoOperations'),
      limit: '0',
      isMet: (operations) => operations < 0.05,
    }),
    plainRow({ what: 'CPU of the node left per connection that comes back', unit: 'µs', servers: pick('cpuUs') }),
    plainRow({
      what: 'memory the node left took at its peak, per connection',
      unit: 'kB',
      servers: pick('peakBytes').map((bytes) => bytes / 1_024),
    }),
    plainRow({ what: 'changes pulled instead of replayed, per connection', unit: '', servers: pick('pulled') }),
  ];
  return { rows, audit, loadCpu: 0, durability: 'Redis appendfsync always; MongoDB majority + journal' };
}

export const p8: Bar = { id: 'P8', title: 'reconnect storm', fullSeconds: 300, run };
