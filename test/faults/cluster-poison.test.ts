// Poison in the log under load: entries that somebody has put into its streams, of every kind that is none. They are set
// aside and counted; all that is the log's own is stored and told, and no node ends.
import type { Redis } from 'ioredis';
import t from 'tap';
import { eventually } from '../kit/waiting.ts';
import { conclude, startRun } from './cluster-run.ts';

t.setTimeout(300_000);

const EPOCH = '1';

const words = (wire: string | Buffer) => ['b', '1', 'e', EPOCH, 'w', wire];

/** What an entry holds: the words of a stream entry. */
const POISONS: Readonly<Record<string, readonly (string | Buffer)[]>> = {
  'no change at all': ['x', 'not ours'],
  'half of a JSON text': words('{"t":"message","conv":"c1"'),
  'JSON that is no object': words('[1,2,3]'),
  'bad UTF-8': words(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])),
  '17 MB': words('x'.repeat(17_000_000)),
  'no words': words(''),
};

/** Behind all there is in each part: where the next append will want to be, or far beyond. */
async function poison(redis: Redis, fields: readonly (string | Buffer)[]): Promise<number> {
  const logs = await redis.keys('chat:{*}:log');
  for (const log of logs) await redis.xadd(log, '*', ...fields);
  return logs.length;
}

t.test('entries that are none, put into every part of the log under load: the rest is stored and told', async (t) => {
  const { cluster, run } = await startRun(t, { env: { CHAT_LOG_LEVEL: 'silent' } });
  let put = 0;
  for (const [what, fields] of Object.entries(POISONS)) {
    await run.after(1 + run.random.whole(50));
    put += await cluster.withRedis((redis) => poison(redis, fields));
    await run.after(50);
    t.pass(`it goes on after ${what}`);
  }
  const counted = async () => {
    const counts = await Promise.all(cluster.nodes.map((node) => node.metric('chat_foreign_entries_total')));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  await eventually(async () => (await counted()) >= put);
  t.ok(put > 0, `${put} entries were taken out and counted`);
  await conclude(t, run, cluster);
});
