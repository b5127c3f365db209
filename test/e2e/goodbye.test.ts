// The server goes away in good order: it says so, finishes what it has taken, and exits with 0.
import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import { eventually, server } from '../kit/index.ts';

t.test('on SIGTERM every connection is told, then closed, and the process ends with 0', async (t) => {
  const s = await server(t);
  const clients = await s.clients('ann', 'bob', 'carl');
  const silent = await s.connection(clients[0].account).opened();
  const exited = s.stop('SIGTERM');
  for (const client of [...clients, silent]) {
    const bye = await client.next('bye');
    t.same(bye, { t: 'bye', after: bye.after, code: 4000 });
    t.ok(bye.after > 0 && bye.after < 60_000);
    t.same(await client.ended(), { code: 4000, reason: 'going_away' });
  }
  t.same(await exited, { code: 0, signal: null });
});

t.test('what it has taken is finished and acknowledged before the close', async (t) => {
  const s = await server(t);
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  const sends = Array.from({ length: 500 }, (_, index) =>
    ann.request({ t: 'message', conv: group, text: `text ${index}` }),
  );
  await bob.next('message');
  const exited = s.stop('SIGTERM');
  const answers = await Promise.allSettled(sends);
  t.match(await exited, { code: 0 });
  await ann.ended();
  const acknowledged = answers.filter(
    ({ status, ...rest }) => status === 'fulfilled' && 'value' in rest && rest.value.t === 'ok',
  );
  t.ok(acknowledged.length > 0);
  await s.restart();
  const device = await ann.device();
  t.ok((await device.allMessages(group)).length >= acknowledged.length);
});

t.test('while it drains it is not ready, and takes no new connection', async (t) => {
  const s = await server(t);
  const clients = await s.clients('ann', 'bob', 'carl', 'dora', 'emil', 'fred');
  t.match(await s.http('GET', '/ready'), { status: 200, body: { missing: [] } });
  t.match(await s.http('GET', '/health'), { status: 200, body: { status: 'ok' } });
  const exited = s.stop('SIGTERM');
  await Promise.any(clients.map((client) => client.next('bye')));
  const ready = await s.http('GET', '/ready').catch(() => null);
  if (ready !== null) t.match(ready, { status: 503, body: { missing: ['draining'] } });
  const late = new WebSocket(s.socketUrl);
  const outcome = await Promise.race([
    once(late, 'unexpected-response').then(([, response]) => (response as { statusCode: number }).statusCode),
    once(late, 'open').then(() => 'open'),
  ]).catch(() => 'refused');
  t.ok(outcome === 503 || outcome === 'refused', String(outcome));
  await Promise.all(clients.map((client) => client.ended()));
  t.match(await exited, { code: 0 });
  await eventually(() =>
    s
      .http('GET', '/health')
      .then(() => false)
      .catch(() => true),
  );
});

t.test('a second signal changes nothing', async (t) => {
  const s = await server(t);
  const ann = await s.client('ann');
  const exited = s.stop('SIGTERM');
  void s.stop('SIGTERM');
  void s.stop('SIGINT');
  t.match(await ann.ended(), { code: 4000 });
  t.same(await exited, { code: 0, signal: null });
});
