// The contract of MessageStore (src/ports/store.ts): every adapter passes it.
import { isDeepStrictEqual } from 'node:util';
import type { Test } from 'tap';
import type { Change } from '../../src/ports/log.ts';
import { HoleError, type MessageStore } from '../../src/ports/store.ts';
import type { ConvId, Key, Seq } from '../../src/protocol/ids.ts';
import type { ItemState } from '../../src/protocol/states.ts';
import {
  after,
  byConv,
  conv,
  identity,
  Model,
  Random,
  randomBatches,
  randomChanges,
  sorted,
  USERS,
  user,
  Writer,
} from './store-model.ts';

export interface StoreUnderTest {
  readonly messages: MessageStore;
  /** Closes and opens again what is stored; absent where nothing survives. */
  readonly reopen?: () => Promise<MessageStore>;
}

/** A failing seed stays here as a regression test. */
const SEEDS = [1, 2, 3, 4];
const LIMITS = [1, 2, 3, 7, 500];
const c1 = conv('c1');
const c2 = conv('c2');

export function storeContract(t: Test, open: (t: Test) => Promise<StoreUnderTest>): void {
  async function filled(t: Test, changes: readonly Change[]): Promise<MessageStore> {
    const { messages } = await open(t);
    await messages.apply(changes, after(changes));
    return messages;
  }

  t.test('law 1: applying again, or older changes, changes nothing', async (t) => {
    const changes = randomChanges(11, 200);
    const messages = await filled(t, changes);
    const before = await everything(messages, changes);
    await messages.apply(changes, after(changes));
    await messages.apply(changes.slice(20, 60), [60]);
    await messages.apply([], []);
    same(t, await everything(messages, changes), before);
  });

  t.test('law 1: a batch may repeat changes of its own', async (t) => {
    const changes = randomChanges(12, 60);
    const messages = await filled(t, [...changes.slice(0, 40), ...changes.slice(10)]);
    same(t, await everything(messages, changes), expected(changes));
  });

  t.test('law 2: a batch with a hole is refused as a whole, and nothing of it is stored', async (t) => {
    const writer = new Writer();
    writer.create(c1);
    const stored = writer.say(c1, 'one', {}, 'key-1');
    const messages = await filled(t, writer.changes);
    const other = writer.create(c2, {}, user('bob'));
    writer.say(c1, 'lost');
    const late = writer.say(c1, 'late', {}, 'key-late');
    const edit = writer.write(c1, 'edit', user('ann'), { of: stored.seq, text: 'changed' });
    await t.rejects(messages.apply([other, late, edit], [late.offset]), HoleError);
    const failed = await messages.apply([other, late], [9]).catch((error: unknown) => error);
    t.match(failed, { conv: c1, expected: 3, found: 4 });
    same(t, await messages.watermark(), [stored.offset]);
    same(t, await everything(messages, [stored]), expected(writer.changes.slice(0, 2)));
    t.equal(await messages.recall(c1, user('ann'), 'key-late' as Key), null);
    t.equal((await messages.heads([c1, c2])).has(c2), false);
  });

  t.test('law 2: a conversation begins at 1', async (t) => {
    const writer = new Writer();
    writer.create(c1);
    const second = writer.say(c1, 'one');
    const { messages } = await open(t);
    await t.rejects(messages.apply([second], [2]), HoleError);
    same(t, await messages.heads([c1]), new Map());
  });

  t.test('law 2: a refused batch takes none of its neighbours with it', async (t) => {
    const writer = new Writer();
    const creation = writer.create(c1);
    const first = writer.say(c1, 'one');
    writer.say(c1, 'lost');
    const hole = writer.say(c1, 'two');
    const { messages } = await open(t);
    const [good, bad, again] = await Promise.allSettled([
      messages.apply([creation], [1]),
      messages.apply([first, hole], [4]),
      messages.apply([first], [2]),
    ]);
    same(
      t,
      [good, bad, again].map((result) => result?.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    t.equal((await messages.history(c1, { after: 0 }, 9)).items.length, 1);
    same(t, await messages.watermark(), [2]);
  });

  t.test('law 3: the watermark moves with its changes, part by part, and never back', async (t) => {
    const writer = new Writer();
    const creation = writer.create(c1);
    const { messages } = await open(t);
    same(t, await messages.watermark(), []);
    await messages.apply([creation], [0, 7]);
    same(t, await messages.watermark(), [0, 7]);
    await messages.apply([creation], [3, 2]);
    same(t, await messages.watermark(), [3, 7]);
    await messages.apply([], [3, 7, 0, 1]);
    same(t, await messages.watermark(), [3, 7, 0, 1]);
  });

  t.test('law 3: what was stored is there after opening again', async (t) => {
    const { messages, reopen } = await open(t);
    if (reopen === undefined) return t.pass('nothing survives here');
    const changes = randomChanges(31, 200);
    await messages.apply(changes.slice(0, 120), after(changes.slice(0, 120)));
    const reopened = await reopen();
    same(t, await everything(reopened, changes), expected(changes.slice(0, 120)));
    await reopened.apply(changes.slice(100), after(changes));
    same(t, await everything(reopened, changes), expected(changes));
  });

  t.test('law 4: a key is recalled for ever, by its own user and conversation only', async (t) => {
    const changes = randomChanges(41, 400);
    const messages = await filled(t, changes);
    const keyed = changes.filter((change) => change.key !== null);
    const receipts = await Promise.all(keyed.map(({ conv, from, key }) => messages.recall(conv, from, key as Key)));
    same(
      t,
      receipts,
      keyed.map(({ seq, n, at }) => ({ seq, n, at })),
    );
    const { conv: id, from, key } = keyed.at(-1) as Change;
    t.equal(await messages.recall(conv('elsewhere'), from, key as Key), null);
    t.equal(await messages.recall(id, user('stranger'), key as Key), null);
    t.equal(await messages.recall(id, from, 'never-given' as Key), null);
  });

  t.test('law 4: a second change of the same key is refused', async (t) => {
    const writer = new Writer();
    writer.create(c1);
    const first = writer.say(c1, 'one', {}, 'key-1');
    const messages = await filled(t, writer.changes);
    const second = writer.say(c1, 'two', {}, 'key-1');
    await t.rejects(messages.apply([second], [second.offset]));
    t.equal((await messages.recall(c1, user('ann'), 'key-1' as Key))?.seq, first.seq);
    t.equal((await messages.history(c1, { after: 0 }, 9)).upTo, first.seq);
  });

  for (const seed of SEEDS) {
    t.test(`law 5: a read during writes is the state of one moment (seed ${seed})`, async (t) => {
      const changes = randomChanges(seed, 300, 1);
      const { messages } = await open(t);
      const reads: Promise<void>[] = [];
      let checked = 0;
      const check = async <Page extends { readonly upTo: Seq }>(
        read: Promise<Page>,
        wanted: (model: Model) => object,
      ) => {
        const page = await read;
        same(t, normal(page), normal(wanted(new Model(changes.slice(0, page.upTo)))));
        checked++;
      };
      for (const batch of randomBatches(seed, changes, 25)) {
        const id = batch[0]?.conv as ConvId;
        reads.push(messages.apply(batch, after(batch)));
        reads.push(check(messages.history(id, { before: 1_000 }, 50), (model) => model.history({ before: 1_000 }, 50)));
        reads.push(check(messages.sync(id, 10, 20), (model) => model.sync(10, 20)));
        reads.push(check(messages.changes(id, 0, 999), ({ changes, upTo }) => ({ changes, upTo })));
        if (reads.length > 20) await reads[reads.length - 12];
      }
      await Promise.all(reads);
      t.ok(checked > 0);
    });

    t.test(`law 6: whatever the batches, every read is the fold of the changes (seed ${seed})`, async (t) => {
      const changes = randomChanges(seed, 350);
      const { messages } = await open(t);
      for (const batch of randomBatches(seed, changes)) await messages.apply(batch, after(batch));
      same(t, await messages.watermark(), after(changes));
      same(t, await everything(messages, changes), expected(changes));
    });

    t.test(`law 6: history in every range (seed ${seed})`, async (t) => {
      const changes = randomChanges(seed, 250, 2);
      const messages = await filled(t, changes);
      for (const [id, own] of byConv(changes)) {
        const model = new Model(own);
        const ranges = [0, ...own.map(({ seq }) => seq), own.length + 1, Number.MAX_SAFE_INTEGER]
          .flatMap((seq) => [{ before: seq }, { after: seq }])
          .flatMap((range) => LIMITS.map((limit) => ({ range, limit })));
        const pages = await Promise.all(ranges.map(({ range, limit }) => messages.history(id, range, limit)));
        same(
          t,
          pages,
          ranges.map(({ range, limit }) => model.history(range, limit)),
        );
      }
    });

    t.test(`law 6: sync from every cursor, page by page to the end (seed ${seed})`, async (t) => {
      const changes = randomChanges(seed, 200, 2);
      const messages = await filled(t, changes);
      for (const [id, own] of byConv(changes)) {
        const model = new Model(own);
        for (const limit of LIMITS) {
          const cursors = [0, ...own.map(({ seq }) => seq)];
          const pages = await Promise.all(cursors.map((cursor) => messages.sync(id, cursor, limit)));
          same(
            t,
            pages.map(normal),
            cursors.map((cursor) => normal(model.sync(cursor, limit))),
          );
        }
        same(t, sorted(await pulled(messages, id, 0, 3)), model.items, 'each item once');
      }
    });

    t.test(
      `law 6: a reader that pulls small pages between writes ends with the same state (seed ${seed})`,
      async (t) => {
        const changes = randomChanges(seed, 300, 1);
        const id = changes[0]?.conv as ConvId;
        const { messages } = await open(t);
        const held = new Map<string, ItemState>();
        let cursor = 0;
        const pull = async (limit: number) => {
          const page = await messages.sync(id, cursor, limit);
          for (const item of page.items) held.set(identity(item), item);
          cursor = page.to;
        };
        const random = new Random(seed);
        for (const batch of randomBatches(seed, changes, 20)) {
          await messages.apply(batch, after(batch));
          await pull(1 + random.below(4));
        }
        while (cursor < changes.length) await pull(2);
        same(t, sorted([...held.values()]), new Model(changes).items);
      },
    );
  }

  t.test('law 6: one who was added after so many that they fill a page is in the next one', async (t) => {
    const writer = new Writer();
    const people = Array.from({ length: 5 }, (_, index) => ({ user: user(`u${index}`), role: 'member' }));
    writer.create(c1, { kind: 'group', members: people });
    writer.write(c1, 'member', user('u0'), { user: user('late'), what: 'add' });
    const messages = await filled(t, writer.changes);
    for (const limit of [1, 3, 5]) {
      const items = await pulled(messages, c1, 0, limit);
      t.ok(
        items.some((item) => item.is === 'member' && item.user === user('late')),
        `pages of ${limit}`,
      );
    }
  });

  t.test('law 11: a page of one byte is a page of one item, of very many bytes one of all', async (t) => {
    const changes = randomChanges(63, 120, 1);
    const id = changes[0]?.conv as ConvId;
    const messages = await filled(t, changes);
    const cursors = [0, ...changes.map(({ seq }) => seq)];
    const ranges = cursors.flatMap((seq) => [{ before: seq }, { after: seq }]);
    for (const [limit, maxBytes] of [
      [1, 1],
      [99, 1_000_000],
    ] as const) {
      const most = maxBytes === 1 ? 99 : limit;
      same(
        t,
        await Promise.all(ranges.map((range) => messages.history(id, range, most, maxBytes))),
        await Promise.all(ranges.map((range) => messages.history(id, range, limit))),
      );
      same(
        t,
        (await Promise.all(cursors.map((cursor) => messages.sync(id, cursor, most, maxBytes)))).map(normal),
        (await Promise.all(cursors.map((cursor) => messages.sync(id, cursor, limit)))).map(normal),
      );
      same(
        t,
        await Promise.all(cursors.map((cursor) => messages.changes(id, cursor, most, maxBytes))),
        await Promise.all(cursors.map((cursor) => messages.changes(id, cursor, limit))),
      );
    }
  });

  t.test('law 11: pages by bytes follow on one another, of more items than are read at once', async (t) => {
    const writer = new Writer();
    writer.create(c1);
    for (let count = 0; count < 150; count++) writer.say(c1, count < 130 ? 'short' : 'ä'.repeat(500));
    const messages = await filled(t, writer.changes);
    const all = (await messages.history(c1, { after: 0 }, 999)).items;
    const older: number[] = [];
    const items: ItemState[] = [];
    for (let before = 1_000; items.length < all.length; before = items[0]?.rev ?? 0) {
      const page = await messages.history(c1, { before }, 999, 10_000);
      t.equal(page.more, items.length + page.items.length < all.length);
      older.push(page.items.length);
      items.unshift(...page.items);
    }
    same(t, items, all);
    t.equal(older[0], 10, 'the tenth of some thousand bytes each reaches ten thousand');
    t.ok((older[2] ?? 0) > 64, 'of short ones there are many to a page');
    const pulledItems = await pulled(messages, c1, 0, 999, 10_000);
    same(
      t,
      pulledItems.filter(({ is }) => is === 'message'),
      all,
    );
    const changes: unknown[] = [];
    for (let cursor = 0; cursor < writer.changes.length; ) {
      const page = await messages.changes(c1, cursor, 999, 10_000);
      changes.push(...page.changes);
      cursor = page.changes.at(-1)?.seq ?? 999;
    }
    same(t, changes, (await messages.changes(c1, 0, 999)).changes);
  });

  t.test('law 6: pages of changes follow on one another, deleted texts erased', async (t) => {
    const changes = randomChanges(61, 200, 1);
    const id = changes[0]?.conv as ConvId;
    const messages = await filled(t, changes);
    const pages: unknown[] = [];
    for (let cursor = 0; ; ) {
      const page = await messages.changes(id, cursor, 7);
      t.equal(page.upTo, changes.length);
      pages.push(...page.changes);
      cursor = page.changes.at(-1)?.seq ?? cursor;
      if (page.changes.length < 7) break;
    }
    same(t, pages, new Model(changes).changes);
  });

  t.test('law 6: what nobody knows is empty', async (t) => {
    const { messages } = await open(t);
    same(t, await messages.watermark(), []);
    same(t, await messages.changes(c1, 0, 9), { changes: [], upTo: 0 });
    same(t, await messages.history(c1, { before: 9 }, 9), { items: [], more: false, upTo: 0 });
    same(t, await messages.sync(c1, 0, 9), { items: [], to: 0, upTo: 0 });
    same(t, await messages.messages(c1, [1]), { items: [], upTo: 0 });
    t.equal(await messages.recall(c1, user('ann'), 'key-1' as Key), null);
    same(t, await messages.heads([c1]), new Map());
  });

  t.test(
    'law 6: a change of a type this version does not know is kept and replayed, and changes no state',
    async (t) => {
      const writer = new Writer();
      writer.create(c1);
      writer.say(c1, 'one');
      const before = new Model(writer.changes);
      const unknown = writer.write(c1, 'poll' as 'message', user('ann'), { of: 2, choice: 1 });
      const stored = { ...unknown, n: 0 };
      const { messages } = await open(t);
      await messages.apply([...writer.changes.slice(0, 2), stored], [3]);
      same(t, (await messages.changes(c1, 2, 9)).changes, [{ seq: 3, wire: stored.wire }]);
      same(t, (await messages.history(c1, { after: 0 }, 9)).items, before.messages);
      same(t, normal(await messages.sync(c1, 0, 99)), { items: before.items, to: 3, upTo: 3 });
    },
  );

  t.test('law 7: a deletion erases the message and its edits, those before and those after it', async (t) => {
    const writer = new Writer();
    writer.create(c1);
    const file = { id: 'f1', name: 'secret.png', type: 'image/png', size: 1 };
    const { seq } = writer.say(c1, 'secret', { files: [file], mentions: ['bob'], reply: 1 }, 'key-1');
    const kept = writer.say(c1, 'kept');
    writer.write(c1, 'edit', user('ann'), { of: seq, text: 'secret, edited', mentions: ['bob'] }, 'key-2');
    writer.write(c1, 'edit', user('ann'), { of: kept.seq, text: 'kept, edited' });
    const stored = writer.changes.length;
    const messages = await filled(t, writer.changes);
    writer.write(c1, 'edit', user('ann'), { of: seq, text: 'secret, again' });
    writer.write(c1, 'delete', user('ann'), { of: seq });
    writer.write(c1, 'edit', user('ann'), { of: seq, text: 'secret, too late' });
    const rest = writer.changes.slice(stored);
    await messages.apply(rest, after(rest));
    same(t, await everything(messages, writer.changes), expected(writer.changes));
    const texts = (await messages.changes(c1, 0, 99)).changes.map(({ wire }) => wire).join('\n');
    t.notMatch(texts, /secret|bob/);
    t.match(texts, /kept, edited/);
    same(t, await messages.recall(c1, user('ann'), 'key-1' as Key), { seq, n: 1, at: writer.changes[1]?.at });
  });

  t.test('law 7: a message deleted in the batch that brings it is stored without its text', async (t) => {
    const writer = new Writer();
    writer.create(c1);
    const { seq } = writer.say(c1, 'secret');
    writer.write(c1, 'edit', user('ann'), { of: seq, text: 'secret, edited' });
    writer.write(c1, 'delete', user('ann'), { of: seq });
    writer.write(c1, 'delete', user('ann'), { of: seq });
    const messages = await filled(t, writer.changes);
    same(t, await everything(messages, writer.changes), expected(writer.changes));
    t.notMatch(JSON.stringify(await messages.changes(c1, 0, 99)), /secret/);
  });

  t.test('law 6: the items of one change are never split, whatever the limit', async (t) => {
    const writer = new Writer();
    const members = USERS.map((user) => ({ user, role: 'member' }));
    writer.create(c1, { members });
    const root = writer.say(c1, 'root');
    writer.say(c1, 'reply', { thread: root.seq });
    writer.say(c1, 'last');
    const messages = await filled(t, writer.changes);
    const creation = await messages.sync(c1, 0, 1);
    t.equal(creation.items.length, 1 + USERS.length);
    t.equal(creation.to, 1);
    const reply = await messages.sync(c1, 1, 1);
    same(t, reply.items.map(identity).sort(), ['message 2', 'message 3']);
    t.equal(reply.to, 3);
    same(t, (await messages.sync(c1, 3, 1)).to, 4);
  });

  t.test('law 9: a read covers every apply that had resolved', async (t) => {
    const writer = new Writer();
    writer.create(c1);
    const { messages } = await open(t);
    await messages.apply(writer.changes, [1]);
    for (let count = 1; count <= 50; count++) {
      const change = writer.say(c1, `message ${count}`);
      await messages.apply([change], [change.offset]);
      const [page, heads] = await Promise.all([messages.history(c1, { before: 999 }, 1), messages.heads([c1])]);
      if (page.items[0]?.seq !== change.seq || heads.get(c1)?.seq !== change.seq) t.fail(`not covered: ${change.seq}`);
    }
    same(t, await messages.heads([c1, c2]), new Map([[c1, writer.head(c1)]]));
  });
}

/** As strictSame, which takes its time over large answers even where they are equal. */
export function same(t: Test, found: unknown, wanted: unknown, name = 'the same'): void {
  if (isDeepStrictEqual(found, wanted)) t.pass(name);
  else t.strictSame(found, wanted, name);
}

/** All that a store answers about the conversations of some changes. */
export async function everything(messages: MessageStore, changes: readonly Change[]): Promise<object> {
  const convs = [...byConv(changes).keys()].sort();
  const seqs = Array.from({ length: changes.length + 2 }, (_, index) => index);
  const heads = await messages.heads(convs);
  const reads = convs.map(async (id) => ({
    id,
    head: heads.get(id),
    changes: await messages.changes(id, 0, 9_999),
    history: await messages.history(id, { after: 0 }, 9_999),
    messages: await messages.messages(id, seqs),
    sync: normal(await messages.sync(id, 0, 9_999)),
  }));
  return Promise.all(reads);
}

/** The same, from the model. */
export function expected(changes: readonly Change[]): object {
  const heads = new Writer();
  for (const [id, own] of byConv(changes)) for (const { type, from } of own) heads.write(id, type, from, {});
  return [...byConv(changes)]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([id, own]) => {
      const model = new Model(own);
      const { upTo } = model;
      return {
        id,
        head: { ...heads.head(id), at: own.at(-1)?.at },
        changes: { changes: model.changes, upTo },
        history: model.history({ after: 0 }, 9_999),
        messages: { items: model.messages, upTo },
        sync: model.sync(0, 9_999),
      };
    });
}

async function pulled(
  messages: MessageStore,
  id: ConvId,
  from: Seq,
  limit: number,
  maxBytes?: number,
): Promise<ItemState[]> {
  const items: ItemState[] = [];
  for (let cursor = from; ; ) {
    const page = await messages.sync(id, cursor, limit, maxBytes);
    items.push(...page.items);
    if (page.to === page.upTo) return items;
    cursor = page.to;
  }
}

function normal(page: object): object {
  return 'items' in page ? { ...page, items: sorted(page.items as ItemState[]) } : page;
}
