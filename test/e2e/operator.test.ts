// What an operator sees: logs that hold nothing of what people say or know, and numbers that count what happened.
import t from 'tap';
import { eventually, server } from '../kit/index.ts';

const CANARY = 'canary-8qk2';
const PASSWORD = `${CANARY} a password`;

t.test('no message, token, password or address of a person is in the log, at its most talkative', async (t) => {
  const s = await server(t, { env: { CHAT_LOG_LEVEL: 'trace' } });
  const email = `${CANARY}@example.org`;
  const registered = await s.http('POST', 'auth/register', { email, username: 'ann', password: PASSWORD });
  t.equal(registered.status, 201);
  const { user, access, refresh } = registered.body as unknown as {
    user: { id: string };
    access: string;
    refresh: string;
  };
  await s.http('POST', 'auth/login', { login: email, password: `${PASSWORD} wrong` });
  await s.http('POST', 'auth/refresh', { refresh: `${CANARY}-refresh` });
  await s.http('GET', `users?q=${CANARY}`, undefined, { token: access });
  await s.http('POST', 'auth/register', { email, username: `${CANARY} no name`, password: PASSWORD });
  const ann = await s.connection({ id: user.id, name: 'ann', access, refresh }).opened();
  await ann.ask('ready', { t: 'hello', token: access, device: CANARY });
  const group = await ann.group([], { title: `${CANARY} title` });
  const { seq } = await ann.send(group, `${CANARY} text`);
  await ann.edit(group, seq, `${CANARY} edited`);
  ann.ws.send(`{"t":"message","conv":"${CANARY}"`);
  await ann.nextError();
  await ann.refused({ t: 'message', conv: group, text: '', files: [CANARY] });
  await ann.refused({ t: 'renew', token: `${CANARY}-token` });
  await ann.ended();
  await fetch(`${s.url}/ws?token=${CANARY}`).catch(() => null);
  await fetch(`${s.url}/api/v1/users/me?access_token=${CANARY}`, { headers: { authorization: `Bearer ${CANARY}` } });
  const exit = await s.stop('SIGTERM');
  t.match(exit, { code: 0 });
  const { stdout, stderr } = s.process;
  t.match(stdout, /^listening on http:\/\/127\.0\.0\.1:\d+\n$/);
  t.ok(stderr.length > 0);
  for (const secret of [CANARY, access, refresh, access.split('.')[2] ?? '']) t.notOk(stderr.includes(secret));
  for (const line of stderr.trim().split('\n')) t.type(JSON.parse(line).level, 'number');
});

t.test('metrics count what happened', async (t) => {
  const s = await server(t);
  const read = async () => {
    const { body, headers } = await s.http('GET', '/metrics');
    t.match(headers.get('content-type'), /^text\/plain/);
    const lines = (body.text as string).matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm);
    return new Map([...lines].map(([, name, value]) => [name as string, Number(value)]));
  };
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  const before = await read();
  for (let count = 0; count < 10; count++) await ann.send(group, `text ${count}`, { id: `metrics-id-${count}` });
  await ann.send(group, 'again', { id: 'metrics-id-0' });
  await bob.next('message', { n: 10 });
  await ann.refused({ t: 'edit', conv: group, seq: 999, text: 'x' });
  await (await bob.device()).close();
  const since = (after: Map<string, number>, name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  const after = await eventually(async () => {
    const now = await read();
    if (now.get('chat_connections') !== 2 || now.get('chat_watermark_lag_changes') !== 0) throw new Error('not yet');
    return now;
  });
  t.equal(since(after, 'chat_changes_appended_total'), 10);
  t.equal(since(after, 'chat_repeats_total'), 1);
  t.equal(since(after, 'chat_changes_delivered_total'), 20);
  t.equal(since(after, 'chat_errors_total{code="not_found"}'), 1);
  t.equal(since(after, 'chat_ack_seconds_count'), 11);
  t.ok((after.get('chat_tail_changes') ?? 0) >= 11);
  t.ok(after.has('process_resident_memory_bytes'));
});

t.test('metrics are for the machine itself, or for who has the token', async (t) => {
  const s = await server(t, { env: { CHAT_METRICS_TOKEN: 'a-token-of-sixteen-or-more' } });
  t.equal((await s.http('GET', '/metrics')).status, 404);
  t.equal((await s.http('GET', '/metrics', undefined, { token: 'a-token-of-sixteen-or-more' })).status, 200);
  t.equal((await s.http('GET', '/ready')).status, 200);
  t.equal((await s.http('GET', '/health')).status, 200);
});
