// Promise 3, its second half: one connection's requests to one conversation that get `ok` at the first attempt take effect
// in the order sent, however many are under way and however often memberships change meanwhile.
import t from 'tap';
import { type Client, random, type Sent, server } from '../kit/index.ts';

const s = await server(t);
const MESSAGES = 2_000;

/** Others come and go, get roles and lose them, the title changes: what is authorised is outdated all the time. */
async function disturb(
  owner: Client,
  members: readonly Client[],
  conv: string,
  isOver: () => boolean,
): Promise<number> {
  let moves = 0;
  while (!isOver()) {
    await Promise.all(members.map((member) => (moves % 2 === 0 ? member.leave(conv) : member.join(conv))));
    await owner.http('PATCH', `conversations/${conv}`, { title: `title ${moves}` });
    moves += members.length + 1;
  }
  return moves;
}

t.test('two thousand pipelined messages, edits and joins take effect in the order sent', async (t) => {
  const chance = random();
  t.comment(`seed ${chance.seed}`);
  const [ann, bob, carl, dora] = await s.clients('ann', 'bob', 'carl', 'dora');
  const room = await ann.room();
  await Promise.all([bob.join(room), carl.join(room), dora.join(room)]);
  const known = await bob.send(room, 'to be edited');
  let isOver = false;
  const disturbing = disturb(ann, [carl, dora], room, () => isOver);
  const oks: number[] = [];
  const requests: Promise<unknown>[] = [];
  const send = (frame: { t: string } & Record<string, unknown>) => {
    const place = requests.length;
    requests.push(
      bob.ask('ok', { conv: room, ...frame }).then(({ seq }) => {
        oks[place] = seq ?? 0;
      }),
    );
  };
  for (let index = 0; index < MESSAGES; index++) {
    const dice = chance.whole(20);
    if (dice === 0) send({ t: 'edit', seq: known.seq, text: `edit ${index}` });
    else if (dice === 1) send({ t: 'message', text: `@${ann.account.name} ${index}` });
    else if (dice === 2) send({ t: 'join' });
    else send({ t: 'message', text: `text ${index}` });
    // In bursts, so that other people's changes come in between.
    if (index % 25 === 0) await requests.at(-1 - chance.whole(20));
  }
  await Promise.all(requests);
  isOver = true;
  const moves = await disturbing;
  const numbered = oks.filter((seq) => seq > 0);
  t.same(
    numbered,
    [...numbered].sort((one, other) => one - other),
  );
  t.ok(numbered.length > MESSAGES * 0.9);
  t.ok(moves > 50, `${moves} changes of membership and title meanwhile`);
  const metrics = await s.http('GET', '/metrics');
  t.match(metrics.body.text, /^chat_reauthorised_total [1-9]/m, 'some were authorised again');
});

t.test('leaving and joining again is in order with the messages around it', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const room = await ann.room();
  await bob.join(room);
  const seqs: (number | undefined)[] = [];
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all([
      bob.send(room, 'before'),
      bob.leave(room),
      bob.join(room),
      bob.send(room, 'after'),
    ]);
    seqs.push(...answers.map(({ seq }) => seq));
  }
  t.same(
    seqs,
    seqs.map((_, index) => index + 3),
  );
});

t.test('what follows one’s own leaving is refused, what came before it is not', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const before = Array.from({ length: 50 }, (_, index) => bob.send(group, `before ${index}`));
  const left = bob.leave(group);
  const after = Array.from({ length: 50 }, () => bob.refused({ t: 'message', conv: group, text: 'after' }));
  const { seq } = await left;
  t.equal(seq, 52);
  t.ok((await Promise.all(before)).every((sent: Sent) => sent.seq < 52));
  t.ok((await Promise.all(after)).every(({ code }) => code === 'not_found'));
});

t.test('two connections that pipeline into one conversation both keep their order', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  const both = await Promise.all(
    [ann, bob].map((client) =>
      Promise.all(Array.from({ length: 500 }, (_, index) => client.send(group, String(index)))),
    ),
  );
  for (const sent of both) {
    const seqs = sent.map(({ seq }) => seq);
    t.same(
      seqs,
      [...seqs].sort((one, other) => one - other),
    );
  }
  t.equal(new Set(both.flat().map(({ seq }) => seq)).size, 1_000);
});
