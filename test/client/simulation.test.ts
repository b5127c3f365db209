// The client on a simulated network, against a server by the letter: whatever happens, in the end it shows what the server
// knows, nothing was sent twice, nothing is lost. CHAT_TEST_SEED runs one seed and tells what happened in it.
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Frame } from '../../src/client/connection.ts';
import type { Tampering } from './sim/device.ts';
import { type Run, simulate } from './sim/run.ts';

const SEEDS = 1_000;
/** A fault that is put in is found within so many. */
const MAX_SEEDS_TO_FIND = 500;

t.setTimeout(600_000);

const wanted = process.env.CHAT_TEST_SEED;

if (wanted === undefined) {
  t.test(`in ${SEEDS} worlds of trouble every client ends up with the truth`, async (t) => {
    const bad: Run[] = [];
    let sent = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = await simulate(seed);
      sent += run.sent;
      if (run.faults.length > 0) bad.push(run);
    }
    t.same(
      bad.map(({ seed, faults }) => `CHAT_TEST_SEED=${seed}: ${faults.slice(0, 3).join('; ')}`),
      [],
    );
    t.ok(sent > 20 * SEEDS, `${sent} messages were sent`);
  });

  t.test('the same seed makes the same world', async (t) => {
    const lines = async (seed: number) => {
      const trace: string[] = [];
      await simulate(seed, { onTrace: (line) => trace.push(line) });
      return trace;
    };
    const [one, same, other] = [await lines(7), await lines(7), await lines(8)];
    t.same(one, same);
    t.not(one.join(), other.join());
    t.ok(one.length > 300);
  });

  for (const [fault, tampering] of faults()) {
    t.test(`it would be found if ${fault}`, async (t) => {
      for (let seed = 1; seed <= MAX_SEEDS_TO_FIND; seed++) {
        const run = await simulate(seed, { tampering });
        if (run.faults.length === 0) continue;
        t.pass(`seed ${seed}: ${run.faults[0]?.slice(0, 120)}`);
        return;
      }
      t.fail(`not found in ${MAX_SEEDS_TO_FIND} seeds`);
    });
  }
} else {
  t.test(`seed ${wanted}`, async (t) => {
    const trace: string[] = [];
    const run = await simulate(Number(wanted), { onTrace: (line) => trace.push(line) });
    const file = join(tmpdir(), `chatterbox-seed-${wanted}.txt`);
    await writeFile(file, `${trace.join('\n')}\n`);
    t.comment(`what happened: ${file}`);
    t.same(run.faults, []);
  });
}

/** Faults a client could have, brought about on its way to the server or back. */
function faults(): [string, () => Tampering][] {
  const counted = (every: number) => {
    let count = 0;
    return () => ++count % every === 0;
  };
  const drop = (isHit: (frame: Frame) => boolean, every: number) => () => {
    const isDue = counted(every);
    return { toClient: (frame: Frame) => (isHit(frame) && isDue() ? [] : [frame]) };
  };
  return [
    [
      'an item of a pull was passed over',
      () => ({
        toClient: (frame) => [frame.t === 'sync' ? { ...frame, items: (frame.items as object[]).slice(0, -1) } : frame],
      }),
    ],
    ['`reset` was not heard', drop(({ t }) => t === 'reset', 1)],
    ['`behind` was not heard', drop(({ t }) => t === 'behind', 1)],
    ['`gone` was not heard', drop(({ t }) => t === 'gone', 1)],
    ['a change was passed over, and the next one taken for it', lostChange],
    [
      'a repeated write had a new id',
      () => {
        const sent = new Set<unknown>();
        const given = new Map<unknown, unknown>();
        return {
          toServer: (frame) => {
            if (frame.t !== 'message' || !sent.has(frame.id)) {
              sent.add(frame.id);
              return [frame];
            }
            const id = `${frame.id}-${given.size}`;
            given.set(id, frame.id);
            return [{ ...frame, id }];
          },
          toClient: (frame) => [given.has(frame.id) ? { ...frame, id: given.get(frame.id) } : frame],
        };
      },
    ],
    [
      'the epoch of the last `ready` was told before its cursors were answered',
      () => {
        let epoch = '';
        return {
          toClient: (frame) => {
            if (frame.t === 'ready') epoch = frame.epoch as string;
            return [frame];
          },
          toServer: (frame) => [frame.since === undefined ? frame : { ...frame, since: { ...frame.since, epoch } }],
        };
      },
    ],
    [
      'the outbox forgot what it was told to keep',
      () => ({ outbox: (outbox) => ({ ...outbox, load: async () => (await outbox.load()).slice(1) }) }),
    ],
    [
      'the outbox kept what it was told to forget, under new ids',
      () => ({
        outbox: (outbox) => ({
          ...outbox,
          remove: async () => {},
          load: async () => (await outbox.load()).map((entry) => ({ ...entry, id: `${entry.id}0` })),
        }),
      }),
    ],
  ];
}

/** Numbers are mended, so that no gap shows. */
function lostChange(): Tampering {
  const lost = new Map<unknown, number>();
  let count = 0;
  return {
    toClient: (frame) => {
      if (!('from' in frame) || frame.t === 'sync') return [frame];
      if (frame.t === 'message' && ++count % 7 === 0) {
        lost.set(frame.conv, (lost.get(frame.conv) ?? 0) + 1);
        return [];
      }
      return [{ ...frame, seq: (frame.seq as number) - (lost.get(frame.conv) ?? 0) }];
    },
  };
}
