// A few of the schedules that `npm run faults` plays by the thousand: some of each mode, and every one that has ever found
// something.
import t, { type Test } from 'tap';
import { mongoServer } from '../kit/services.ts';
import { MODES, schedule, told } from './schedule.ts';
import { MONGO_ARGS } from './stage.ts';
import { play } from './trial.ts';

t.setTimeout(300_000);

/** Those of no special merit, and then those that found something, with what it was. */
const SEEDS = {
  embedded: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  // 2028: a node that was behind the store told clients what they had been told.
  cluster: [2, 3, 5, 2028],
} as const;

t.test('a seed always makes the same steps, and other seeds others', async (t) => {
  for (const mode of MODES) {
    const seeds = Array.from({ length: 100 }, (_, seed) => seed);
    const stepsOf = (seed: number) => schedule(seed, mode).steps.map(told).join();
    t.same(seeds.map(stepsOf), seeds.map(stepsOf));
    t.ok(new Set(seeds.map(stepsOf)).size > 95);
  }
});

async function playEach(t: Test, mode: 'embedded' | 'cluster'): Promise<void> {
  const mongo = mode === 'cluster' ? await mongoServer(t, { args: MONGO_ARGS }) : undefined;
  for (const seed of SEEDS[mode]) {
    const { findings, log, acknowledged, recoveryMs } = await play(schedule(seed, mode), mongo);
    if (findings.length > 0) for (const line of log) t.comment(line);
    t.same(findings, [], `${mode} ${seed}: ${acknowledged} writes acknowledged, all back after ${recoveryMs} ms`);
  }
}

t.test('randomized schedules: whatever is done to the server, the checker finds nothing', async (t) => {
  await Promise.all(MODES.map((mode) => playEach(t, mode)));
});
