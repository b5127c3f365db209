// A node that hears from Redis late: what it loads from the store may be newer than what it has read of the log.
import t from 'tap';
import { cluster } from '../kit/nodes.ts';
import { often } from '../kit/often.ts';
import { eventually } from '../kit/waiting.ts';
import { conclude, startRun } from './cluster-run.ts';
import { isReady } from './run.ts';

const COMINGS = often(12, 4);
const FAR_MS = 300;

t.setTimeout(300_000);

t.test('clients that come to a node which reads the log late miss nothing and are told nothing twice', async (t) => {
  const { cluster: world, run } = await startRun(t, { hasProxies: true });
  const [late, other] = world.pair;
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
  await conclude(t, run, world);
});

t.test(
  'who joins on one node while saying hello to another, which hears of it late, is told of the room',
  async (t) => {
    const { pair } = await cluster(t, { hasProxies: true });
    const [late, other] = pair;
    const [ann, bob] = await Promise.all([other.client('ann'), other.client('bob')]);
    const room = await ann.room();
    await eventually(async () => (await other.lag()) === 0);
    // It has not heard of the room's creation, and nobody there is in it.
    await late.restart('SIGTERM');
    await late.client('carl');
    late.proxy.delay(FAR_MS);
    const [device] = await Promise.all([bob.device({}, late), bob.join(room)]);
    late.proxy.heal();
    const { seq } = await ann.send(room, 'welcome');
    await device.next('message', { conv: room, seq });
    const isListed = device.ready.convs.some(({ conv }) => conv === room);
    t.ok(
      isListed || device.changes(room)[0]?.t === 'member',
      'it is in `ready`, or the change that let bob in was pushed',
    );
  },
);

t.test('who comes to a node that is behind what the others have stored already is told nothing twice', async (t) => {
  const { pair } = await cluster(t, { hasProxies: true });
  const [late, other] = pair;
  const [ann, bob] = await Promise.all([other.client('ann'), other.client('bob')]);
  const group = await ann.group([bob]);
  await eventually(async () => (await other.lag()) === 0);
  await late.restart('SIGTERM');
  await late.client('carl');
  late.proxy.cut();
  for (let count = 1; count <= 5; count++) await ann.send(group, `message ${count}`);
  await eventually(async () => (await other.lag()) === 0);
  // It may let him in, not knowing better, or say that it cannot.
  const early = await bob.device({}, late).catch(() => null);
  late.proxy.heal();
  const device = early ?? (await eventually(() => bob.device({}, late)));
  const { seq } = await ann.send(group, 'the last');
  await device.next('message', { conv: group, seq });
  t.same(
    device.changes(group).map((change) => change.seq),
    [seq],
  );
});
