// Promise 2: the same id from the same user in the same conversation is one write, for ever, and every repeat gets the
// first answer with `dup:true`, whatever its type and text.
import { randomUUIDv7 } from 'node:crypto';
import t from 'tap';
import { type Client, random, type Sent, server } from '../kit/index.ts';

const s = await server(t);
const REPEATS = 5;

/** The answer without the marks of a repeat. */
function first({ conv, seq, n, at }: Partial<Sent>): object {
  return { conv, seq, n, at };
}

t.test('a send repeated in parallel, on several connections and over HTTP, is written once', async (t) => {
  const chance = random();
  t.comment(`seed ${chance.seed}`);
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const devices = [ann, await ann.device(), await ann.device()];
  const overHttp = async (id: string, text: string) => {
    const { status, body } = await ann.http('POST', `conversations/${group}/messages`, { text }, { key: id });
    t.equal(status, body.dup === true ? 200 : 201);
    return body as unknown as Sent;
  };
  const sendOnce = async (index: number) => {
    const id = randomUUIDv7();
    const times = 1 + chance.whole(REPEATS);
    const answers = await Promise.all(
      Array.from({ length: times }, (_, time) =>
        chance.chance(0.2)
          ? overHttp(id, `${index} in version ${time}`)
          : chance.pick(devices).send(group, `${index} in version ${time}`, { id }),
      ),
    );
    t.equal(new Set(answers.map((answer) => JSON.stringify(first(answer)))).size, 1, `${times} times, one answer`);
    t.equal(answers.filter(({ dup }) => dup === true).length, times - 1);
    return { id, seq: answers[0]?.seq ?? 0 };
  };
  const sent = await Promise.all(Array.from({ length: 200 }, (_, index) => sendOnce(index)));
  const messages = await bob.allMessages(group);
  t.equal(messages.length, 200);
  t.same(new Map(messages.map(({ key, seq }) => [key, seq])), new Map(sent.map(({ id, seq }) => [id, seq])));
});

t.test('a repeat keeps the first text, whatever it says itself', async (t) => {
  const ann = await s.client('ann');
  const group = await ann.group([]);
  const id = randomUUIDv7();
  const sent = await ann.send(group, 'first', { id });
  t.notOk(sent.dup);
  t.same(await ann.send(group, 'second', { id }), { ...sent, dup: true });
  t.match((await ann.history(group)).items, [{ text: 'first', key: id }]);
});

t.test('one key is one write across all types of request', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const room = await ann.room();
  const joined = await bob.join(room, { id: 'one-key-of-bob' });
  await ann.next('member');
  const { seq } = await bob.send(room, 'hi');
  for (const repeat of [
    bob.send(room, 'another', { id: 'one-key-of-bob' }),
    bob.edit(room, seq, 'edited', { id: 'one-key-of-bob' }),
    bob.remove(room, seq, { id: 'one-key-of-bob' }),
    bob.leave(room, { id: 'one-key-of-bob' }),
    bob.join(room, { id: 'one-key-of-bob' }),
  ]) {
    t.same(await repeat, { ...joined, dup: true });
  }
  t.match(await ann.members(room), { [bob.id]: 'member' });
  t.match((await ann.history(room)).items, [{ text: 'hi', rev: seq }]);
  const overHttp = await bob.http('POST', `conversations/${room}/messages`, { text: 'x' }, { key: 'one-key-of-bob' });
  t.match(overHttp, { status: 200, body: { seq: joined.seq, dup: true } });
});

t.test('a key is its user’s and its conversation’s alone', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const [one, other] = [await ann.group([bob]), await ann.group([bob])];
  const id = randomUUIDv7();
  const sent = await Promise.all([
    ann.send(one, 'a', { id }),
    bob.send(one, 'b', { id }),
    ann.send(other, 'c', { id }),
  ]);
  t.ok(sent.every(({ dup }) => dup === undefined));
});

t.test('ids of every kind are as safe: old, made up, of another clock', async (t) => {
  const ann = await s.client('ann');
  const group = await ann.group([]);
  const aDay = 86_400_000;
  const ids = [
    'made-up_',
    'x'.repeat(64),
    '4f0c6c2e-5d2b-4f43-9d5a-0d6a1c1f7a11',
    randomUUIDv7({ disableEntropyCache: true }),
    v7At(Date.now() - aDay),
    v7At(Date.now() + aDay),
  ];
  for (const id of ids) {
    const sent = await ann.send(group, `with ${id}`, { id });
    t.same(await ann.send(group, 'again', { id }), { ...sent, dup: true }, id);
  }
  t.equal((await ann.allMessages(group)).length, ids.length);
});

/** A UUIDv7 of another time (RFC 9562 section 5.7). */
function v7At(ms: number): string {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-${randomUUIDv7().slice(14)}`;
}

t.test('who was removed since still gets the first answer, and no more than that', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  const id = randomUUIDv7();
  const sent = await bob.send(group, 'while a member', { id });
  await ann.kick(group, bob);
  await bob.next('gone');
  t.same(await bob.send(group, 'while a member', { id }), { ...sent, dup: true });
  t.match(await bob.refused({ t: 'message', conv: group, text: 'later' }), { code: 'not_found' });
});

t.test('what has no effect gets no number and keeps no key', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const room = await ann.room();
  const id = randomUUIDv7();
  t.same(await ann.join(room, { id }), { t: 'ok', id, conv: room });
  t.same(await bob.leave(room, { id }), { t: 'ok', id, conv: room });
  const sent = await ann.send(room, 'hi', { id });
  t.notOk(sent.dup, 'the key was free');
  const again = { id: randomUUIDv7() };
  t.same(await ann.edit(room, sent.seq, 'hi', again), { t: 'ok', ...again, conv: room }, 'the same text');
  await ann.remove(room, sent.seq);
  t.same(await ann.remove(room, sent.seq, again), { t: 'ok', ...again, conv: room }, 'deleted before');
  const { seq } = await ann.send(room, 'next');
  t.equal(seq, sent.seq + 2);
});

t.test('a repeat after a crash and after a restart gets the first answer', async (t) => {
  const own = await server(t);
  const [ann, bob] = await own.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const ids = Array.from({ length: 50 }, () => randomUUIDv7());
  const sendAll = (client: Client) => Promise.all(ids.map((id, index) => client.send(group, `text ${index}`, { id })));
  const sent = await sendAll(ann);
  const edit = { id: randomUUIDv7() };
  const edited = await ann.edit(group, sent[0]?.seq ?? 0, 'edited', edit);
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await own.restart(signal);
    const again = await ann.device();
    t.same(
      await sendAll(again),
      sent.map((ok) => ({ ...ok, dup: true })),
    );
    t.same(await again.edit(group, 1, 'whatever', edit), { ...edited, dup: true });
    await again.close();
  }
  t.equal((await (await bob.device()).allMessages(group)).length, 50);
});
