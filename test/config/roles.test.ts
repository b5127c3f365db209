// CHAT_ROLES: what a process does, and what it refuses to do because others do it.
import t from 'tap';
import { freePort } from '../../ops/service/launch.ts';
import { idleCluster } from '../kit/nodes.ts';
import { startProgram } from '../kit/process.ts';
import { eventually } from '../kit/waiting.ts';

t.setTimeout(180_000);

t.test('three processes of one role each are a server together: HTTP, sockets, the way into the store', async (t) => {
  const world = await idleCluster(t, { size: 1 });
  const env = world.nodes[0]?.env ?? {};
  const start = async (role: string) => {
    const port = await freePort();
    const program = await startProgram(t, { env: { ...env, CHAT_ROLES: role, CHAT_PORT: `${port}` } });
    await program.wrote(/^listening on/m);
    return { program, url: `http://127.0.0.1:${port}` };
  };
  const [api, gateway, persist] = await Promise.all([start('api'), start('gateway'), start('persist')]);
  const post = async (path: string, body: object, token = '') => {
    const headers = {
      'content-type': 'application/json',
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
    };
    const answer = await fetch(`${api.url}/api/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, body: (await answer.json()) as Record<string, string> };
  };
  const person = { username: 'ann', email: 'ann@example.com', password: 'correct horse battery' };
  const { body } = await post('auth/register', person);
  const { access = '' } = body;
  const conv = (await post('conversations', { kind: 'group', title: 'By three' }, access)).body.conv;

  await t.test('the gateway takes sockets and no API', async (t) => {
    t.equal((await fetch(`${gateway.url}/api/v1/rooms`)).status, 404);
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`);
    t.teardown(() => socket.close());
    const heard: { t: string; convs?: { conv: string }[] }[] = [];
    socket.onmessage = ({ data }) => heard.push(JSON.parse(String(data)));
    socket.onopen = () => socket.send(JSON.stringify({ t: 'hello', id: 'hello-01', token: access }));
    await eventually(() => heard.some(({ t }) => t === 'ready'));
    t.match(heard.find(({ t }) => t === 'ready')?.convs, [{ conv }]);
    socket.send(JSON.stringify({ t: 'message', id: 'message-01', conv, text: 'through the gateway' }));
    await eventually(() => heard.some(({ t }) => t === 'ok'));
  });

  await t.test('the API takes no sockets', async (t) => {
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/ws`);
    const { type } = await new Promise<Event>((resolve) => {
      socket.onopen = resolve;
      socket.onerror = resolve;
    });
    t.equal(type, 'error');
  });

  await t.test('the persister stores what the others wrote, and serves its health', async (t) => {
    t.equal((await fetch(`${persist.url}/api/v1/rooms`)).status, 404);
    t.equal((await fetch(`${persist.url}/ready`)).status, 200);
    await eventually(() => world.withMongo(async (db) => (await db.collection('changes').countDocuments()) === 2));
  });

  await t.test('without a persister sends go on, and what they wrote is stored when one comes', async (t) => {
    await persist.program.kill();
    const written = await post(`conversations/${conv}/messages`, { text: 'nobody stores this yet' }, access);
    t.equal(written.status, 201);
    await start('persist');
    await eventually(() => world.withMongo(async (db) => (await db.collection('changes').countDocuments()) === 3));
  });
});
