// What a change costs Redis: the append script at several sizes of a batch, against as many rows by XADD. CPU of
// redis-server, `appendfsync always`, sixteen parts with one call under way in each.
import type { RedisFormat } from '../floor/redis-rows.ts';
import { RedisFloor } from '../kit/redis-floor.ts';
import { report } from './compare.ts';

const PARTS = 16;
const ROUNDS = 5;
const WINDOW_MS = 1_000;
const WAYS: Readonly<Record<string, RedisFormat>> = { XADD: 'xadd', 'the append script': 'packed' };

const floors = new Map<string, RedisFloor>();
for (const [name, format] of Object.entries(WAYS)) floors.set(name, await RedisFloor.start({ format, parts: PARTS }));
try {
  for (const batch of [1, 8, 64, 256]) {
    const times = Object.keys(WAYS).map((name): [string, number[]] => [name, []]);
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [name, list] of times) {
        const { redisUs, rows } = await (floors.get(name) as RedisFloor).flatOut(batch, WINDOW_MS);
        if (round > 0) list.push((redisUs * 1_000) / rows);
      }
    }
    report(`${batch} changes a call`, times);
  }
} finally {
  await Promise.all([...floors.values()].map((floor) => floor.stop()));
}
