// `verify` on Redis and MongoDB: it finds nothing where nothing is wrong, and each tampering is named; what is a view is
// mended, and nothing else.
import type { Redis } from 'ioredis';
import type { Db } from 'mongodb';
import t, { type Test } from 'tap';
import type { ChangeDoc } from '../../src/adapters/mongo/documents.ts';
import { partKeys, partOf } from '../../src/adapters/redis/log-keys.ts';
import type { ConvId } from '../../src/protocol/ids.ts';
import { type Cluster, cluster } from '../kit/nodes.ts';
import { audited, fill, type Scene, verified } from './scene.ts';

t.setTimeout(600_000);

const PARTS = 4;
const COLLECTIONS = ['changes', 'touched', 'convs', 'members', 'parts', 'marks', 'log'] as const;

/** Of one who may tamper. */
interface Hands {
  readonly db: Db;
  readonly redis: Redis;
  readonly scene: Scene;
  readonly keys: ReturnType<typeof partKeys>;
  /** In the group. */
  change(seq: number): { _id: { conv: string; seq: number } };
}

interface Tampering {
  readonly what: string;
  tamper(hands: Hands): Promise<unknown>;
  readonly finds: readonly RegExp[];
  readonly isView?: true;
}

const VIEW = { isView: true } as const;

/** The name of a receipt, and the key it is in. */
async function receiptIn(redis: Redis, receipts: string): Promise<readonly [key: string, name: string, text: string]> {
  for (const key of await redis.keys(`${receipts}*`)) {
    const [name, text] = (await redis.call('HRANDFIELD', key, 1, 'WITHVALUES').then(flat)) as string[];
    if (name !== undefined && text !== undefined) return [key, name, text];
  }
  throw new Error('there are no receipts');
}

const flat = (reply: unknown) => (reply as unknown[]).flat();

/** Within a minute of the writes: then a receipt may be gone by itself. */
const FIRST: readonly Tampering[] = [
  {
    what: 'receipts are gone',
    tamper: async ({ redis, keys }) => redis.del(...(await redis.keys(`${keys.receipts}*`))),
    finds: [/^keys: conversation \S+, change \d+: the receipt of its key is gone/],
  },
  {
    what: 'a receipt says something else',
    tamper: async ({ redis, keys }) => {
      const [key, name, text] = await receiptIn(redis, keys.receipts);
      await redis.hset(key, name, text.replace(/^\d+/, '777'));
    },
    finds: [
      /^keys: conversation \S+, change \d+: the receipt of its key says 777 /,
      /^keys: part \d: a receipt says 777 /,
    ],
  },
  {
    what: 'a receipt of nothing',
    tamper: async ({ redis, keys }) => {
      const [key] = await receiptIn(redis, keys.receipts);
      await redis.hset(key, 'AAAAAAAAAAAAAAAAAAAAAA', '5 5 5');
    },
    finds: [/^keys: part \d: a receipt says 5 5 5, and no change/],
  },
];

const TAMPERINGS: readonly Tampering[] = [
  // The log.
  {
    what: 'an entry is gone',
    tamper: ({ redis, keys }) => redis.xdel(keys.log, '20-0'),
    finds: [/^log: part \d: entry 20 is missing/],
  },
  {
    what: 'an entry that nobody appended',
    tamper: ({ redis, keys }) => redis.xadd(keys.log, '*', 'b', '1', 'e', '1', 'w', 'x'),
    finds: [/^log: part \d, change \d{13}: an entry here is none that the log has written/],
  },
  {
    what: 'an entry of an epoch to come',
    tamper: async ({ redis, keys }) => redis.hset(keys.meta, 'epoch', 0),
    finds: [/^log: .* it is of epoch 1, and the log is in 0/, /^record: part \d: the log has none of it, and epoch 1/],
  },
  {
    what: 'its end is gone',
    tamper: ({ redis, keys }) => redis.hset(keys.meta, 'head', 20),
    finds: [/^watermark: part \d: the log ends at 20, before the watermark/],
  },
  {
    what: 'it was trimmed too far',
    tamper: ({ redis, keys }) => redis.hset(keys.meta, 'trimmed', 1000),
    finds: [/^watermark: part \d: the log begins after 1000, beyond/],
  },
  {
    what: 'it is another log',
    tamper: ({ redis, keys }) => redis.hset(keys.meta, 'log', 'another'),
    finds: [/^record: part \d: it belongs to another log/],
  },
  {
    what: 'its epoch is not on record',
    tamper: ({ redis, keys }) => redis.hset(keys.meta, 'epoch', 9),
    finds: [/^record: part \d: its epoch is 9, and 1 is on record/],
  },
  {
    what: 'Redis is empty',
    tamper: ({ redis }) => redis.flushall(),
    finds: [/^record: .* the log has none of it/, /^watermark: .* the log ends at 0, before/],
  },
  // What the log numbers on from.
  {
    what: 'a head behind its conversation',
    tamper: ({ redis, keys, scene }) => redis.hset(keys.heads, scene.group, '20 19 1 1 20'),
    finds: [
      /^heads: conversation \S+, change \d+: it exists, and the log would number on from 20/,
      /^heads: .* differs from it in at/,
    ],
  },
  {
    what: 'a head of a change that does not exist',
    tamper: ({ redis, keys, scene }) => redis.hset(keys.heads, scene.group, '900 800 1 1 900'),
    finds: [/^heads: part \d, conversation \S+, change 900: the log numbers on from it, and it does not exist/],
  },
  {
    what: 'a head is gone',
    tamper: ({ redis, keys, scene }) => redis.hdel(keys.heads, scene.group),
    finds: [/^heads: .* it is in the log, and the log does not know its conversation/],
  },
  {
    what: 'the guard in a head',
    tamper: async ({ redis, keys, scene }) => {
      const [seq, n, , at, offset] = ((await redis.hget(keys.heads, scene.group)) ?? '').split(' ');
      await redis.hset(keys.heads, scene.group, `${seq} ${n} 1 ${at} ${offset}`);
    },
    finds: [/^heads: .* differs from it in guard/],
  },
  // What the store keeps for ever.
  {
    what: 'a change is gone',
    tamper: ({ db, scene, change }) => db.collection('changes').deleteOne(change(scene.plain)),
    finds: [/^stored: .* it is not stored, and the watermark/, /^changes: .* it is missing/],
  },
  {
    what: 'a conversation is gone',
    tamper: ({ db, scene }) => db.collection('changes').deleteMany({ '_id.conv': scene.group }),
    finds: [/^count: part \d: the store holds \d+ changes, and its watermark is/, /^view: .* no change made it/],
  },
  {
    what: 'a change that nobody appended',
    tamper: async ({ db, scene }) => {
      const changes = db.collection<ChangeDoc>('changes');
      const [last] = await changes
        .find({ '_id.conv': scene.group as ConvId })
        .sort({ _id: -1 })
        .limit(1)
        .toArray();
      if (last === undefined) throw new Error('there is no change');
      const { _id, n, guard, user, at } = last;
      const seq = _id.seq + 1;
      const wire = JSON.stringify({ t: 'pin', conv: _id.conv, seq, from: user, at, of: 2, on: true });
      await changes.insertOne({ _id: { ..._id, seq }, type: 'pin', user, at, n, guard, wire });
    },
    finds: [
      /^count: part \d: the store holds \d+ changes, and the log gave it at most/,
      /^heads: .* would number on from/,
    ],
  },
  {
    what: 'a number is another',
    tamper: ({ db, scene, change }) => db.collection('changes').updateOne(change(scene.plain), { $set: { n: 99 } }),
    finds: [/^stored: .* differ in n/, /^changes: .* its number as a message is 99/],
  },
  {
    what: 'a text is another',
    tamper: ({ db, scene, change }) =>
      db
        .collection('changes')
        .updateOne(change(scene.plain), [
          { $set: { wire: { $replaceOne: { input: '$wire', find: 'answer', replacement: 'question' } } } },
        ]),
    finds: [/^stored: .* differ in content/],
  },
  {
    what: 'a deleted text is back',
    tamper: ({ db, scene, change }) =>
      db.collection('changes').updateOne(change(scene.deleted), [
        {
          $set: {
            wire: { $replaceOne: { input: '$wire', find: '"text":"","deleted":true', replacement: '"text":"back"' } },
          },
        },
      ]),
    finds: [/^erased: .* its content is there, and its message has been deleted/],
  },
  {
    what: 'the watermark is too high',
    tamper: ({ db }) => db.collection('parts').updateMany({}, { $inc: { offset: 100 } }),
    finds: [/^watermark: .* the log ends at \d+, before the watermark/, /^count: /],
  },
  {
    what: 'a watermark of no part',
    tamper: ({ db }) => db.collection<{ _id: number }>('parts').insertOne({ _id: 9, epoch: 1, offset: 3 } as never),
    finds: [/^watermark: part 9: it has a watermark, and the log has no such part/],
  },
  {
    what: 'a user is gone',
    tamper: ({ db, scene }) => db.collection<{ _id: string }>('users').deleteOne({ _id: scene.cid.id }),
    finds: [/^users: user \S+: changes or members name it/],
  },
  // The views.
  {
    ...VIEW,
    what: 'the head a change leaves',
    tamper: ({ db, scene, change }) => db.collection('changes').updateOne(change(scene.plain), { $set: { guard: 9 } }),
    finds: [/^view: .* for the views differs in after/],
  },
  {
    ...VIEW,
    what: 'a number of members',
    tamper: ({ db }) => db.collection('convs').updateMany({}, { $set: { members: 77 } }),
    finds: [/^view: .* differs in members/],
  },
  {
    ...VIEW,
    what: 'a title',
    tamper: ({ db }) =>
      db
        .collection('convs')
        .updateMany({}, [{ $set: { state: { $replaceOne: { input: '$state', find: 'The', replacement: 'My' } } } }]),
    finds: [/^view: .* differs in state\.title/],
  },
  {
    ...VIEW,
    what: 'a conversation without its document',
    tamper: ({ db }) => db.collection('convs').deleteMany({}),
    finds: [/^view: .* the conversation is missing in the view/],
  },
  {
    ...VIEW,
    what: 'a conversation nobody made',
    tamper: ({ db }) => db.collection<{ _id: string }>('convs').insertOne({ _id: 'invented', members: 1 } as never),
    finds: [/^view: conversation invented: the conversation is in the view, and no change/],
  },
  {
    ...VIEW,
    what: 'the directory of rooms',
    tamper: ({ db }) => db.collection('convs').updateMany({}, { $set: { listed: true, deleted: false, name: 'x' } }),
    finds: [/^view: .* differs in name, listed/, /^view: .* differs in .*deleted/],
  },
  {
    ...VIEW,
    what: 'memberships',
    tamper: ({ db }) => db.collection('members').updateMany({}, { $set: { role: 'member', active: true } }),
    finds: [/^view: .* the membership differs in role/, /^view: .* differs in role, active/],
  },
  {
    ...VIEW,
    what: 'members gone',
    tamper: ({ db }) => db.collection('members').deleteMany({}),
    finds: [/^view: .* the membership is missing/],
  },
  {
    ...VIEW,
    what: 'states gone',
    tamper: ({ db }) => db.collection('touched').deleteMany({}),
    finds: [/^view: .* the state of its message is missing/],
  },
  {
    ...VIEW,
    what: 'a state of what nothing touched',
    tamper: ({ db, scene, change }) =>
      db.collection('touched').insertOne({ ...change(scene.plain), rev: 1, state: '{}' } as never),
    finds: [/^view: .* is in the view, and no change made it/],
  },
  {
    ...VIEW,
    what: 'messages that hide, and messages that show twice',
    tamper: async ({ db, scene, change }) => {
      await db.collection('changes').updateOne(change(scene.plain), { $unset: { fresh: 1 } });
      await db.collection('changes').updateOne(change(scene.edited), { $set: { fresh: scene.edited } });
      await db.collection('changes').updateOne(change(scene.deleted), { $set: { fresh: 3 } });
    },
    finds: [/^view: .* for the views differs in isOwnState/],
  },
  {
    ...VIEW,
    what: 'edits that are not found',
    tamper: ({ db }) => db.collection('changes').updateMany({ type: 'edit' }, { $unset: { of: 1 } }),
    finds: [/^view: .* for the views differs in of/],
  },
  {
    ...VIEW,
    what: 'marks beyond the head',
    tamper: ({ db }) => db.collection('marks').updateMany({}, { $set: { read: 500, received: 501 } }),
    finds: [/^marks: .* it has read 500 and received 501 of \d+ messages/],
  },
];

/** Everything as it is now, to be put back. */
async function kept(db: Db, redis: Redis): Promise<() => Promise<void>> {
  const names = [...COLLECTIONS, 'users'];
  const documents = await Promise.all(names.map((name) => db.collection(name).find().toArray()));
  const keys = await redis.keys('*');
  const dumps = await Promise.all(
    keys.map(async (key) => [key, await redis.pttl(key), await redis.dumpBuffer(key)] as const),
  );
  return async () => {
    for (const [index, name] of names.entries()) {
      await db.collection(name).deleteMany({});
      const own = documents[index] ?? [];
      if (own.length > 0) await db.collection(name).insertMany(own);
    }
    await redis.flushall();
    for (const [key, ttl, dump] of dumps) if (dump !== null) await redis.restore(key, Math.max(ttl, 0), dump);
  };
}

/** The log gets back what it has let go of: everything is in both. */
async function untrim(db: Db, redis: Redis): Promise<void> {
  const changes = await db.collection<ChangeDoc>('changes').find().toArray();
  const ordered = changes.sort((one, other) => one.at - other.at || one._id.seq - other._id.seq);
  for (let part = 0; part < PARTS; part++) {
    const { log, meta } = partKeys(part);
    const own = ordered.filter(({ _id }) => partOf(_id.conv, PARTS) === part);
    await redis.del(log);
    let bytes = 0;
    for (const [index, { wire }] of own.entries()) {
      await redis.xadd(log, `${index + 1}-0`, 'b', bytes, 'e', 1, 'w', wire);
      bytes += Buffer.byteLength(wire);
    }
    await redis.hset(meta, 'trimmed', 0);
  }
}

async function filled(
  t: Test,
): Promise<{ readonly world: Cluster; readonly scene: Scene; readonly env: Record<string, string> }> {
  const world = await cluster(t, { size: 1, env: { CHAT_LOG_PARTITIONS: String(PARTS) } });
  const [node] = world.nodes;
  if (node === undefined) throw new Error('there is no node');
  const scene = await fill(node);
  await node.kill('SIGTERM');
  const { CHAT_MODE, CHAT_MONGO_URL, CHAT_REDIS_URL, CHAT_SECRET, CHAT_LOG_PARTITIONS } = node.env;
  return {
    world,
    scene,
    env: { CHAT_MODE, CHAT_MONGO_URL, CHAT_REDIS_URL, CHAT_SECRET, CHAT_LOG_PARTITIONS } as Record<string, string>,
  };
}

t.test('each tampering is found and named; what is a view is mended, and nothing else', async (t) => {
  const { world, scene, env } = await filled(t);
  t.same((await audited(env)).lines, [], 'log, store and watermarks agree');
  await world.withMongo((db) =>
    world.withRedis(async (redis) => {
      await untrim(db, redis);
      t.same((await audited(env)).lines, [], 'with all of the log, too');
      const putBack = await kept(db, redis);
      const keys = partKeys(partOf(scene.group as ConvId, PARTS));
      const change = (seq: number) => ({ _id: { conv: scene.group, seq } });
      for (const { what, tamper, finds, isView = false } of [...FIRST, ...TAMPERINGS]) {
        await t.test(what, async (t) => {
          await tamper({ db, redis, scene, keys, change });
          const found = await audited(env);
          for (const line of finds)
            t.ok(
              found.lines.some((other) => line.test(other)),
              String(line),
            );
          t.comment(found.lines.join('\n'));
          const mended = await audited(env, true);
          const left = await audited(env);
          if (isView) t.match([mended.summary.open, left.lines.length], [0, 0], 'it is mended');
          else t.ok(left.summary.open > 0, 'it stays, and is told again');
          await putBack();
        });
      }
      t.same((await audited(env)).lines, []);
    }),
  );
  t.match(await verified(t, { env }), { code: 0, stdout: /^log, store and watermarks agree\n/, stderr: '' });
});
