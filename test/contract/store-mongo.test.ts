// What only the MongoDB store promises: its server's crashes, its transactions, its queries.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';
import { type Document, MongoClient } from 'mongodb';
import t, { type Test } from 'tap';
import { CONVERSATION_READS } from '../../src/adapters/mongo/conversations.ts';
import { openDatabase } from '../../src/adapters/mongo/database.ts';
import { MESSAGE_READS } from '../../src/adapters/mongo/messages.ts';
import { PartMemory } from '../../src/adapters/mongo/part-memory.ts';
import { openMongoStore } from '../../src/adapters/mongo/store.ts';
import { ChatError, StartError } from '../../src/errors.ts';
import type { Change } from '../../src/ports/log.ts';
import { type MessageStore, PoisonError } from '../../src/ports/store.ts';
import type { Key, SessionId } from '../../src/protocol/ids.ts';
import { mongoDatabase, mongoServer } from '../kit/services.ts';
import { WAIT_MS } from '../kit/waiting.ts';
import { everything, expected, same } from './store.ts';
import { after, conv, Model, Random, randomBatches, randomChanges, sorted, user, Writer } from './store-model.ts';
import { freshStore, openStore } from './store-mongo.ts';

const WRITER = new URL('./store-mongo-writer.ts', import.meta.url).pathname;
const c1 = conv('c1');

/** The environment of a child: tap's loaders and reporters are not for it. */
function childEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('TAP'));
  return Object.fromEntries(kept);
}

/** A process that applies a history; it is ended with the test. */
function startWriter(t: Test, url: string, seed: number, count: number) {
  const args = [WRITER, url, String(seed), String(count)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env: childEnvironment() });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  t.teardown(() => child.kill('SIGKILL'));
  return { child, ended, told: createInterface({ input: outputOf(child) }) };
}

function outputOf({ stdout }: ChildProcess) {
  if (stdout === null) throw new Error('the child has no output');
  return stdout;
}

/** The server's own side: what is stored, and the faults it is told to have. */
async function adminOf(t: Test, url: string): Promise<MongoClient> {
  const client = new MongoClient(url);
  t.teardown(() => client.close());
  return client.connect();
}

/** As a persister does: again until it is stored; within reason. */
async function insist(messages: MessageStore, batch: readonly Change[]): Promise<void> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    try {
      return await messages.apply(batch, after(batch));
    } catch (error) {
      if (!isUnavailable(error) || performance.now() > endMs) throw error;
    }
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ChatError && error.code === 'unavailable';
}

async function holdsFirst(t: Test, messages: MessageStore, changes: readonly Change[]): Promise<number> {
  const [watermark = 0] = await messages.watermark();
  same(t, await everything(messages, changes.slice(0, watermark)), expected(changes.slice(0, watermark)));
  return watermark;
}

t.test('law 3: after kill -9 of the server everything that resolved is there, and nothing is half there', async (t) => {
  const server = await mongoServer(t);
  const { messages } = await openStore(t, server.url);
  const changes = randomChanges(21, 900);
  const random = new Random(21);
  let resolved = 0;
  let kills = 0;
  let restarted: Promise<void> = Promise.resolve();
  for (const [index, batch] of randomBatches(21, changes, 12).entries()) {
    if (index % 30 === 20 && kills < 3) {
      kills++;
      setTimeout(() => {
        restarted = server.kill().then(() => server.start());
      }, random.below(30));
    }
    await insist(messages, batch);
    resolved = Math.max(resolved, batch.at(-1)?.offset ?? 0);
    if (index % 30 !== 29) continue;
    await restarted;
    t.ok((await holdsFirst(t, messages, changes)) >= resolved);
  }
  t.equal(kills, 3);
  t.equal(await holdsFirst(t, messages, changes), changes.length);
});

t.test(
  'while the server answers nothing callers get `unavailable`; a repeated batch is right afterwards',
  async (t) => {
    const server = await mongoServer(t);
    const { messages, users, marks, logRecord } = await openStore(t, server.url);
    const changes = randomChanges(22, 200);
    await messages.apply(changes.slice(0, 100), [100]);
    const ask = () =>
      Promise.allSettled([
        messages.apply(changes.slice(90), [200]),
        messages.history(c1, { before: 9 }, 9),
        users.byLogin('ann'),
        marks.put([{ conv: c1, user: user('ann'), read: 1, received: 1 }]),
        logRecord.liveNodes(),
        logRecord.beginEpoch(1, 0),
      ]);
    server.pause();
    // A stop takes effect a moment after it was sent.
    for (const answer of await ask()) t.ok(answer.status === 'fulfilled' || isUnavailable(answer.reason));
    for (const answer of await ask()) t.ok(answer.status === 'rejected' && isUnavailable(answer.reason));
    server.resume();
    await insist(messages, changes.slice(90));
    t.equal(await holdsFirst(t, messages, changes), 200);
  },
);

t.test('a process that was killed in the middle of a batch is in nobody’s way', async (t) => {
  const { url, messages } = await freshStore(t);
  const changes = randomChanges(23, 600);
  for (let watermark = 0, kills = 0; watermark < 400; kills++) {
    const { child, ended, told } = startWriter(t, url, 23, 600);
    let lines = 0;
    for await (const _ of told) if (++lines === 3 + (kills % 4)) child.kill('SIGKILL');
    await ended;
    const [stored = 0] = await messages.watermark();
    const batch = changes.slice(Math.max(0, stored - 5), stored + 10);
    await messages.apply(batch, after(batch));
    watermark = await holdsFirst(t, messages, changes);
  }
});

t.test('a process that was stopped while others went on stores nothing of its past', async (t) => {
  const { url, messages } = await freshStore(t);
  const changes = randomChanges(24, 300);
  const { child, ended, told } = startWriter(t, url, 24, 300);
  let lines = 0;
  for await (const _ of told) {
    if (++lines % 5 !== 0) continue;
    child.kill('SIGSTOP');
    const [stored = 0] = await messages.watermark();
    const batch = changes.slice(stored, stored + 40);
    if (batch.length > 0) await messages.apply(batch, after(batch));
    await holdsFirst(t, messages, changes);
    child.kill('SIGCONT');
  }
  t.equal(await ended, 0);
  t.equal(await holdsFirst(t, messages, changes), 300);
});

for (const seed of [1, 2, 3]) {
  t.test(`two that apply the same part at once do each other no harm (seed ${seed})`, async (t) => {
    const { url, messages } = await freshStore(t);
    const other = await openStore(t, url);
    const changes = randomChanges(seed, 250);
    const carry = async (store: MessageStore, cut: number) => {
      for (const batch of randomBatches(cut, changes, 15)) await insist(store, batch);
    };
    await Promise.all([carry(messages, seed), carry(other.messages, seed + 50)]);
    t.equal(await holdsFirst(t, messages, changes), 250);
    t.equal(await holdsFirst(t, other.messages, changes), 250);
  });
}

t.test('of two first batches of a part at once none is taken for poison', async (t) => {
  const { url, messages } = await freshStore(t);
  const other = await openStore(t, url);
  const parts = Array.from({ length: 60 }, (_, part) => {
    const writer = new Writer();
    writer.create(conv(`p${part}`));
    writer.say(conv(`p${part}`), 'one', {}, 'key-one-1');
    return writer.changes.map((change) => ({ ...change, part }));
  });
  for (const [part, changes] of parts.entries()) {
    const upTo = [...new Array<number>(part).fill(0), 2];
    await Promise.all([messages, other.messages].map((store) => store.apply(changes, upTo)));
  }
  same(t, await messages.watermark(), new Array(60).fill(2));
  for (const changes of parts) same(t, await everything(other.messages, changes), expected(changes));
});

t.test('parts are applied beside each other, each in its own order', async (t) => {
  const { messages } = await freshStore(t);
  const parts = Array.from({ length: 8 }, (_, part) => {
    const writer = new Writer();
    writer.create(conv(`p${part}`));
    for (let count = 0; count < 40; count++) writer.say(conv(`p${part}`), `${count}`, {}, `key-${count}`);
    return writer.changes.map((change) => ({ ...change, part }));
  });
  await Promise.all(
    parts.flatMap((changes, part) =>
      changes.map((change) => messages.apply([change], [...new Array<number>(part).fill(0), change.offset])),
    ),
  );
  same(t, await messages.watermark(), new Array(8).fill(41));
  for (const changes of parts) same(t, await everything(messages, changes), expected(changes));
});

t.test('law 5: of many reads beside many small batches each is of one moment', async (t) => {
  const { url, messages } = await freshStore(t);
  const other = await openStore(t, url);
  const changes = randomChanges(26, 250, 1);
  const id = changes[0]?.conv ?? c1;
  const ends = { history: Number.MAX_SAFE_INTEGER, sync: 10 };
  let isOver = false;
  let reads = 0;
  const wrong: string[] = [];
  const read = async (store: MessageStore) => {
    while (!isOver) {
      const page = await store.history(id, { before: ends.history }, 300);
      const items = await store.sync(id, ends.sync, 300);
      const model = new Model(changes.slice(0, page.upTo));
      if (!isDeepStrictEqual(page, model.history({ before: ends.history }, 300))) wrong.push(`history ${page.upTo}`);
      const later = new Model(changes.slice(0, items.upTo)).sync(ends.sync, 300);
      if (!isDeepStrictEqual(sorted(items.items), sorted(later.items))) wrong.push(`sync ${items.upTo}`);
      reads += 2;
    }
  };
  const readers = Array.from({ length: 3 }, () => read(other.messages));
  for (const change of changes) await messages.apply([change], [change.offset]);
  isOver = true;
  await Promise.all(readers);
  t.comment(`${reads} reads`);
  t.ok(reads > 0);
  t.same(wrong, []);
});

t.test('law 9: of a thousand batches each is covered by the reads right after it, elsewhere too', async (t) => {
  const { url, messages, conversations } = await freshStore(t);
  const other = await openStore(t, url);
  const writer = new Writer();
  await messages.apply([writer.create(c1)], [1]);
  let missed = 0;
  for (let count = 1; count <= 1_000; count++) {
    const change = writer.say(c1, `${count}`, {}, `key-${count}`);
    await messages.apply([change], [change.offset]);
    const [own, theirs, heads, loaded, receipt, watermark] = await Promise.all([
      messages.history(c1, { before: 9_999 }, 1),
      other.messages.sync(c1, change.seq - 1, 1),
      other.messages.heads([c1]),
      conversations.load([c1]),
      other.messages.recall(c1, user('ann'), `key-${count}` as Key),
      other.messages.watermark(),
    ]);
    const seen = [own.upTo, own.items[0]?.seq, theirs.upTo, theirs.to, heads.get(c1)?.seq];
    seen.push(loaded[0]?.head.seq, receipt?.seq, watermark[0]);
    if (seen.some((seq) => seq !== change.seq)) missed++;
  }
  t.equal(missed, 0);
});

t.test('faults of the server in the middle of a batch', async (t) => {
  const server = await mongoServer(t, { hasTestCommands: true });
  const { messages } = await openStore(t, server.url);
  const admin = (await adminOf(t, server.url)).db('admin');
  const changes = randomChanges(25, 700);
  let done = 0;

  async function appliesDespite(t: Test, data: Document, mode: Document | 'alwaysOn' = { times: 1 }): Promise<void> {
    const batch = changes.slice(done, done + 25);
    await admin.command({ configureFailPoint: 'failCommand', mode, data });
    await messages.apply(batch, after(batch));
    await admin.command({ configureFailPoint: 'failCommand', mode: 'off' });
    done += batch.length;
    t.equal(await holdsFirst(t, messages, changes), done);
  }

  await messages.apply(changes.slice(0, 25), [25]);
  done = 25;
  for (const command of ['update', 'find', 'insert', 'commitTransaction']) {
    t.test(`the connection is cut at ${command}`, (t) =>
      appliesDespite(t, { failCommands: [command], closeConnection: true }),
    );
  }
  for (const command of ['update', 'insert', 'commitTransaction']) {
    t.test(`the primary steps down at ${command}`, (t) =>
      appliesDespite(t, { failCommands: [command], errorCode: 10107, errorLabels: ['TransientTransactionError'] }),
    );
  }
  t.test('a conflict, three times', (t) =>
    appliesDespite(
      t,
      { failCommands: ['insert'], errorCode: 112, errorLabels: ['TransientTransactionError'] },
      { times: 3 },
    ),
  );
  t.test('a commit of which it is not known whether a majority has it', (t) =>
    appliesDespite(t, { failCommands: ['commitTransaction'], writeConcernError: { code: 64, errmsg: 'waited' } }),
  );
  t.test('a commit that is done, its answer lost', async (t) => {
    const batch = changes.slice(done, done + 25);
    const data = { failCommands: ['commitTransaction'], writeConcernError: { code: 91, errmsg: 'shutdown' } };
    await admin.command({ configureFailPoint: 'failCommand', mode: { times: 2 }, data });
    await insist(messages, batch);
    done += batch.length;
    t.equal(await holdsFirst(t, messages, changes), done);
  });
  t.test('a commit that never comes to an end is `unavailable`', async (t) => {
    const batch = changes.slice(done, done + 25);
    const data = { failCommands: ['commitTransaction'], closeConnection: true };
    await admin.command({ configureFailPoint: 'failCommand', mode: 'alwaysOn', data });
    const failure = await messages.apply(batch, after(batch)).catch((error: unknown) => error);
    t.ok(isUnavailable(failure));
    t.equal(await holdsFirst(t, messages, changes), done, 'and nothing of it is there');
    await admin.command({ configureFailPoint: 'failCommand', mode: 'off' });
    await insist(messages, batch);
    done += batch.length;
    t.equal(await holdsFirst(t, messages, changes), done);
  });
  t.test('another one hangs before its commit: it is ended, and stores nothing later', async (t) => {
    const other = await openStore(t, server.url);
    const batch = changes.slice(done, done + 25);
    const data = { failCommands: ['commitTransaction'], blockConnection: true, blockTimeMS: 8_000 };
    const { count } = await admin.command({ configureFailPoint: 'failCommand', mode: { times: 1 }, data });
    const hanging = other.messages.apply(batch, after(batch)).catch((error: unknown) => error);
    await admin.command({ waitForFailPoint: 'failCommand', timesEntered: count + 1, maxTimeMS: 30_000 });
    await messages.apply(batch.slice(0, 10), after(batch.slice(0, 10)));
    const [between = 0] = await messages.watermark();
    t.equal(between, done + 10);
    const answer = await hanging;
    t.ok(answer === undefined || isUnavailable(answer));
    await insist(messages, batch);
    done += batch.length;
    t.equal(await holdsFirst(t, messages, changes), done);
  });
});

t.test('poison: what can never be stored is refused as such, and told without its text', async (t) => {
  const { messages } = await freshStore(t);
  const writer = new Writer();
  writer.create(c1);
  writer.say(c1, 'one', {}, 'key-one-1');
  await messages.apply(writer.changes, [2]);
  const next = writer.say(c1, 'secret', {}, 'key-next');
  const poison: Record<string, Change> = {
    'a key that stands for another change': { ...next, key: 'key-one-1' as Key },
    'no JSON': { ...next, wire: '{"t":"message","text":"secret"' },
    'nothing like JSON': { ...next, wire: 'secret' },
    'JSON that is no object': { ...next, wire: 'null' },
    'the wire of another change': { ...next, wire: next.wire.replace('"seq":3', '"seq":4') },
    'the wire of another conversation': { ...next, wire: next.wire.replace('"conv":"c1"', '"conv":"c2"') },
    'larger than any document': { ...next, wire: next.wire.replace('secret', 'secret'.repeat(3_000_000)) },
    'members that are none': { ...writer.write(c1, 'conv', user('ann'), { members: 7 }), seq: 3 },
  };
  poison['members that are none'] = remade(poison['members that are none'] as Change, 3);
  for (const [name, change] of Object.entries(poison)) {
    const failure = await messages.apply([change], [3]).catch((error: unknown) => error);
    t.ok(failure instanceof PoisonError, name);
    t.notMatch(String((failure as Error).stack) + String((failure as Error).cause), /secret/, name);
    same(t, await messages.watermark(), [2]);
  }
  await messages.apply([next], [3]);
  same(t, await everything(messages, writer.changes.slice(0, 3)), expected(writer.changes.slice(0, 3)));
});

function remade(change: Change, seq: number): Change {
  return { ...change, seq, wire: JSON.stringify({ ...JSON.parse(change.wire), seq }) };
}

t.test(
  'the heads a process remembers of a part are bounded, and forgotten once another has written to it',
  async (t) => {
    const memory = new PartMemory();
    const headsOf = (from: number, count: number) =>
      new Map(
        Array.from({ length: count }, (_, index) => [conv(`c${from + index}`), { seq: 1, n: 0, guard: 1, at: 1 }]),
      );
    memory.remember(4, headsOf(0, 7_000));
    t.equal(memory.batches, 5);
    t.equal(memory.headsAt(5).size, 7_000);
    t.equal(memory.headsAt(6).size, 0);
    memory.remember(5, headsOf(7_000, 7_000));
    t.equal(memory.headsAt(6).size, 10_000);
    t.equal(memory.headsAt(6).has(conv('c3999')), false, 'the oldest went first');
    t.equal(memory.headsAt(6).has(conv('c4000')), true);
    memory.remember(7, headsOf(0, 1));
    same(t, [...memory.headsAt(8).keys()], ['c0'], 'someone came between');
  },
);

t.test('law 7: a deleted text is in no collection', async (t) => {
  const { messages, url } = await freshStore(t);
  const writer = new Writer();
  writer.create(c1);
  const random = new Random(5);
  for (let index = 0; index < 60; index++) {
    const { seq } = writer.say(c1, 'secret');
    if (random.chance(0.5)) writer.write(c1, 'edit', user('ann'), { of: seq, text: 'secret, edited' });
    if (random.chance(0.5)) writer.write(c1, 'react', user('ann'), { of: seq, emoji: 'x', on: true });
  }
  const said = writer.changes.filter(({ type }) => type === 'message');
  await messages.apply(writer.changes, after(writer.changes));
  for (const { seq } of said) writer.write(c1, 'delete', user('ann'), { of: seq });
  await messages.apply(writer.changes, after(writer.changes));
  const db = (await adminOf(t, url)).db();
  for (const { name } of await db.listCollections().toArray()) {
    t.notMatch(JSON.stringify(await db.collection(name).find().toArray()), /secret/, name);
  }
});

t.test('law 8: a page costs its length, whatever the conversation’s, and whatever else happened in it', async (t) => {
  const { messages, conversations, url } = await freshStore(t);
  const writer = new Writer();
  const crowd = Array.from({ length: 300 }, (_, index) => user(`u${index}`));
  for (const id of [conv('c0'), c1, conv('c2')]) {
    writer.create(id, {
      kind: 'room',
      public: true,
      title: `Room ${id}`,
      members: crowd.map((user) => ({ user, role: 'member' })),
    });
    for (let count = 0; count < 400; count++) {
      const { seq } = writer.say(id, `${count}`, {}, `key-${count}`);
      if (count % 2 === 0) writer.write(id, 'edit', user('ann'), { of: seq, text: 'edited' });
      for (let noise = 0; noise < 3; noise++) writer.write(id, 'pin', user('ann'), { of: seq, on: true });
    }
  }
  await messages.apply(writer.changes, after(writer.changes));
  const db = (await adminOf(t, url)).db();
  const limit = 20;
  const cost = async (collection: string, pipeline: Document[]) => {
    const plan = await db.collection(collection).aggregate(pipeline).explain('executionStats');
    t.notMatch(JSON.stringify(plan), /"COLLSCAN"/);
    return examined(plan);
  };
  const last = writer.head(c1).seq;
  for (const at of [last, last / 2, 200]) {
    const pages = {
      changes: MESSAGE_READS.changes(c1, at - 100, limit, 1_000),
      before: MESSAGE_READS.history(c1, { before: at }, limit, 1_000),
      after: MESSAGE_READS.history(c1, { after: at - 100 }, limit, 1_000),
      sync: MESSAGE_READS.sync(c1, at - 100, limit, 1_000),
      messages: MESSAGE_READS.messages(c1, [at, at - 1, at - 2]),
    };
    for (const [name, pipeline] of Object.entries(pages)) {
      const keys = await cost('changes', pipeline);
      t.ok(keys <= 3 * limit + 10, `${name} at ${at}: ${keys} keys for a page of ${limit}`);
    }
  }
  t.ok((await cost('members', [{ $match: CONVERSATION_READS.ofUsers([user('u7')]) }])) <= 10);
  t.ok((await cost('convs', CONVERSATION_READS.load([c1]))) <= crowd.length + 10);
  const rooms = CONVERSATION_READS.rooms('room', { _id: conv(''), name: '' }, 2);
  t.ok((await cost('convs', rooms)) <= 3, 'found in their order, not sorted');
  t.equal((await conversations.rooms('room', null, 2)).items.length, 2);
});

t.test('what many ask in one moment is a few queries, and each gets its own answer', async (t) => {
  const { messages, conversations, marks, users, sessions, url } = await freshStore(t);
  const writer = new Writer();
  const people = Array.from({ length: 400 }, (_, index) => user(`u${index}`));
  for (const [index, id] of people.entries()) {
    writer.create(conv(`own-${index}`), { kind: 'group', members: [{ user: id, role: 'owner' }] });
    const name = `u${index}`;
    const fields = { displayName: name, email: `${name}@x.invalid`, password: '-', createdAt: 1 };
    await users.create({ id, name, ...fields });
    await sessions.open({ id: `s-${index}` as SessionId, user: id, createdAt: 1 }, `hash-${index}`);
  }
  await marks.put(people.map((id, index) => ({ conv: conv(`own-${index}`), user: id, read: index, received: index })));
  await messages.apply(writer.changes, after(writer.changes));
  const db = (await adminOf(t, url)).db();
  await db.command({ profile: 2 });
  const answers = await Promise.all(
    people.map(async (id, index) => {
      const own = conv(`own-${index}`);
      const [session, [account], places, [loaded], [mark]] = await Promise.all([
        sessions.get(`s-${index}` as SessionId),
        users.byIds([id, user('nobody')]),
        conversations.ofUser(id),
        conversations.load([own]),
        marks.ofUser(id),
      ]);
      return [session?.user, account?.id, places.map((place) => place.conv).join(), loaded?.conv, mark?.read];
    }),
  );
  const isQuery = { $or: [{ 'command.aggregate': { $exists: true } }, { 'command.find': { $exists: true } }] };
  const asked = await db.collection('system.profile').countDocuments(isQuery);
  t.same(
    answers,
    people.map((id, index) => [id, id, `own-${index}`, `own-${index}`, index]),
  );
  t.ok(asked >= 6 && asked <= 30, `${asked} queries for 2,000 calls`);
});

/** Keys of indexes looked at, by all parts of a plan. */
function examined(plan: unknown): number {
  if (typeof plan !== 'object' || plan === null) return 0;
  const own = (plan as { totalKeysExamined?: unknown }).totalKeysExamined;
  const inner = Object.values(plan).reduce((sum: number, part) => sum + examined(part), 0);
  return inner + (own === undefined ? 0 : Number(own));
}

t.test('what the URL says of durability does not count', async (t) => {
  const { url } = await mongoDatabase(t);
  const weak = 'w=0&journal=false&readPreference=secondary&readConcernLevel=local&retryWrites=false&socketTimeoutMS=0';
  const database = await openDatabase(`${url}&${weak}`);
  t.teardown(() => database.close());
  const { client } = database;
  t.match(client.writeConcern, { w: 'majority', journal: true });
  t.match(client.readPreference, { mode: 'primary' });
  t.match(client.options, { retryWrites: true, retryReads: true, socketTimeoutMS: 10_000 });
});

t.test('a database that cannot be used is refused in one line, without the password', async (t) => {
  const refused = async (url: string) => {
    const failure = await openMongoStore({ url }).catch((error: unknown) => error);
    t.ok(failure instanceof StartError, `${failure}`);
    t.match((failure as Error).message, /^store_unusable: [^\n]+$/);
    t.notMatch((failure as Error).message, /hunter2/);
  };
  await refused('redis://ann:hunter2@127.0.0.1:1/chat');
  await refused('mongodb://ann:hunter2@127.0.0.1:1/chat?no-such-option=hunter2');
  await refused('');
});

t.test('a database that is not there yet is `unavailable`, and is waited for', async (t) => {
  const failure = await openMongoStore({ url: 'mongodb://ann:hunter2@127.0.0.1:1/chat' }).catch((error) => error);
  t.match(failure, { code: 'unavailable' });
  t.notMatch(`${failure.message} ${failure.cause}`, /hunter2/);
});

t.test('a database of a newer version is refused', async (t) => {
  const { url, close } = await freshStore(t);
  await close();
  const about = (await adminOf(t, url)).db().collection<{ _id: string; version: number }>('about');
  await about.updateOne({ _id: 'store' }, { $set: { version: 1_000 } });
  const refused = new StartError('data_newer: the database is of version 1000, this program knows up to 1');
  await t.rejects(openMongoStore({ url }), refused);
});

t.test('ten processes may open a new database at once', async (t) => {
  const { url } = await mongoDatabase(t);
  const stores = await Promise.all(Array.from({ length: 10 }, () => openStore(t, url)));
  await Promise.all(stores.map(({ messages }) => messages.watermark()));
  t.equal(stores.length, 10);
});

t.test('after closing everything is `unavailable`; what was asked before is done', async (t) => {
  const { messages, users, marks, close, url } = await freshStore(t);
  const changes = randomChanges(3, 60);
  const applied = messages.apply(changes, [60]);
  await close();
  await applied;
  const failures = await Promise.allSettled([
    messages.apply(changes, [61]),
    users.byLogin('ann'),
    marks.ofUser(user('a')),
  ]);
  for (const failure of failures) t.ok(failure.status === 'rejected' && isUnavailable(failure.reason));
  t.equal(await holdsFirst(t, (await openStore(t, url)).messages, changes), 60);
});

t.test('logins, tokens and nodes of long ago are forgotten by the database itself', async (t) => {
  const { url } = await freshStore(t);
  const db = (await adminOf(t, url)).db();
  const dayS = 86_400;
  const expiry = async (name: string) =>
    (await db.collection(name).indexes()).find((index) => index.expireAfterSeconds);
  t.match(await expiry('tokens'), { key: { issuedAt: 1 }, expireAfterSeconds: 400 * dayS });
  t.match(await expiry('sessions'), { key: { usedAt: 1 }, expireAfterSeconds: 401 * dayS });
  t.match(await expiry('nodes'), { key: { until: 1 }, expireAfterSeconds: 3_600 });
});
