// A store that is away for longer than the log can hold: the log grows to its budget and not beyond, and drains afterwards.
import t from 'tap';
import { conclude, startRun } from './cluster-run.ts';
import { isRefused } from './run.ts';

t.setTimeout(300_000);

/** Each of the log's 16 parts has its share. */
const BUDGET_BYTES = 4_194_304;
/** The last call of the script may go past a part's share by what it carries. */
const PAST_BYTES = 1_048_576;

t.test(
  'while MongoDB answers nothing sends go on until the log is at its budget and says `overloaded`; then it drains to 0',
  async (t) => {
    const env = { CHAT_LOG_BUDGET_BYTES: String(BUDGET_BYTES), CHAT_LOG_LEVEL: 'fatal' };
    const { cluster, run } = await startRun(t, { hasOwnMongo: true, env }, { isPlain: true });
    await run.after(100);
    cluster.mongo.pause();
    t.teardown(() => cluster.mongo.resume());
    await run.after(300);
    await run.after(100, isRefused(/^overloaded$/));
    const held = await cluster.withRedis(async (redis) => {
      const metas = await redis.keys('chat:{*}:meta');
      const bytes = await Promise.all(metas.map((meta) => redis.hmget(meta, 'bytes', 'trimmed_bytes')));
      return bytes.map(([all, trimmed]) => Number(all) - Number(trimmed));
    });
    t.ok(
      Math.max(...held) < BUDGET_BYTES / held.length + PAST_BYTES,
      `the fullest part holds ${Math.max(...held)} bytes`,
    );
    cluster.mongo.resume();
    await run.after(300);
    await conclude(t, run, cluster);
  },
);
