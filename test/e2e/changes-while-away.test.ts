// Edits and deletions made while a client was away reach it: by `since` as changes, by `sync` as final states. What was
// deleted for all is nowhere any more.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { MODE, Replica, server } from '../kit/index.ts';

const s = await server(t);
const CANARY = 'canary-4fz8-deleted-text';

t.test('by since they come as changes, by sync as final states, and both add up to the history', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const sent = [];
  for (let count = 0; count < 10; count++) sent.push(await ann.send(group, `text ${count}`));
  const [edited, deleted, both] = sent.map(({ seq }) => seq) as [number, number, number];
  const held = new Replica();
  for (const page of await bob.pull(group)) held.pull(page);
  await bob.cut();
  await ann.edit(group, edited, 'edited once');
  await ann.edit(group, edited, 'edited twice');
  await ann.remove(group, deleted);
  await ann.edit(group, both, 'edited, then deleted');
  await ann.remove(group, both);
  const since = { epoch: bob.ready.epoch, convs: { [group]: held.cursor } };
  const back = await bob.device({ since });
  await back.next('caught_up', { conv: group });
  for (const change of back.changes(group)) held.push(change);
  const pulled = new Replica();
  for (const page of await back.pull(group)) pulled.pull(page);
  const history = await back.allMessages(group);
  t.same(held.messages, history);
  t.same(pulled.messages, history);
  const items = (await back.sync(group, since.convs[group] ?? 0)).items;
  t.match(items, [
    { is: 'message', seq: edited, rev: 13, text: 'edited twice', edited: Number },
    { is: 'message', seq: deleted, rev: 14, text: '', deleted: true },
    { is: 'message', seq: both, rev: 16, text: '', deleted: true },
  ]);
  t.equal(items.length, 3);
});

t.test('a thousand edits of one message are one item', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const { seq } = await ann.send(group, 'version 0');
  const versions = Array.from({ length: 1_000 }, (_, index) => `version ${index + 1}`);
  await Promise.all(versions.map((text) => ann.edit(group, seq, text)));
  const { items, more, to } = await bob.sync(group, seq);
  t.match(items, [{ is: 'message', seq, rev: seq + 1_000, text: 'version 1000' }]);
  t.same({ count: items.length, more, to }, { count: 1, more: false, to: seq + 1_000 });
});

t.test('a deleted message is a tombstone everywhere, and what acts on it is gone', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const root = await ann.send(group, 'root');
  const sent = await ann.send(group, `@${bob.account.name} hi`, { id: 'to-be-deleted', reply: root.seq });
  await ann.edit(group, sent.seq, `@${bob.account.name} hello`);
  const { seq: rev } = await ann.remove(group, sent.seq);
  const { seq, n, at } = sent;
  const base = { is: 'message', seq, n, rev, from: ann.id, at, key: 'to-be-deleted' };
  const tombstone = { ...base, text: '', reply: root.seq, deleted: true };
  const [history, around, pull] = [
    await bob.history(group),
    await bob.history(group, { around: seq, limit: 1 }),
    await bob.sync(group, 1),
  ];
  t.same(history.items.at(-1), tombstone);
  t.same(around.items.at(-1), tombstone);
  t.same(pull.items.at(-1), tombstone);
  t.match(await ann.refused({ t: 'edit', conv: group, seq, text: 'back' }), { code: 'gone' });
  t.match(await ann.remove(group, seq), { seq: undefined });
});

t.test('who may change what: edits are the sender’s, deletions also the owner’s and the moderators’', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const group = await ann.group([bob, carl]);
  await ann.setRole(group, carl, 'moderator');
  const sent = [await bob.send(group, 'a'), await bob.send(group, 'b'), await ann.send(group, 'c')].map(
    ({ seq }) => seq,
  );
  const [a = 0, b = 0, c = 0] = sent;
  t.match(await ann.refused({ t: 'edit', conv: group, seq: a, text: 'x' }), { code: 'forbidden' });
  t.match(await bob.refused({ t: 'delete', conv: group, seq: c, for: 'all' }), { code: 'forbidden' });
  t.match(await ann.remove(group, a), { seq: Number });
  t.match(await carl.remove(group, b), { seq: Number });
  t.match(await bob.refused({ t: 'edit', conv: group, seq: 999, text: 'x' }), { code: 'not_found' });
  t.match(await bob.refused({ t: 'edit', conv: group, seq: 1, text: 'x' }), { code: 'not_found' }, 'no message');
});

t.test('the text of a deleted message is in no read, in no replay, and in the end in no file', async (t) => {
  const own = await server(t);
  const [ann, bob] = await own.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const { seq } = await ann.send(group, `${CANARY} one`);
  await ann.edit(group, seq, `${CANARY} two`);
  const later = await ann.send(group, 'stays');
  await bob.next('message', { seq: later.seq });
  await bob.cut();
  await ann.remove(group, seq);
  const since = { epoch: bob.ready.epoch, convs: { [group]: 1 } };
  const readAll = async () => {
    const device = await bob.device({ since });
    await device.next('caught_up', { conv: group });
    const overHttp = await device.http('GET', `conversations/${group}/messages`);
    const list = await device.http('GET', 'conversations');
    return JSON.stringify([
      device.frames,
      await device.pull(group),
      await device.history(group),
      overHttp.body,
      list.body,
    ]);
  };
  t.notMatch(await readAll(), CANARY, 'from memory');
  await own.restart('SIGTERM');
  t.notMatch(await readAll(), CANARY, 'from the store');
  if (MODE !== 'embedded') return;
  await own.stop('SIGTERM');
  t.same(await filesWith(own.process.dataDir, CANARY), []);
});

async function filesWith(folder: string, text: string): Promise<readonly string[]> {
  const names = await readdir(folder);
  const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
  return names.filter((_, index) => files[index]?.includes(text));
}
