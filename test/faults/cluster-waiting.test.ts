// Services that are not there: at the start they are waited for, with a word about it; later they are found again.
import t from 'tap';
import { freePort } from '../../ops/service/launch.ts';
import { idleCluster } from '../kit/nodes.ts';
import { startProgram } from '../kit/process.ts';
import { eventually } from '../kit/waiting.ts';

t.setTimeout(120_000);

t.test(
  'a node started before MongoDB and Redis says what it waits for, and accepts as soon as they are there',
  async (t) => {
    const world = await idleCluster(t, { hasOwnMongo: true, size: 1 });
    await Promise.all([world.redis.kill(), world.mongo.kill()]);
    const [node] = world.nodes;
    const port = await freePort();
    const program = await startProgram(t, { env: { ...node?.env, CHAT_PORT: `${port}` } });
    const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    await program.wrote(/waiting for MongoDB/);
    await eventually(async () => (await ask('/health')).status === 200);
    t.same(await (await ask('/ready')).json(), { missing: ['mongodb'] });
    const refused = await ask('/api/v1/rooms');
    t.match([refused.status, await refused.json()], [503, { code: 'unavailable' }]);
    await world.mongo.start();
    await program.wrote(/waiting for Redis/);
    await eventually(async () => (await (await ask('/ready')).text()).includes('"redis"'));
    t.equal(program.stdout, '', 'it does not say yet that it listens');
    await world.redis.start();
    t.match(await program.wrote(/^listening on (\S+)\n/m), [/listening/, `http://127.0.0.1:${port}`]);
    t.equal((await ask('/ready')).status, 200, 'on the port that it had from the beginning');
    t.same(await program.kill('SIGTERM'), { code: 0, signal: null });
  },
);

t.test('SIGTERM ends a node that still waits', async (t) => {
  const world = await idleCluster(t, { hasOwnMongo: true, size: 1 });
  await world.mongo.kill();
  const [node] = world.nodes;
  const program = await startProgram(t, { env: { ...node?.env, CHAT_DRAIN_TIME: '0s' } });
  await program.wrote(/waiting for MongoDB/);
  const { code } = await program.kill('SIGTERM');
  t.type(code, 'number', 'by itself');
});

t.test(
  'Redis or MongoDB gone for a while: refused as `unavailable`, connections stay, taken again by itself',
  async (t) => {
    const world = await idleCluster(t, { hasOwnMongo: true, env: { CHAT_LOG_LEVEL: 'silent' } });
    await Promise.all(world.nodes.map((node) => node.start()));
    const [one, two] = world.pair;
    const [ann, bob] = await Promise.all([one.client('ann'), two.client('bob')]);
    const group = await ann.group([bob]);
    await bob.hears(group);

    await world.redis.kill();
    t.match(await ann.refused({ t: 'message', conv: group, text: 'without a log' }), {
      code: 'unavailable',
      retry: true,
    });
    t.match(await ann.history(group), { stale: true });
    t.ok(ann.isOpen && bob.isOpen, 'the connections stay');
    await world.redis.start();
    await eventually(() => ann.send(group, 'with a log'));
    await bob.next('message', { text: 'with a log' });

    await world.mongo.kill();
    await ann.send(group, 'without a store');
    await bob.next('message', { text: 'without a store' });
    const login = { login: 'ann', password: 'correct horse battery' };
    t.equal((await one.http('POST', 'auth/login', login)).status, 503, 'nobody is let in unseen');
    await world.mongo.start();
    await eventually(async () => (await one.http('POST', 'auth/login', login)).status === 200);
    await eventually(async () => (await one.lag()) === 0);
    t.ok(ann.isOpen && bob.isOpen, 'and still stay');
  },
);
