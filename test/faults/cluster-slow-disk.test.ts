// The disk under Redis is slow, and Redis stands still while it waits for it. Answers come late, or say that they cannot be
// given in time; what was taken is there in order and once.
import t from 'tap';
import { requireStrace } from '../kit/power.ts';
import { conclude, startRun } from './cluster-run.ts';
import type { Event } from './evidence.ts';
import { disturb } from './points.ts';
import { isOk, isRefused } from './run.ts';

t.setTimeout(300_000);
t.before(requireStrace);

const isUnavailable = isRefused(/^unavailable$/);
/** Longer than a command may take together with the one before it: most answers are that there is none. */
const TOO_SLOW_MS = 2_000;

const DELAYS: readonly (readonly [delayMs: number, isWanted: (event: Event) => boolean])[] = [
  [300, isOk],
  [TOO_SLOW_MS, (event) => isOk(event) || isUnavailable(event)],
];

for (const [delayMs, isWanted] of DELAYS) {
  t.test(
    `an fsync of Redis takes ${delayMs} ms: writes are late, in order, and once; afterwards all is as before`,
    async (t) => {
      const { cluster, run } = await startRun(t, {}, { isPlain: true });
      await run.after(100);
      const heal = await disturb(t, cluster.redis.pid, `fsync,fdatasync:delay_enter=${delayMs * 1_000}`);
      await run.after(60, isWanted);
      await heal();
      await run.after(100);
      await conclude(t, run, cluster);
    },
  );
}
