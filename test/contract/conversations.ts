// The contract of ConversationStore (src/ports/conversations.ts): every adapter passes it.
import type { Test } from 'tap';
import type { ConversationStore, RoomEntry } from '../../src/ports/conversations.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import { type ConvId, isMember } from '../../src/protocol/ids.ts';
import { after, byConv, conv, Model, randomBatches, randomChanges, USERS, user, Writer } from './store-model.ts';

export interface ConversationsUnderTest {
  readonly conversations: ConversationStore;
  /** The one that is applied to. */
  readonly messages: MessageStore;
}

const c1 = conv('c1');
const c2 = conv('c2');

export function conversationsContract(t: Test, open: (t: Test) => Promise<ConversationsUnderTest>): void {
  async function filled(t: Test, writer: Writer): Promise<ConversationStore> {
    const { messages, conversations } = await open(t);
    await messages.apply(writer.changes, after(writer.changes));
    return conversations;
  }

  for (const seed of [1, 2, 3]) {
    t.test(`law 1: a loaded conversation is the fold of its changes, at every batch (seed ${seed})`, async (t) => {
      const changes = randomChanges(seed, 250, 3);
      const { messages, conversations } = await open(t);
      for (const batch of randomBatches(seed, changes, 60)) {
        await messages.apply(batch, after(batch));
        for (const { conv, state, head, members } of await conversations.load([...byConv(batch).keys()])) {
          const model = new Model(changes.filter((change) => change.conv === conv && change.seq <= head.seq));
          t.strictSame(state, model.state);
          t.strictSame(byUser(members), byUser(model.members.filter(({ role }) => role !== 'none')));
        }
      }
    });

    t.test(`law 2: the conversations of a user are those it is in or invited to (seed ${seed})`, async (t) => {
      const changes = randomChanges(seed, 400, 12);
      const { messages, conversations } = await open(t);
      await messages.apply(changes, after(changes));
      const models = [...byConv(changes)].map(([id, own]) => [id, new Model(own)] as const);
      for (const name of USERS) {
        const wanted = models
          .filter(([, { state }]) => state?.deleted !== true)
          .map(([conv, model]) => ({ conv, role: model.standing(name) }))
          .filter(({ role }) => role !== 'none');
        t.strictSame(
          sortedBy(await conversations.ofUser(name), ({ conv }) => conv),
          sortedBy(wanted, ({ conv }) => conv),
        );
      }
    });
  }

  t.test(
    'law 1: the head tells up to which change, and the guard the last one of membership or settings',
    async (t) => {
      const writer = new Writer();
      writer.create(c1);
      writer.say(c1, 'one');
      writer.write(c1, 'member', user('bob'), { user: 'bob', what: 'join' });
      writer.say(c1, 'two');
      const { messages, conversations } = await open(t);
      await messages.apply(writer.changes, [4]);
      const [loaded] = await conversations.load([c1]);
      t.strictSame(loaded?.head, { seq: 4, n: 2, guard: 3, at: writer.changes[3]?.at });
      const titled = writer.write(c1, 'conv', user('ann'), { title: 'another' });
      await messages.apply([titled], [5]);
      const [later] = await conversations.load([c1]);
      t.strictSame(later?.head, { seq: 5, n: 2, guard: 5, at: titled.at });
      t.match(later?.state, { is: 'conv', kind: 'group', title: 'another', rev: 5 });
    },
  );

  t.test('law 1: the unknown are left out', async (t) => {
    const writer = new Writer();
    writer.create(c1);
    const conversations = await filled(t, writer);
    t.strictSame(
      (await conversations.load([c2, c1, conv('c3')])).map(({ conv }) => conv),
      [c1],
    );
    t.strictSame(await conversations.load([]), []);
    t.strictSame(await conversations.ofUser(user('stranger')), []);
  });

  t.test('law 2: who left is in no list and no member; who comes back is', async (t) => {
    const writer = new Writer();
    writer.create(c1);
    const { messages, conversations } = await open(t);
    const acts = [
      ['invite', 'invited'],
      ['join', 'member'],
      ['leave', undefined],
      ['add', 'member'],
      ['kick', undefined],
      ['invite', 'invited'],
      ['ban', undefined],
    ] as const;
    for (const [what, role] of acts) {
      writer.write(c1, 'member', user('ann'), { user: 'bob', what });
      await messages.apply(writer.changes, after(writer.changes));
      t.strictSame(await conversations.ofUser(user('bob')), role === undefined ? [] : [{ conv: c1, role }], what);
      const [loaded] = await conversations.load([c1]);
      t.equal(loaded?.members.find((member) => member.user === 'bob')?.role, role, what);
    }
  });

  t.test('law 3: a deleted conversation is loaded as deleted and is in no list', async (t) => {
    const writer = new Writer();
    const fields = { kind: 'room', public: true, title: 'Lobby' };
    writer.create(c1, fields);
    writer.create(c2, fields);
    writer.write(c1, 'conv', user('ann'), { deleted: true });
    const conversations = await filled(t, writer);
    const [loaded] = await conversations.load([c1]);
    t.equal(loaded?.state.deleted, true);
    t.equal(loaded?.head.seq, 2);
    t.strictSame(await conversations.ofUser(user('ann')), [{ conv: c2, role: 'owner' }]);
    t.strictSame(ids(await conversations.rooms('', null, 9)), [c2]);
  });

  t.test('law 1: the directory has the public rooms and nothing else, with their members counted', async (t) => {
    const writer = new Writer();
    const members = USERS.map((user) => ({ user, role: 'member' }));
    writer.create(c1, { kind: 'room', public: true, title: 'Lobby', topic: 'all and nothing', members });
    writer.write(c1, 'member', user('fay'), { user: 'fay', what: 'invite' });
    writer.write(c1, 'member', user('ann'), { user: 'ann', what: 'leave' });
    writer.write(c1, 'member', user('bob'), { user: 'bob', what: 'role', role: 'owner' });
    writer.create(c2, { kind: 'room', public: false, title: 'Hidden' });
    writer.create(conv('c3'), { kind: 'group', public: true, title: 'Group' });
    writer.create(conv('c4'), { kind: 'room', public: true, title: undefined });
    const conversations = await filled(t, writer);
    t.strictSame((await conversations.rooms('', null, 9)).items, [
      { conv: conv('c4'), members: 1 },
      { conv: c1, title: 'Lobby', topic: 'all and nothing', members: USERS.length - 1 },
    ]);
  });

  t.test('law 1: a room enters and leaves the directory as its fields change', async (t) => {
    const writer = new Writer();
    const { messages, conversations } = await open(t);
    writer.create(c1, { kind: 'room', public: false, title: 'Before' });
    const listed = async (query: string) => {
      await messages.apply(writer.changes, after(writer.changes));
      return ids(await conversations.rooms(query, null, 9));
    };
    t.strictSame(await listed(''), []);
    writer.write(c1, 'conv', user('ann'), { public: true });
    t.strictSame(await listed('before'), [c1]);
    writer.write(c1, 'conv', user('ann'), { title: 'Later' });
    t.strictSame(await listed('before'), []);
    t.strictSame(await listed('LATER'), [c1]);
    writer.write(c1, 'conv', user('ann'), { public: false });
    t.strictSame(await listed(''), []);
  });

  t.test('law 1: rooms are found by any part of their title, without case, the query taken as it is', async (t) => {
    const writer = new Writer();
    const titles = ['ÄRGER im Büro', '100% sure', 'a_b', 'abc', 'naïve', '𝒳 room'];
    for (const [index, title] of titles.entries())
      writer.create(conv(`c${index}`), { kind: 'room', public: true, title });
    const conversations = await filled(t, writer);
    const found = async (query: string) => (await conversations.rooms(query, null, 9)).items.map(({ title }) => title);
    t.strictSame(await found('ärger IM'), ['ÄRGER im Büro']);
    t.strictSame(await found('%'), ['100% sure']);
    t.strictSame(await found('_'), ['a_b']);
    t.strictSame(await found('B'), ['a_b', 'abc', 'ÄRGER im Büro']);
    t.strictSame(await found('𝒳'), ['𝒳 room']);
    t.strictSame(await found('nothing'), []);
  });

  t.test('law 1: the directory is paged by title, then id, each room once', async (t) => {
    const writer = new Writer();
    const titles = ['b', 'a', 'B', 'ｚ', '😀', 'a', 'a', 'C', 'b', 'a'];
    for (const [index, title] of titles.entries())
      writer.create(conv(`c${index}`), { kind: 'room', public: true, title });
    const conversations = await filled(t, writer);
    const wanted = ['c1', 'c5', 'c6', 'c9', 'c0', 'c2', 'c8', 'c7', 'c3', 'c4'];
    for (const limit of [1, 3, 4, 5, 10, 11]) {
      const found: ConvId[] = [];
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<ConversationStore['rooms']>> = await conversations.rooms('', cursor, limit);
        t.ok(page.items.length <= limit && page.items.length > 0);
        found.push(...ids(page));
        cursor = page.cursor;
      } while (cursor !== null);
      t.strictSame(found, wanted, `pages of ${limit}`);
    }
    t.strictSame(await conversations.rooms('', 'no-such-cursor', 9), { items: [], cursor: null });
  });

  t.test('law 3: a cursor keeps its place when its room is deleted between two pages', async (t) => {
    const writer = new Writer();
    for (const name of ['a', 'b', 'c']) writer.create(conv(name), { kind: 'room', public: true, title: name });
    const { messages, conversations } = await open(t);
    await messages.apply(writer.changes, after(writer.changes));
    const first = await conversations.rooms('', null, 2);
    const deletion = writer.write(conv('b'), 'conv', user('ann'), { deleted: true });
    await messages.apply([deletion], [deletion.offset]);
    t.strictSame(ids(await conversations.rooms('', first.cursor, 2)), ['c']);
  });

  t.test('law 1: after any history the directory counts whoever is a member', async (t) => {
    const changes = randomChanges(9, 500, 10);
    const { messages, conversations } = await open(t);
    for (const batch of randomBatches(9, changes)) await messages.apply(batch, after(batch));
    const { items } = await conversations.rooms('', null, 99);
    t.ok(items.length > 0);
    for (const { conv, members } of items) {
      const model = new Model(changes.filter((change) => change.conv === conv));
      t.equal(members, model.members.filter(({ role }) => isMember(role)).length);
    }
  });
}

function ids({ items }: { readonly items: readonly RoomEntry[] }): readonly ConvId[] {
  return items.map(({ conv }) => conv);
}

function byUser(members: readonly { readonly user: string; readonly role: string }[]) {
  return sortedBy(
    members.map(({ user, role }) => ({ user, role })),
    ({ user }) => user,
  );
}

function sortedBy<Item>(items: readonly Item[], key: (item: Item) => string): readonly Item[] {
  return [...items].sort((one, other) => (key(one) < key(other) ? -1 : 1));
}
