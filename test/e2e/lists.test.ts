// A list of conversations asked for while one of them ends for the asker.
import t from 'tap';
import { server } from '../kit/index.ts';

const s = await server(t);

t.test('a list is answered, with or without the conversation its reader is removed from meanwhile', async (t) => {
  const [ann, bob] = await s.clients('ann', 'bob');
  const group = await ann.group([bob]);
  await ann.send(group, 'text');
  const statuses = new Set<number>();
  for (let round = 0; round < 25; round++) {
    const other = await ann.group([bob]);
    await ann.send(other, 'text');
    const lists = Array.from({ length: 8 }, () => bob.http('GET', 'conversations'));
    await ann.kick(other, bob);
    for (const { status, body } of await Promise.all(lists)) {
      statuses.add(status);
      if (status === 200) t.ok(body.items.some(({ conv }) => conv === group));
    }
  }
  t.same([...statuses], [200]);
});
