// Many who do not read: what waits for them is bounded, who reads notices nothing, and each of them is complete in the end.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { type Client, Replica, server } from '../kit/index.ts';
import { often } from '../kit/often.ts';
import { eventually } from '../kit/waiting.ts';

t.setTimeout(900_000);

const SLOW = often(1_000, 60);
const AT_ONCE = 20;
const OUTBOX_BYTES = 65_536;
/** 4,000 code points, 16 kB on the wire: the kernel's buffers are full after some hundred of them. */
const LONG = '\u{1f4a7}'.repeat(4_000);
/** Beside the outboxes: a garbage collector that is late, and the tail of the log. */
const SLACK_BYTES = 150_000_000;

t.test(
  `${SLOW} who do not read: memory within its bounds, others get everything, and at last so do they`,
  async (t) => {
    const env = { CHAT_OUTBOX_BYTES: String(OUTBOX_BYTES), CHAT_MODE: 'embedded' };
    const s = await server(t, { cheapPasswords: true, env });
    const [ann, bob] = await s.clients('ann', 'bob');
    const room = await ann.room();
    await bob.join(room);
    const slow = await s.clients(...Array.from({ length: SLOW }, (_, index) => `slow-${index}`));
    for (const one of slow) await one.join(room);
    const metric = async (name: string) =>
      Number(new RegExp(`^${name} (\\S+)$`, 'm').exec((await s.http('GET', '/metrics')).body.text as string)?.[1]);
    const rss = () =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${s.process.pid}/status`, 'utf8'))?.[1]) * 1_024;
    const before = rss();
    for (const { socket } of slow) socket.pause();
    // They live, though they answer no ping: who is silent is closed for that.
    const alive = setInterval(() => slow.filter(({ isOpen }) => isOpen).forEach(({ ws }) => void ws.ping()), 10_000);
    t.teardown(() => clearInterval(alive));

    let last = await ann.send(room, LONG);
    while ((await metric('chat_behind_total')) < SLOW) {
      last = await ann.send(room, LONG);
      await bob.next('message', { n: last.n });
      if (last.n > 3_000) throw new Error('they do not fall behind');
    }
    const waiting = await metric('chat_outbox_bytes');
    t.ok(waiting <= SLOW * (OUTBOX_BYTES + 4_096), `${waiting} bytes wait for ${SLOW}`);
    const grown = rss() - before;
    t.ok(
      grown < SLOW * OUTBOX_BYTES + SLACK_BYTES,
      `the process has grown by ${grown} bytes, after ${last.n} messages`,
    );
    t.equal(await metric('chat_connections'), SLOW + 2, 'nobody was thrown out');

    async function complete(one: Client): Promise<void> {
      one.socket.resume();
      await one.next('behind', { conv: room });
      const replica = new Replica();
      for (const page of await one.pull(room)) replica.pull(page);
      if (replica.messages.length < last.n) t.equal(replica.messages.length, last.n, `${one.account.name} lacks some`);
      await one.close();
    }
    // Some at a time: what waits for all of them does not fit into this process.
    for (let next = 0; next < SLOW; next += AT_ONCE) await Promise.all(slow.slice(next, next + AT_ONCE).map(complete));
    await eventually(async () => (await metric('chat_outbox_bytes')) === 0);
    t.pass('each of them has everything');
  },
);
