// A full disk under Redis: it will not answer for what it could not write, and ends. No `ok` meanwhile; once there is space
// and it is started again, all goes on by itself.
import t from 'tap';
import { redisServer } from '../kit/services.ts';
import { eventually } from '../kit/waiting.ts';
import { conclude, startRun } from './cluster-run.ts';
import { isRefused } from './run.ts';
import { fill, smallDisk } from './small-disk.ts';

/** What is left free when the disk is "full". */
const LEFT_FREE_BYTES = [0, 20_000];

t.setTimeout(300_000);

t.test(
  'the disk of Redis is full: no `ok`, reads say `stale`; with space and Redis started again everything goes on, nothing is lost',
  async (t) => {
    const dir = await smallDisk(t);
    const redis = await redisServer(t, { dir });
    const { cluster, run } = await startRun(t, { redis, env: { CHAT_LOG_LEVEL: 'silent' } });
    const [one] = cluster.pair;
    const [writer] = run.writers;
    const [conv = ''] = run.world.groups;
    if (writer === undefined) return;
    await run.after(100);
    const reader = await one.arrive(writer.account, { want: [] });
    for (const leftBytes of LEFT_FREE_BYTES) {
      const { pid } = redis;
      const empty = await fill(dir, leftBytes);
      await run.after(30, isRefused(/^unavailable$/));
      await eventually(() => !isAlive(pid));
      const { stale, items } = await reader.history(conv);
      t.ok(stale === true && items.length > 0, 'what is known is read');
      await empty();
      await redis.start();
      await run.after(100);
    }
    await conclude(t, run, cluster);
  },
);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
