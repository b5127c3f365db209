// Promise 5 under bad weather: a client cut off at random moments, 200 times, while others write, edit and delete, ends
// up with exactly what the history says. Gaps and repeats are found by the kit, on every connection.
import t from 'tap';
import { type Client, eventually, isChange, Replica, random, type Sent, server } from '../kit/index.ts';

const CUTS = 200;
/** Messages sent while the client is away, now and then: more than a replay may bring. */
const BURST = 120;
/** So small that a longer replay does not fit in, and the client has to pull. */
const s = await server(t, { env: { CHAT_OUTBOX_BYTES: '4096' } });
const chance = random();
t.comment(`seed ${chance.seed}`);

/** Writes, edits and deletes until told to stop. */
async function write(client: Client, convs: readonly string[], isOver: () => boolean): Promise<void> {
  const own: Sent[] = [];
  while (!isOver()) {
    const dice = chance.whole(10);
    const target = own.length > 0 ? chance.pick(own) : undefined;
    if (dice < 6 || target === undefined) own.push(await client.send(chance.pick(convs), `by ${client.account.name}`));
    else if (dice < 9)
      await client.request({ t: 'edit', conv: target.conv, seq: target.seq, text: `edit ${dice} ${own.length}` });
    else await client.remove(target.conv, target.seq);
  }
}

/** Brings the replicas on by everything a connection gets, until it is cut. */
class Follower {
  readonly replicas: ReadonlyMap<string, Replica>;
  pulls = 0;

  constructor(convs: readonly string[]) {
    this.replicas = new Map(convs.map((conv) => [conv, new Replica()]));
  }

  get convs(): Record<string, number> {
    return Object.fromEntries([...this.replicas].map(([conv, { cursor }]) => [conv, cursor]));
  }

  /** Takes over what a connection got, in order: changes, and the pulls that ended `behind`. */
  take(client: Client): void {
    for (const frame of client.frames) {
      const replica = 'conv' in frame ? this.replicas.get(frame.conv ?? '') : undefined;
      if (replica === undefined) continue;
      if (frame.t === 'sync') replica.pull(frame);
      else if (isChange(frame)) replica.push(frame);
    }
  }
}

async function pullWhatIsBehind(client: Client, follower: Follower): Promise<void> {
  for (;;) {
    const { conv } = await client.next('behind');
    follower.pulls++;
    await client.pull(conv, client.observer.cursors()[conv] ?? 0, 10 + chance.whole(50));
  }
}

t.test('a client cut off 200 times holds in the end what the history says', async (t) => {
  const [ann, bob, carl] = await s.clients('ann', 'bob', 'carl');
  const convs = [await ann.group([bob, carl]), await ann.group([bob, carl]), await ann.group([bob, carl])];
  await Promise.all(convs.map((conv) => bob.hears(conv)));
  let isOver = false;
  const writers = [ann, bob, await ann.device()].map((client) => write(client, convs, () => isOver));
  const follower = new Follower(convs);
  for (let cut = 0; cut < CUTS; cut++) {
    const since = { epoch: ann.ready.epoch, convs: follower.convs };
    const client = await carl.device({ since });
    pullWhatIsBehind(client, follower).catch(() => {});
    const frames = client.frames.length + chance.whole(60);
    await client.next('message', () => client.frames.length >= frames);
    await client.cut();
    follower.take(client);
    const burst = chance.chance(0.1) ? BURST : 0;
    await Promise.all(Array.from({ length: burst }, () => ann.send(chance.pick(convs), 'one of many')));
  }
  isOver = true;
  await Promise.all(writers);
  const last = await carl.device({ since: { epoch: ann.ready.epoch, convs: follower.convs } });
  pullWhatIsBehind(last, follower).catch(() => {});
  const ends = await Promise.all(convs.map((conv) => ann.send(conv, 'the end')));
  await eventually(() => ends.every(({ conv, seq }) => last.observer.cursors()[conv] === seq));
  follower.take(last);
  let changes = 0;
  for (const { conv, seq } of ends) {
    changes += seq;
    const replica = follower.replicas.get(conv);
    t.equal(replica?.cursor, seq);
    t.same(replica?.messages, await ann.allMessages(conv));
  }
  t.ok(follower.pulls > 0);
  t.comment(`${CUTS} cuts, ${changes} changes, ${follower.pulls} pulls`);
});
