// Promise 5: a resumed connection misses nothing and repeats nothing, or is told `behind`, `reset` or `gone`. That pushes
// follow each other without gap or repeat is checked by the kit on every connection.
import t from 'tap';
import { type Client, server } from '../kit/index.ts';

const s = await server(t);

async function groupOf(ann: Client, bob: Client): Promise<string> {
  const group = await ann.group([bob]);
  await bob.hears(group);
  return group;
}

function seqs(client: Client, conv: string): readonly number[] {
  return client.changes(conv).map(({ seq }) => seq);
}

t.test('changes made while away come in order, then caught_up, then what follows', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await groupOf(ann, bob);
  const first = await ann.send(group, 'first');
  await bob.next('message', { seq: first.seq });
  await bob.cut();
  const second = await ann.send(group, 'second');
  await ann.edit(group, first.seq, 'first, edited');
  await ann.remove(group, second.seq);
  const back = await bob.resume();
  t.same(await back.next('caught_up'), { t: 'caught_up', conv: group, seq: 5 });
  t.match(back.changes(group), [
    { t: 'message', seq: 3, text: '', deleted: true },
    { t: 'edit', seq: 4, of: 2, text: 'first, edited' },
    { t: 'delete', seq: 5, of: 3 },
  ]);
  const live = await ann.send(group, 'live');
  await back.next('message', { seq: live.seq });
  t.same(seqs(back, group), [3, 4, 5, 6]);
});

t.test('who missed nothing is caught up at once', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await groupOf(ann, bob);
  const { seq } = await ann.send(group, 'seen');
  await bob.next('message', { seq });
  await bob.cut();
  const back = await bob.resume();
  t.match(await back.next('caught_up'), { conv: group, seq });
  t.same(back.changes(), []);
});

t.test('a conversation that is not in since begins at the head that ready tells', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const [one, other] = [await groupOf(ann, bob), await groupOf(ann, bob)];
  await bob.cut();
  await Promise.all([ann.send(one, 'a'), ann.send(other, 'b')]);
  const back = await bob.device({ since: { epoch: bob.ready.epoch, convs: { [one]: 1 } } });
  await back.next('caught_up', { conv: one });
  t.same(seqs(back, other), []);
  t.match(
    back.ready.convs.find(({ conv }) => conv === other),
    { seq: 2 },
  );
  const { seq } = await ann.send(other, 'c');
  t.match(await back.next('message', { conv: other }), { seq });
});

t.test('five hundred missed changes are replayed; one more, and the client is behind', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await groupOf(ann, bob);
  await bob.cut();
  const texts = Array.from({ length: 500 }, (_, index) => `text ${index}`);
  await Promise.all(texts.map((text) => ann.send(group, text)));
  const since = bob.since();
  const caughtUp = await bob.device({ since });
  await caughtUp.next('caught_up', { seq: 501 });
  t.equal(caughtUp.changes(group).length, 500);
  await ann.send(group, 'one more');
  const behind = await bob.device({ since });
  t.match(await behind.next('behind'), { conv: group, seq: 502 });
  const held = await ann.send(group, 'not pushed');
  await caughtUp.next('message', { seq: held.seq });
  await behind.fence();
  t.same(behind.changes(group), []);
  const pages = await behind.pull(group, 1);
  t.equal(pages.flatMap(({ items }) => items).length, 502);
  const pushed = await ann.send(group, 'pushed');
  t.match(await behind.next('message'), { seq: pushed.seq });
});

t.test('a cursor of another log, or above the head, is reset', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const [foreign, above] = [await groupOf(ann, bob), await groupOf(ann, bob)];
  const { epoch } = bob.ready;
  const one = await bob.device({ since: { epoch: 'another-epoch', convs: { [foreign]: 1 } } });
  t.same(await one.next('reset'), { t: 'reset', conv: foreign, seq: 1, epoch });
  const two = await bob.device({ since: { epoch, convs: { [above]: 7 } } });
  t.same(await two.next('reset'), { t: 'reset', conv: above, seq: 1, epoch });
  await ann.send(above, 'not pushed before the pull');
  await two.fence();
  t.same(two.changes(), []);
  await two.pull(above);
  await ann.send(above, 'pushed');
  t.match(await two.next('message'), { seq: 3, text: 'pushed' });
});

t.test('gone is told of what one is not in, was removed from, or what was deleted', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const [left, kicked, deleted] = [await groupOf(ann, bob), await groupOf(ann, bob), await groupOf(ann, bob)];
  const foreign = await groupOf(ann, carl);
  const invited = await ann.room({ public: false });
  await ann.add(invited, bob);
  await bob.cut();
  const away = await bob.device({ want: [] });
  await away.leave(left);
  await ann.kick(kicked, bob);
  t.equal((await ann.http('DELETE', `conversations/${deleted}`)).status, 204);
  const convs = { [left]: 1, [kicked]: 1, [deleted]: 1, [foreign]: 1, [invited]: 1, nonsense: 3 };
  const back = await bob.device({ since: { epoch: bob.ready.epoch, convs } });
  for (const conv of Object.keys(convs)) t.same(await back.next('gone', { conv: conv }), { t: 'gone', conv });
  await Promise.all([ann.send(left, 'x'), ann.send(kicked, 'x'), ann.send(foreign, 'x')]);
  await carl.next('message');
  await back.fence();
  t.same(back.changes(), []);
});

t.test('since takes five hundred cursors', async (t) => {
  const ann = await s.client('ann');
  const convs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index}`, 1]));
  const { epoch } = ann.ready;
  const most = await ann.device({ since: { epoch, convs: convs(500) } });
  await most.next('gone', { conv: 'c499' });
  t.equal(most.pushes.filter((push) => push.t === 'gone').length, 500);
  const over = await s.connection(ann.account).opened();
  const hello = { t: 'hello', token: ann.account.access, since: { epoch, convs: convs(501) } };
  t.match(await over.refused(hello), { code: 'too_large', field: 'since' });
});

t.test('who resumes while others write misses and repeats nothing', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await groupOf(ann, bob);
  let writing = true;
  const writer = (async () => {
    while (writing) await Promise.all(Array.from({ length: 5 }, () => ann.send(group, 'on and on')));
  })();
  let device = bob;
  for (let round = 0; round < 30; round++) {
    await device.cut();
    device = await device.resume();
    await device.next('message');
  }
  writing = false;
  await writer;
  const last = await ann.send(group, 'the end');
  await device.next('message', { seq: last.seq });
  t.equal(device.changes(group).at(-1)?.seq, last.seq);
});

t.test('what memory does not hold any more is replayed from the store, while others write', async (t) => {
  const own = await server(t);
  const [ann, bob] = await own.clients('ann', 'bob');
  const group = await groupOf(ann, bob);
  for (let count = 0; count < 100; count++) await ann.send(group, `stored ${count}`);
  const since = { epoch: bob.ready.epoch, convs: { [group]: 1 } };
  await own.restart('SIGTERM');
  const writer = await ann.device();
  const sends = Array.from({ length: 200 }, (_, index) => writer.send(group, `live ${index}`));
  const devices = await Promise.all(Array.from({ length: 20 }, () => bob.device({ since })));
  await Promise.all(sends);
  for (const device of devices) {
    await device.next('message', { seq: 301 });
    t.equal(device.changes(group).length, 300);
    t.equal(device.pushes.filter((push) => push.t === 'caught_up').length, 1);
  }
});

t.test('a pull of what is about to be replayed does not end the replay', async (t) => {
  const own = await server(t);
  const [ann, bob] = await own.clients('ann', 'bob');
  const groups = await Promise.all(Array.from({ length: 30 }, () => groupOf(ann, bob)));
  const writeAll = (from: Client) =>
    Promise.all(groups.flatMap((group) => Array(9).fill(group)).map((group) => from.send(group, 'missed')));
  await writeAll(ann);
  const since = { epoch: bob.ready.epoch, convs: Object.fromEntries(groups.map((group) => [group, 1])) };
  await own.restart('SIGTERM');
  const [writer, device] = await Promise.all([ann.device(), bob.device({ since })]);
  const pulls = groups.slice(-4).map((group) => device.sync(group, 1));
  await Promise.all([...pulls, writeAll(writer)]);
  for (const group of groups) {
    await device.next('message', { conv: group, seq: 19 });
    t.same(
      seqs(device, group),
      Array.from({ length: 18 }, (_, index) => index + 2),
    );
  }
  t.equal(device.pushes.filter((push) => push.t === 'caught_up').length, groups.length);
});
