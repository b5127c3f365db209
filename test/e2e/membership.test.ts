// Who is in a conversation, who may change that, and what everybody hears of it.
import t from 'tap';
import { type Client, server } from '../kit/index.ts';

const s = await server(t);

function codeOf(client: Client, frame: { t: string; conv: string }): Promise<string> {
  return client.refused({ ...frame }).then(({ code }) => code);
}

t.test('a conversation begins with its creation, which names its members', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const key = 'creation-of-a-group';
  const fields = { kind: 'group', members: [bob.id], title: 'Plans', topic: 'what to do' };
  const { status, body } = await ann.http('POST', 'conversations', fields, { key });
  t.equal(status, 201);
  t.match(body, { kind: 'group', title: 'Plans', topic: 'what to do', role: 'owner', seq: 1, n: 0, read: 0 });
  const { conv } = body;
  const members = [
    { user: ann.id, role: 'owner' },
    { user: bob.id, role: 'member' },
  ];
  for (const client of [ann, bob]) {
    const push = await client.next('conv', { conv: conv });
    const { at } = push;
    t.same(push, {
      t: 'conv',
      conv,
      seq: 1,
      from: ann.id,
      at,
      key,
      kind: 'group',
      title: 'Plans',
      topic: 'what to do',
      members,
    });
  }
  const again = await ann.http('POST', 'conversations', { ...fields, title: 'Other' }, { key });
  t.match(again, { status: 200, body: { conv, title: 'Plans' } });
});

t.test('who joins a public room gets pushes from the change that let them in', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const room = await ann.room({ title: 'Lobby' });
  await ann.send(room, 'before');
  for (const type of ['sync', 'history', 'message', 'read'] as const) {
    const fields = { sync: { after: 0 }, history: {}, message: { text: 'x' }, read: { n: 0 } }[type];
    t.equal(await codeOf(bob, { t: type, conv: room, ...fields }), 'forbidden', `${type} by who is not in`);
  }
  const joined = await bob.join(room);
  const { at } = joined;
  const push = {
    t: 'member',
    conv: room,
    seq: 3,
    from: bob.id,
    at,
    key: joined.id,
    user: bob.id,
    what: 'join',
    role: 'member',
  };
  t.same(await bob.next('member'), push);
  t.same(await ann.next('member'), push);
  await ann.send(room, 'after');
  t.match(await bob.next('message'), { seq: 4, text: 'after' });
  t.equal((await bob.allMessages(room)).length, 2, 'the whole history may be read');
  t.match(await bob.join(room), { seq: undefined }, 'joining twice');
});

t.test('who leaves gets that change, then gone, then nothing', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  const second = await bob.device();
  const left = await bob.leave(group);
  for (const device of [bob, second]) {
    t.match(await device.next('member'), { seq: left.seq, what: 'leave', user: bob.id });
    t.same(await device.next('gone'), { t: 'gone', conv: group });
  }
  t.match(await ann.next('member'), { what: 'leave', from: bob.id });
  await ann.send(group, 'not for bob');
  await ann.next('message');
  await bob.fence();
  t.equal(bob.changes(group).at(-1)?.seq, left.seq);
  t.equal(await codeOf(bob, { t: 'leave', conv: group }), 'not_found');
  t.equal(await codeOf(bob, { t: 'join', conv: group }), 'not_found', 'a group is joined by being added');
});

t.test('who is kicked gets that change, then gone, and nothing of it is served', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const group = await ann.group([bob, carl]);
  await bob.hears(group);
  await ann.kick(group, bob);
  t.match(await bob.next('member'), { what: 'kick', user: bob.id, from: ann.id });
  await bob.next('gone');
  for (const frame of [
    { t: 'message', text: 'x' },
    { t: 'edit', seq: 2, text: 'x' },
    { t: 'delete', seq: 2, for: 'all' },
    { t: 'sync', after: 0 },
    { t: 'history' },
    { t: 'read', n: 1 },
    { t: 'join' },
    { t: 'leave' },
  ]) {
    t.equal(await codeOf(bob, { ...frame, conv: group }), 'not_found', frame.t);
  }
  for (const path of [group, `${group}/messages`, `${group}/members`]) {
    t.match(await bob.http('GET', `conversations/${path}`), { status: 404, body: { code: 'not_found' } }, path);
  }
  t.match(await ann.members(group), { [ann.id]: 'owner', [carl.id]: 'member', [bob.id]: undefined });
  bob.signal({ t: 'typing', conv: group, on: true });
  await bob.fence();
  await ann.fence();
  t.notOk(ann.pushes.some((push) => push.t === 'typing'));
});

t.test('who is added gets the change that added them and what follows, those in stay as they are', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const group = await ann.group([bob]);
  await ann.send(group, 'before');
  const reply = await ann.http('POST', `conversations/${group}/members`, { users: [carl.id, bob.id, carl.id] });
  t.match(reply, {
    status: 200,
    body: {
      items: [
        { user: carl.id, role: 'member' },
        { user: bob.id, role: 'member' },
      ],
    },
  });
  const added = await carl.next('member');
  t.same(added, {
    t: 'member',
    conv: group,
    seq: 3,
    from: ann.id,
    at: added.at,
    user: carl.id,
    what: 'add',
    role: 'member',
  });
  await carl.send(group, 'hi');
  t.match(await bob.next('message', { text: 'hi' }), { seq: 4 });
  await bob.add(group, carl);
  t.equal((await ann.sync(group, 0)).head, 4);
  await ann.kick(group, carl);
  await carl.next('gone');
  await bob.add(group, carl);
  t.match(await carl.next('member', { what: 'add' }), { seq: 6 }, 'a member may bring somebody back');
});

t.test('coming back ends behind', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const behind = await bob.device({ since: { epoch: 'another', convs: { [group]: 1 } } });
  await behind.next('reset');
  await ann.kick(group, bob);
  await behind.next('gone');
  await ann.add(group, bob);
  t.match(await behind.next('member'), { what: 'add', seq: 3 });
  await ann.send(group, 'pushed');
  t.match(await behind.next('message'), { seq: 4 });
});

t.test('a private room is for the invited, who see no more than what it is called', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const room = await ann.room({ public: false, title: 'Secret', topic: 'plans' });
  t.equal(await codeOf(bob, { t: 'join', conv: room }), 'not_found');
  await ann.add(room, bob);
  const invited = await bob.next('member');
  t.same(invited, { t: 'member', conv: room, seq: 2, from: ann.id, at: invited.at, user: bob.id, what: 'invite' });
  await ann.send(room, 'not for bob yet');
  await ann.next('message');
  for (const frame of [{ t: 'sync', after: 0 }, { t: 'history' }, { t: 'message', text: 'x' }]) {
    t.equal(await codeOf(bob, { ...frame, conv: room }), 'not_found', frame.t);
  }
  const seen = await bob.http('GET', `conversations/${room}`);
  t.match(seen, { status: 200, body: { title: 'Secret', topic: 'plans', role: 'invited' } });
  t.match((await bob.device()).ready.convs, [{ conv: room, title: 'Secret', role: 'invited' }]);
  t.same(await ann.members(room), { [ann.id]: 'owner', [bob.id]: 'invited' });
  t.match(await bob.join(room), { seq: 4 });
  t.match(await bob.next('member', { what: 'join' }), { seq: 4 });
  await bob.send(room, 'here');
  t.equal((await bob.allMessages(room)).length, 2);
  await ann.add(room, carl);
  await carl.next('member', { what: 'invite' });
  await ann.kick(room, carl);
  t.match(await carl.next('member'), { what: 'kick' });
  await carl.next('gone');
  t.equal(await codeOf(carl, { t: 'join', conv: room }), 'not_found', 'an invitation may be taken back');
});

t.test('roles: owners give them, the last owner stays', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const group = await ann.group([bob, carl]);
  await ann.setRole(group, bob, 'moderator');
  t.match(await carl.next('member'), { what: 'role', role: 'moderator', user: bob.id, from: ann.id });
  const asBob = await bob.http('PATCH', `conversations/${group}/members/${carl.id}`, { role: 'owner' });
  t.match(asBob, { status: 403, body: { code: 'forbidden' } });
  const kick = await bob.http('DELETE', `conversations/${group}/members/${ann.id}`);
  t.match(kick, { status: 403, body: { code: 'forbidden' } });
  t.equal(await codeOf(ann, { t: 'leave', conv: group }), 'conflict');
  const down = await ann.http('PATCH', `conversations/${group}/members/${ann.id}`, { role: 'member' });
  t.match(down, { status: 409, body: { code: 'conflict' } });
  await ann.setRole(group, bob, 'owner');
  await ann.leave(group);
  t.same(await bob.members(group), { [bob.id]: 'owner', [carl.id]: 'member' });
  await bob.kick(group, carl);
  t.equal(await codeOf(bob, { t: 'leave', conv: group }), 'conflict', 'the last member is an owner');
});

t.test('a direct is one for two people, whoever opens it, and for them only', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const direct = await ann.direct(bob);
  t.equal(await bob.direct(ann), direct);
  t.match(await bob.http('POST', 'conversations', { kind: 'direct', members: [ann.id] }), {
    status: 200,
    body: { conv: direct, peer: ann.id },
  });
  t.equal(await codeOf(ann, { t: 'leave', conv: direct }), 'forbidden');
  t.equal(await codeOf(ann, { t: 'join', conv: direct }), 'forbidden');
  t.equal(await codeOf(carl, { t: 'join', conv: direct }), 'not_found');
  const add = await ann.http('POST', `conversations/${direct}/members`, { users: [carl.id] });
  t.match(add, { status: 403, body: { code: 'forbidden' } });
  t.same(await ann.members(direct), { [ann.id]: 'member', [bob.id]: 'member' });
  await bob.send(direct, 'hi');
  t.match(await ann.next('message', { conv: direct }), { text: 'hi' });
});

t.test('who changes the title is heard, and who deletes the conversation ends it for all', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob], { title: 'Old' });
  await bob.hears(group);
  const patched = await ann.http('PATCH', `conversations/${group}`, { title: 'New' }, { key: 'change-of-title' });
  t.match(patched, { status: 200, body: { title: 'New' } });
  const change = await bob.next('conv', { seq: 2 });
  t.same(change, { t: 'conv', conv: group, seq: 2, from: ann.id, at: change.at, key: 'change-of-title', title: 'New' });
  t.match(await bob.http('PATCH', `conversations/${group}`, { title: 'x' }), { status: 403 });
  t.match(await bob.http('DELETE', `conversations/${group}`), { status: 403 });
  t.match((await bob.sync(group, 1)).items, [{ is: 'conv', kind: 'group', title: 'New', rev: 2 }]);
  t.equal((await ann.http('DELETE', `conversations/${group}`)).status, 204);
  for (const client of [ann, bob]) {
    t.match(await client.next('conv', { seq: 3 }), { deleted: true });
    await client.next('gone');
    t.equal(await codeOf(client, { t: 'history', conv: group }), 'not_found');
    t.same((await client.device()).ready.convs, []);
  }
});

t.test('a conversation one is not in is not told from one that is not there', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([]);
  const answers = await Promise.all(
    [group, 'there-is-no-such'].map(async (conv) => {
      const { code, message } = await bob.refused({ t: 'history', conv });
      const { status, body } = await bob.http('GET', `conversations/${conv}`);
      return { code, message, status, detail: body.detail };
    }),
  );
  t.same(answers[0], answers[1]);
  t.match(answers[0], { code: 'not_found', status: 404 });
});
