// Promise 4 over two nodes: what was answered `ok` on one is in what the other serves, at once and every time.
import t from 'tap';
import type { Client } from '../kit/client.ts';
import { cluster } from '../kit/nodes.ts';
import { often } from '../kit/often.ts';

const MESSAGES = often(10_000, 2_000);
/** Conversations side by side, each with one who writes and one who reads. */
const LANES = 16;

t.setTimeout(600_000);

interface Lane {
  readonly conv: string;
  readonly writer: Client;
  readonly reader: Client;
}

/** Turn by turn: the writer's `ok`, then the newest of history on the other node. @returns what was not there */
async function missingIn({ conv, writer, reader }: Lane, count: number): Promise<readonly string[]> {
  const missing: string[] = [];
  for (let number = 1; number <= count; number++) {
    const [from, on] = number % 2 === 0 ? [writer, reader] : [reader, writer];
    const { seq } = await from.send(conv, `message ${number}`);
    const { items, stale } = await on.history(conv, { limit: 1 });
    if (stale !== undefined || items.at(-1)?.seq !== seq)
      missing.push(`${conv} ${seq}: the newest is ${items.at(-1)?.seq}, stale: ${stale}`);
  }
  return missing;
}

t.test(
  'history on another node contains a message as soon as its sender has `ok`, 10,000 times of 10,000',
  async (t) => {
    const { pair } = await cluster(t);
    const [one, two] = pair;
    const [writer, reader] = await Promise.all([one.client('ann'), two.client('bob')]);
    const lanes: Lane[] = [];
    for (let lane = 0; lane < LANES; lane++) {
      const conv = await writer.group([reader]);
      lanes.push({ conv, writer: await writer.device({}, one), reader: await reader.device({}, two) });
    }
    const missing = await Promise.all(lanes.map((lane) => missingIn(lane, MESSAGES / LANES)));
    t.same(missing.flat().slice(0, 10), [], `${missing.flat().length} of ${MESSAGES} were missing`);
  },
);
