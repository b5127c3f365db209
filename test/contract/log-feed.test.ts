// What the tails of a log on another server share (src/adapters/feed.ts): bounded for all parts together.
import t from 'tap';
import { Feed, feedTail } from '../../src/adapters/feed.ts';
import { ChatError } from '../../src/errors.ts';
import type { Change } from '../../src/ports/log.ts';
import type { ConvId, UserId } from '../../src/protocol/ids.ts';

const TEXT = 'x'.repeat(100_000);

function change(offset: number): Change {
  const at = { part: 0, offset, conv: 'c_1' as ConvId, seq: offset, n: offset };
  return { ...at, type: 'message', from: 'ann' as UserId, at: 1, key: null, wire: TEXT };
}

/** Changes kept, of a hundred times 100 kB. */
async function keptOf(parts: number): Promise<number> {
  const pages: number[] = [];
  const readPage = async (after: number) => {
    pages.push(after);
    return [change(after + 1)];
  };
  const feed = new Feed({ epoch: 0, head: 0, trimmed: 0, parts, readPage });
  for (let offset = 1; offset <= 100; offset++) feed.push([change(offset)]);
  let kept = 0;
  for (let after = 0; after < 100; after++) {
    const before = pages.length;
    await feed.take(after);
    if (pages.length === before) kept++;
  }
  return kept;
}

t.test('law 9: the parts of a log share what one of them alone may keep in memory', async (t) => {
  t.equal(await keptOf(1), 100);
  const kept = await keptOf(16);
  t.ok(kept > 5 && kept <= 21, `${kept} of 100`);
});

t.test('law 4: a tail whose log cannot be asked can be ended, and says so at once', async (t) => {
  const asked = Promise.withResolvers<void>();
  const readPage = async () => {
    asked.resolve();
    throw new ChatError('unavailable');
  };
  const tail = feedTail([new Feed({ epoch: 0, head: 9, trimmed: 0, parts: 1, readPage })], [0]);
  const next = tail.next();
  await asked.promise;
  await tail.return();
  t.same(await next, { done: true, value: undefined });
});

t.test('a log that ends with a failure ends its tails with it, whatever it is', async (t) => {
  const feed = new Feed({ epoch: 0, head: 0, trimmed: 0, parts: 1, readPage: async () => null });
  const next = feedTail([feed], [0]).next();
  feed.end(new ChatError('unavailable'));
  await t.rejects(next, { code: 'unavailable' });
});
