// Two people on two nodes: what they see of each other is what they would see on one.
import t, { type Test } from 'tap';
import type { Client } from '../kit/client.ts';
import { cluster, type Node } from '../kit/nodes.ts';

/** Ann on one node, bob on the other, in a group. */
async function apart(t: Test): Promise<{ group: string; ann: Client; bob: Client; one: Node; two: Node }> {
  const { pair } = await cluster(t);
  const [one, two] = pair;
  const [ann, bob] = await Promise.all([one.client('ann'), two.client('bob')]);
  const group = await ann.group([bob]);
  await bob.hears(group);
  return { group, ann, bob, one, two };
}

t.test('people on two nodes chat as if they were on one', async (t) => {
  const { group, ann, bob, one, two } = await apart(t);

  await t.test('a message comes to the other node, the answer comes back, numbered in one row', async (t) => {
    const sent = await ann.send(group, 'hello');
    t.match(await bob.next('message'), { conv: group, seq: sent.seq, n: 1, text: 'hello', from: ann.id });
    const answered = await bob.send(group, 'hello you');
    t.match(await ann.next('message', { n: 2 }), { seq: answered.seq, text: 'hello you', from: bob.id });
    t.equal(answered.seq, sent.seq + 1);
    await bob.edit(group, answered.seq, 'hello, you');
    t.match(await ann.next('edit'), { of: answered.seq, text: 'hello, you' });
    await ann.remove(group, sent.seq);
    t.match(await bob.next('delete'), { of: sent.seq });
  });

  await t.test('typing is told on the other node', async (t) => {
    ann.signal({ t: 'typing', conv: group, on: true });
    t.same(await bob.next('typing'), { t: 'typing', conv: group, user: ann.id, on: true });
    ann.signal({ t: 'typing', conv: group, on: false });
    t.same(await bob.next('typing'), { t: 'typing', conv: group, user: ann.id, on: false });
  });

  await t.test('what is read on one node is told on the other, and to the reader’s own device there', async (t) => {
    const device = await bob.device({}, one);
    await ann.send(group, 'to be read');
    await bob.read(group, 3);
    t.match(await ann.next('receipt', { user: bob.id, read: 3 }), { conv: group, received: 3 });
    t.match(await device.next('unread', { read: 3 }), { conv: group, n: 3 });
    await device.close();
  });

  await t.test(
    'who comes, is busy or leaves is told on the other node, and who comes there is told who is here',
    async (t) => {
      ann.signal({ t: 'presence', status: 'busy' });
      t.match(await bob.next('presence', { user: ann.id, status: 'busy' }), { user: ann.id });
      const late = await bob.device();
      t.match(await late.next('presence', { user: ann.id }), { status: 'busy' });
      const carl = await one.client('carl');
      await ann.add(group, carl);
      await bob.next('member', { user: carl.id });
      carl.signal({ t: 'presence', status: 'away' });
      await bob.next('presence', { user: carl.id, status: 'away' });
      await carl.close();
      t.match(await bob.next('presence', { user: carl.id, status: 'offline' }), { user: carl.id });
    },
  );

  await t.test('who is removed on one node is told so on the other, and nothing more', async (t) => {
    const dan = await two.client('dan');
    await ann.add(group, dan);
    await dan.next('member', { user: dan.id });
    await ann.kick(group, dan);
    t.match(await dan.next('gone'), { conv: group });
    await ann.send(group, 'without dan');
    await bob.next('message', { text: 'without dan' });
    await dan.fence();
    t.notOk(dan.changes(group).some((change) => change.t === 'message'));
    t.match(await dan.refused({ t: 'message', conv: group, text: 'and me?' }), { code: 'not_found' });
  });

  await t.test('a direct begun from both nodes at once is one', async (t) => {
    const [mine, yours] = await Promise.all([ann.direct(bob), bob.direct(ann)]);
    t.equal(mine, yours);
  });

  await t.test('logging out on one node closes the sockets of that session on the other', async (t) => {
    const elsewhere = await bob.device({}, one);
    t.equal((await bob.http('POST', 'auth/logout')).status, 204);
    t.match(await elsewhere.ended(), { code: 4503 });
    t.match(await bob.ended(), { code: 4503 });
  });
});
