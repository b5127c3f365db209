// A reader that does not take what it gets is told `behind` and pulls: it is not thrown out, others notice nothing, and
// after the pull pushes go on at exactly the next change.
import t from 'tap';
import { Replica, server } from '../kit/index.ts';

const s = await server(t, { env: { CHAT_OUTBOX_BYTES: '65536' } });
/** 4,000 code points, 16 kB on the wire: the kernel's buffers are full after some hundred of them. */
const LONG = '\u{1f4a7}'.repeat(4_000);

t.test('a slow reader is told to pull, gets everything, and pushes go on after it', async (t) => {
  const [ann, bob, slow] = await s.clients('ann', 'bob', 'slow');
  const group = await ann.group([bob, slow]);
  await slow.hears(group);
  slow.socket.pause();
  let last = await ann.send(group, 'the first');
  const metric = async () => (await s.http('GET', '/metrics')).body.text as string;
  const isBehind = async () => /^chat_behind_total [1-9]/m.test(await metric());
  while (!(await isBehind())) {
    last = await ann.send(group, LONG);
    await bob.next('message', { seq: last.seq });
    if (last.n > 3_000) throw new Error('nobody fell behind');
  }
  t.comment(`behind after ${last.n} messages`);
  t.equal(bob.changes(group).at(-1)?.seq, last.seq, 'another reader has everything');
  slow.socket.resume();
  const behind = await slow.next('behind', { conv: group });
  const pushed = slow.changes(group);
  t.ok(behind.seq > (pushed.at(-1)?.seq ?? 0));
  const held = await ann.send(group, 'not pushed');
  await bob.next('message', { seq: held.seq });
  const replica = new Replica();
  for (const change of pushed) replica.push(change);
  for (const page of await slow.pull(group, replica.cursor, 7)) replica.pull(page);
  const next = await ann.send(group, 'pushed again');
  replica.push(await slow.next('message', { seq: next.seq }));
  t.equal(slow.changes(group).length, pushed.length + 1);
  t.same(replica.messages, await ann.allMessages(group));
  t.ok(slow.isOpen);
});

t.test('a reader behind in one conversation gets the others', async (t) => {
  const [ann, slow] = await s.clients('ann', 'slow');
  const [loud, quiet] = [await ann.group([slow]), await ann.group([slow])];
  await slow.hears(quiet);
  const behind = await slow.device({ since: { epoch: 'another', convs: { [loud]: 1 } } });
  await behind.next('reset');
  await ann.send(loud, 'not pushed');
  const { seq } = await ann.send(quiet, 'pushed');
  await behind.next('message', { conv: quiet, seq });
  await behind.pull(loud);
  await ann.send(loud, 'pushed');
  t.match(await behind.next('message', { conv: loud }), { seq: 3 });
});

t.test('behind stays until the last page of the pull', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  for (let count = 0; count < 5; count++) await ann.send(group, `text ${count}`);
  const behind = await bob.device({ since: { epoch: 'another', convs: { [group]: 1 } } });
  await behind.next('reset');
  const first = await behind.sync(group, 0, 2);
  t.equal(first.more, true);
  const held = await ann.send(group, 'between the pages');
  await bob.next('message', { seq: held.seq });
  await behind.history(group);
  await behind.fence();
  t.same(behind.changes(group), []);
  const rest = await behind.pull(group, first.to, 500);
  t.equal(rest.at(-1)?.to, held.seq);
  const next = await ann.send(group, 'after the pull');
  t.match(await behind.next('message'), { seq: next.seq });
});

t.test('who sends without reading the answers is not thrown out', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  for (let count = 0; count < 20; count++) await ann.send(group, LONG);
  const greedy = await bob.device();
  greedy.socket.pause();
  const asked = Array.from({ length: 400 }, () => greedy.request({ t: 'history', conv: group, limit: 200 }));
  await ann.send(group, 'others go on');
  await bob.next('message', { text: 'others go on' });
  greedy.socket.resume();
  const answers = await Promise.all(asked);
  t.ok(answers.every((answer) => answer.t === 'history' || (answer.t === 'error' && answer.code === 'rate_limited')));
  t.ok(answers.filter((answer) => answer.t === 'history').length >= 4);
});
