// `verify` beside servers that write all the while: what moves is never taken for a fault. In both modes.
import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Client } from '../kit/client.ts';
import { server } from '../kit/index.ts';
import { cluster } from '../kit/nodes.ts';
import { audited, type Door, verified } from './scene.ts';

t.setTimeout(600_000);

const TIMES = 20;

interface Live {
  readonly doors: readonly Door[];
  /** As the server has them. */
  readonly env: Readonly<Record<string, string>>;
  readonly dataDir?: string;
}

async function embedded(t: Test): Promise<Live> {
  const host = await server(t);
  const { dataDir } = host.process;
  return { doors: [host], env: { CHAT_DATA: dataDir }, dataDir };
}

async function twoNodes(t: Test): Promise<Live> {
  const world = await cluster(t, { size: 2 });
  const { CHAT_MONGO_URL = '', CHAT_REDIS_URL = '' } = world.pair[0].env;
  const CHAT_SECRET = randomBytes(32).toString('hex');
  return { doors: world.pair, env: { CHAT_MODE: 'cluster', CHAT_MONGO_URL, CHAT_REDIS_URL, CHAT_SECRET } };
}

/** One who never rests: bursts of messages, edits and deletions of them, marks, new conversations, people in and out. */
async function write(me: Client, other: Client, isOver: () => boolean): Promise<number> {
  let written = 0;
  let conv = '';
  for (let round = 0; !isOver(); round++) {
    if (round % 25 === 0) conv = await me.group([other], { title: `${me.account.name} ${round}` });
    const sent = await Promise.all(Array.from({ length: 20 }, (_, index) => me.send(conv, `round ${round}, ${index}`)));
    const [first, second, third] = sent.map(({ seq }) => seq) as [number, number, number];
    await Promise.all([me.edit(conv, first, 'edited'), me.edit(conv, second, 'edited'), me.remove(conv, third)]);
    await me.remove(conv, second);
    await me.read(conv, sent.at(-1)?.n ?? 1);
    if (round % 5 === 1) await me.kick(conv, other);
    if (round % 5 === 2) await me.add(conv, other);
    written += sent.length + 4;
  }
  return written;
}

for (const [mode, start] of Object.entries({ embedded, 'two nodes': twoNodes })) {
  t.test(`${mode}: ${TIMES} times beside writers it finds nothing, and nothing once they rest`, async (t) => {
    const { doors, env, ...place } = await start(t);
    const people = await Promise.all(doors.flatMap((door, index) => [door.clients(`ann${index}`, `bob${index}`)]));
    let isOver = false;
    const writing = Promise.all(people.map(([ann, bob]) => write(ann, bob, () => isOver)));
    let inLog = 0;
    for (let time = 0; time < TIMES; time++) {
      const { lines, summary } = await audited(env);
      if (lines.length > 0 || summary.notes.length > 0) t.same([lines, summary.notes], [[], []], `time ${time}`);
      inLog += summary.entries;
    }
    t.match(await verified(t, { env, ...place }), {
      code: 0,
      stdout: /^log, store and watermarks agree\n/,
      stderr: '',
    });
    isOver = true;
    const written = (await writing).reduce((sum, count) => sum + count, 0);
    t.comment(`${written} changes written meanwhile; ${inLog} entries of the log looked at`);
    t.ok(inLog > 0, 'the log was not empty all the time');
    t.same((await audited(env)).lines, []);
  });
}
