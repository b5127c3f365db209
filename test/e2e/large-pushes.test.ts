// More at once than an outbox takes, for somebody who reads as fast as they can: they may be told `behind`, and stay.
import t from 'tap';
import { type Client, server } from '../kit/index.ts';

/** 16 KB as UTF-8. */
const LARGE = '🙂'.repeat(4_000);
const s = await server(t);

/** All that was said in the conversation, pushed or pulled. */
async function complete(reader: Client, conv: string, seq: number): Promise<void> {
  while ((reader.observer.cursors()[conv] ?? 0) < seq) {
    const before = reader.observer.cursors()[conv] ?? 0;
    await reader.pull(conv, before);
  }
}

t.test('a burst of large messages costs nobody in the conversation their connection', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  const answers = await Promise.all(Array.from({ length: 1_200 }, () => ann.send(group, LARGE)));
  const last = Math.max(...answers.map(({ seq }) => seq));
  await complete(bob, group, last);
  await bob.fence();
  t.ok(bob.isOpen && ann.isOpen);
});

t.test('who resumes and has missed more than an outbox takes is not sent away', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await bob.hears(group);
  const since = bob.since();
  await bob.close();
  for (let round = 0; round < 4; round++) await Promise.all(Array.from({ length: 100 }, () => ann.send(group, LARGE)));
  // Pushed out of the tail's memory: the replay comes from the store.
  const other = await ann.group([]);
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 100 }, () => ann.send(other, LARGE)));
  const device = await bob.device({ since });
  const told = await Promise.race([
    device.next('behind', { conv: group as never }),
    device.next('caught_up', { conv: group as never }),
  ]);
  t.comment(told.t);
  await device.fence();
  t.ok(device.isOpen);
});
