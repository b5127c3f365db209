// What was acknowledged is there after a drain and after a crash, and who reconnects misses nothing.
import { randomUUIDv7 } from 'node:crypto';
import t from 'tap';
import { eventually, Replica, type Sent, server, Unanswered } from '../kit/index.ts';

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(`after ${signal} everything is there, and sockets go on where they were`, async (t) => {
    const s = await server(t);
    const [ann, bob] = await s.clients('ann', 'bob');
    const group = await ann.group([bob], { title: 'Plans' });
    const room = await ann.room({ title: 'Lobby', topic: 'talk' });
    await bob.join(room);
    const sent = [];
    for (let count = 0; count < 20; count++) sent.push(await ann.send(group, `text ${count}`));
    const [first, second] = sent as [Sent, Sent];
    await ann.edit(group, first.seq, 'edited');
    const { seq = 0 } = await ann.remove(group, second.seq);
    await ann.setRole(group, bob, 'moderator');
    await bob.next('delete', { seq });
    await bob.next('member', { what: 'role' });
    const before = {
      history: await ann.allMessages(group),
      members: await ann.members(group),
      sync: await ann.pull(group),
      list: (await bob.http('GET', 'conversations')).body,
    };
    const since = bob.since();
    await s.restart(signal);
    const [annAgain, bobAgain] = await Promise.all([ann.device(), bob.device({ since })]);
    for (const conv of [group, room]) await bobAgain.next('caught_up', { conv: conv, seq: since.convs[conv] ?? 0 });
    const again = {
      history: await annAgain.allMessages(group),
      members: await annAgain.members(group),
      sync: await annAgain.pull(group),
      list: (await bobAgain.http('GET', 'conversations')).body,
    };
    const withoutIds = (value: unknown) => JSON.parse(JSON.stringify(value).replaceAll(/"id":"[^"]*",/g, ''));
    t.same(withoutIds(again), withoutIds(before));
    const next = await annAgain.send(group, 'after');
    t.equal(next.seq, seq + 2);
    t.match(await bobAgain.next('message'), { seq: next.seq, text: 'after' });
    const login = await s.http('POST', 'auth/login', { login: 'ann', password: 'correct horse battery' });
    t.equal(login.status, 200);
    const refreshed = await s.http('POST', 'auth/refresh', { refresh: ann.account.refresh });
    t.equal(refreshed.status, 200);
  });
}

t.test('killed again and again while writing, nothing acknowledged is lost, and nothing is there twice', async (t) => {
  const s = await server(t);
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const acknowledged = new Map<string, Sent>();
  const replica = new Replica();
  let follower = bob;
  let number = 0;
  for (let round = 0; round < 4; round++) {
    const writer = await ann.device();
    const unsure: string[] = [];
    const send = async (id: string) => {
      const text = `message ${number++}`;
      try {
        acknowledged.set(id, await writer.send(group, text, { id }));
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        unsure.push(id);
      }
    };
    const sends = Array.from({ length: 400 }, () => send(randomUUIDv7()));
    await eventually(() => acknowledged.size >= 100 * (round + 1));
    const since = { epoch: follower.ready.epoch, convs: { [group]: replica.cursor } };
    await s.restart('SIGKILL');
    await Promise.all(sends);
    for (const change of follower.changes(group)) replica.push(change);
    follower = await bob.device({ since: { ...since, convs: { [group]: replica.cursor } } });
    const again = await ann.device();
    await Promise.all(unsure.map(async (id) => acknowledged.set(id, await again.send(group, 'repeated', { id }))));
  }
  const history = await follower.allMessages(group);
  t.equal(history.length, acknowledged.size);
  t.same(
    new Map(history.map(({ key, seq, n, at }) => [key, { seq, n, at }])),
    new Map([...acknowledged].map(([id, { seq, n, at }]) => [id, { seq, n, at }])),
  );
  t.comment(`${history.length} messages over 4 crashes`);
  await follower.next('message', { seq: history.at(-1)?.seq ?? 0 });
  for (const change of follower.changes(group)) replica.push(change);
  t.same(replica.messages, history);
});
