// Fifty at a time: what must have one outcome has one, whoever comes first.
import t from 'tap';
import { type Client, server } from '../kit/index.ts';

const s = await server(t);
const TIMES = 50;

function times<Value>(make: (index: number) => Promise<Value>, count = TIMES): Promise<Value[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => make(index)));
}

t.test('a direct opened from both sides at once is one', async (t) => {
  const people = await s.clients('ann', 'bob', 'carl', 'dora', 'emil', 'fred');
  const pairs = people.flatMap((one, index) => people.slice(index + 1).map((other) => [one, other] as const));
  for (const [one, other] of pairs) {
    const opened = await times(
      (index) =>
        (index % 2 === 0 ? one : other).http('POST', 'conversations', {
          kind: 'direct',
          members: [(index % 2 === 0 ? other : one).id],
        }),
      10,
    );
    t.equal(new Set(opened.map(({ body }) => body.conv)).size, 1);
    t.same(opened.map(({ status }) => status).sort(), [...Array(9).fill(200), 201]);
  }
  const [ann] = people;
  t.equal((await ann.http('GET', 'conversations')).body.items.length, people.length - 1);
});

t.test('one creation key makes one conversation', async (t) => {
  const ann = await s.client('ann');
  const made = await times((index) =>
    ann.http('POST', 'conversations', { kind: 'group', title: `${index}` }, { key: 'one-creation-key' }),
  );
  t.equal(new Set(made.map(({ body }) => body.conv)).size, 1);
  t.equal(new Set(made.map(({ body }) => body.title)).size, 1);
  t.equal(made.filter(({ status }) => status === 201).length, 1);
  t.equal((await ann.http('GET', 'conversations')).body.items.length, 1);
});

t.test('of the last owners who leave or step down at once, one stays', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const owners = [ann, bob];
  const stepDown = async (owner: Client, group: string) => {
    const { status } = await owner.http('PATCH', `conversations/${group}/members/${owner.id}`, { role: 'member' });
    return status === 200;
  };
  const leave = async (owner: Client, group: string) => {
    const answer = await owner.request({ t: 'leave', conv: group });
    return answer.t === 'ok';
  };
  const outcomes = await times(async (index) => {
    const group = await ann.group([bob, carl]);
    await ann.setRole(group, bob, 'owner');
    const went = await Promise.all(
      owners.map((owner, at) => ((index + at) % 2 === 0 ? leave : stepDown)(owner, group)),
    );
    const left = Object.values(await carl.members(group)).filter((role) => role === 'owner');
    return { went: went.filter(Boolean).length, owners: left.length };
  });
  t.same(outcomes, Array(TIMES).fill({ went: 1, owners: 1 }));
});

t.test('a kick against sends: what is acknowledged is before the kick, all else is refused', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  for (let round = 0; round < 10; round++) {
    const group = await ann.group([bob]);
    await bob.hears(group);
    const sends = times((index) => bob.request({ t: 'message', conv: group, text: `text ${index}` }));
    await ann.kick(group, bob);
    const answers = await sends;
    const kicked = (await ann.sync(group, 0, 500)).items.find((item) => item.is === 'member' && item.user === bob.id);
    const acknowledged = answers.flatMap((answer) => (answer.t === 'ok' ? [answer.seq ?? 0] : []));
    t.ok(acknowledged.every((seq) => seq < (kicked?.rev ?? 0)));
    t.ok(answers.every((answer) => answer.t === 'ok' || (answer.t === 'error' && answer.code === 'not_found')));
    t.equal((await ann.allMessages(group)).length, acknowledged.length);
    await bob.next('gone', { conv: group });
  }
});

t.test('joins and leaves of one user at once end in one standing, the same for all', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const devices = [bob, await bob.device(), await bob.device()];
  const room = await ann.room();
  await times((index) => {
    const device = devices[index % devices.length] as Client;
    return device.request({ t: index % 2 === 0 ? 'join' : 'leave', conv: room });
  });
  const isIn = (await ann.members(room))[bob.id] === 'member';
  t.equal(
    (await bob.device()).ready.convs.some(({ conv }) => conv === room),
    isIn,
  );
  const answer = await bob.request({ t: 'history', conv: room });
  t.equal(answer.t, isIn ? 'history' : 'error');
  const acts = (await ann.sync(room, 0, 500)).head;
  t.ok(acts >= 2);
  await Promise.all(devices.map((device) => device.fence()));
});

t.test('fifty joins at once are fifty members, each once', async (t) => {
  const [ann, ...joiners] = await s.clients('ann', ...Array.from({ length: 10 }, (_, index) => `joiner-${index}`));
  const room = await (ann as Client).room();
  const answers = await times((index) => (joiners[index % 10] as Client).join(room));
  t.equal(answers.filter(({ seq }) => seq !== undefined).length, 10);
  t.equal(Object.keys(await (ann as Client).members(room)).length, 11);
  t.equal((await (ann as Client).sync(room, 0)).head, 11);
});

t.test('edits and deletions of one message at once end deleted', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const { seq } = await ann.send(group, 'text');
  const second = await ann.device();
  await times((index) =>
    index === 25
      ? second.request({ t: 'delete', conv: group, seq, for: 'all' })
      : ann.request({ t: 'edit', conv: group, seq, text: `edit ${index}` }),
  );
  t.match((await bob.history(group)).items, [{ deleted: true, text: '' }]);
});

t.test('hellos against the logout of their session: in the end all sockets are closed', async (t) => {
  const cheap = await server(t, { cheapPasswords: true });
  const codes = await times(async () => {
    const { account } = await cheap.client('ann');
    const connections = await times(() => cheap.connection(account).opened(), 10);
    const logout = cheap.http('POST', 'auth/logout', undefined, { token: account.access });
    for (const connection of connections) {
      connection.request({ t: 'hello', token: account.access }).catch(() => {});
      await cheap.http('GET', '/health');
    }
    t.equal((await logout).status, 204);
    return Promise.all(connections.map(async (connection) => (await connection.ended()).code));
  });
  const count = (code: number) => codes.flat().filter((found) => found === code).length;
  t.comment(`${count(4500)} came too late, ${count(4503)} were closed`);
  t.equal(count(4500) + count(4503), codes.flat().length);
});
