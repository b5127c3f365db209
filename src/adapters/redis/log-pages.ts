// Pages of a part's stream, for tails that are far behind. Refuses to leave anything out: where the log has been trimmed
// past the place, goes on under another epoch, or has a hole, there is no page.
import type { Change } from '../../ports/log.ts';
import type { RedisClient } from './connection.ts';
import { partKeys } from './log-keys.ts';
import { changesOf, metaOf, type StreamEntry } from './log-reader.ts';

/** What is enough for a page, and how many entries are asked for at once. */
const PAGE_CHANGES = 512;
const PAGE_CHARS = 262_144;
const FIRST_ENTRIES = 4;
const MOST_ENTRIES = 64;

/** The changes after an offset; null where the log cannot tell them all. */
export async function readPage(
  client: RedisClient,
  part: number,
  epoch: number,
  after: number,
): Promise<readonly Change[] | null> {
  const page = await changesAfter(client, part, after);
  // Asked after the entries were read: what had been trimmed before is then told.
  const meta = await metaOf(client, part);
  if (meta.epoch !== epoch || meta.trimmed > after || page.length === 0) return null;
  return page.every(({ offset }, index) => offset === after + 1 + index) ? page : null;
}

/** A batch of them, where the log has as many: an entry may hold one change, or half a megabyte. */
async function changesAfter(client: RedisClient, part: number, after: number): Promise<readonly Change[]> {
  const { log } = partKeys(part);
  const page: Change[] = [];
  let chars = 0;
  for (let from = `${after + 1}-0`, count = FIRST_ENTRIES; ; count = Math.min(4 * count, MOST_ENTRIES)) {
    const entries = (await client.xrange(log, from, '+', 'COUNT', count)) as readonly StreamEntry[];
    const found = entries.flatMap((entry) => changesOf(part, entry)?.list ?? []);
    for (const change of found) {
      if (change.offset <= after) continue;
      page.push(change);
      chars += change.wire.length;
    }
    const last = entries.at(-1);
    if (last === undefined || page.length >= PAGE_CHANGES || chars >= PAGE_CHARS) return page;
    from = `(${last[0]}`;
  }
}
