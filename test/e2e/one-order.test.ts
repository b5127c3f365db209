// Promise 3: per conversation one total order, the same for every reader, the sender's own devices included.
import t from 'tap';
import { type Client, server } from '../kit/index.ts';

const s = await server(t);

t.test('two users on three devices each, all writing at once, see one order: that of the history', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  const others = await Promise.all([ann.device(), ann.device(), bob.device(), bob.device()]);
  const devices = [ann, bob, ...others];
  const write = async (device: Client, index: number) => {
    for (let count = 0; count < 40; count++) await device.send(group, `${count} of device ${index}`);
  };
  await Promise.all(devices.map(write));
  const last = 1 + 40 * devices.length;
  const history = await bob.allMessages(group);
  t.same(
    history.map(({ seq }) => seq),
    Array.from({ length: last - 1 }, (_, index) => index + 2),
  );
  t.same(
    history.map(({ n }) => n),
    Array.from({ length: last - 1 }, (_, index) => index + 1),
  );
  for (const device of devices) {
    await device.next('message', { seq: last });
    const seen = device.changes(group).filter((change) => change.t === 'message');
    t.same(
      seen.map(({ seq, text, from, at, key }) => ({ seq, text, from, at, key })),
      history.map(({ seq, text, from, at, key }) => ({ seq, text, from, at, key })),
    );
  }
});

t.test('a change acknowledged before another was sent comes before it', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  let before = 0;
  for (let round = 0; round < 50; round++) {
    const { seq } = await (round % 2 === 0 ? ann : bob).send(group, `round ${round}`);
    if (seq <= before) t.fail(`${seq} after ${before}`);
    before = seq;
  }
  t.equal(before, 51);
});

t.test('the push of a change carries its sender, its time and the id of its request', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const text = 'as sent:  \u202eblank \u0301\ud83d\udc4d ';
  const root = await ann.send(group, 'root');
  const ok = await ann.send(group, text, { id: 'message-key', reply: root.seq });
  const mention = await ann.send(group, `@${bob.account.name}, look`);
  const all = await ann.send(group, '@all');
  const { seq, n, at } = ok;
  const push = { t: 'message', conv: group, seq, n, from: ann.id, at, key: 'message-key', text, reply: root.seq };
  for (const device of [ann, bob]) {
    t.same(await device.next('message', { seq }), push);
    t.match(await device.next('message', { seq: mention.seq }), { mentions: [bob.id] });
    t.match(await device.next('message', { seq: all.seq }), { mentions: ['all'] });
  }
  const edited = await ann.edit(group, seq, 'other', { id: 'edit-key' });
  const removed = await ann.remove(group, seq, { id: 'delete-key' });
  const numbers = { conv: group, from: ann.id };
  t.same(await bob.next('edit'), {
    t: 'edit',
    seq: edited.seq,
    at: edited.at,
    key: 'edit-key',
    of: seq,
    text: 'other',
    ...numbers,
  });
  t.same(await bob.next('delete'), {
    t: 'delete',
    seq: removed.seq,
    at: removed.at,
    key: 'delete-key',
    of: seq,
    ...numbers,
  });
});
