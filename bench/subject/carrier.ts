// The server's log, store and persister without the server around them: appends messages, and carries them into the store,
// in either mode. What the persister costs is then not mixed with what the sockets cost.
import { join } from 'node:path';
import { openMongoStore } from '../../src/adapters/mongo/store.ts';
import { openSqliteLog } from '../../src/adapters/sqlite/log.ts';
import { openSqliteStore } from '../../src/adapters/sqlite/store.ts';
import type { Append, Log } from '../../src/ports/log.ts';
import type { MessageStore } from '../../src/ports/store.ts';
import { bodyText } from '../../src/protocol/changes.ts';
import type { ConvId, Key, UserId } from '../../src/protocol/ids.ts';
import { endWithParent } from '../floor/announce.ts';
import { openBenchLog, Persisting } from '../kit/cluster-world.ts';
import { pairs } from '../kit/scene.ts';
import { convId, mintChanges, userId } from '../kit/world.ts';

export type CarrierOrder =
  /** Appends this many, while nobody carries. */
  | { readonly do: 'fill'; readonly changes: number }
  /** Carries until the store has everything. */
  | { readonly do: 'carry' }
  /** Carries, and appends at a rate meanwhile; `rest` ends it. */
  | { readonly do: 'flow'; readonly perSecond: number }
  | { readonly do: 'rest' }
  | { readonly do: 'look' };

export interface CarrierAnswer {
  readonly appended: number;
  readonly stored: number;
}

const CONVS = 200;
const CONV_IDS = Array.from({ length: CONVS }, (_, conv) => convId(conv));
const SENDERS = Array.from({ length: CONVS }, (_, conv) => userId(2 * conv));
const BODY = bodyText({ text: 'x'.repeat(24) });
const AT_ONCE = 2_000;
const LOOK_MS = 5;

interface Ground {
  readonly log: Log;
  readonly store: MessageStore;
  readonly parts: number;
}

async function openCluster(redisUrl: string, mongoUrl: string, parts: number): Promise<Ground> {
  const store = await openMongoStore({ url: mongoUrl });
  return { log: await openBenchLog(redisUrl, store, parts), store: store.messages, parts };
}

async function openEmbedded(folder: string): Promise<Ground> {
  const storeFile = join(folder, 'store.db');
  const store = await openSqliteStore({ file: storeFile });
  const log = await openSqliteLog({ file: join(folder, 'log.db'), storeFile, budgetBytes: 2 ** 40 });
  return { log, store: store.messages, parts: 1 };
}

/** `cluster REDIS MONGO PARTS`, or `embedded FOLDER`. */
function open([mode = '', first = '', second = '', parts = '1']: readonly string[]): Promise<Ground> {
  return mode === 'cluster' ? openCluster(first, second, Number(parts)) : openEmbedded(first);
}

const { log, store, parts } = await open(process.argv.slice(2));
const total = (position: readonly number[]) => position.reduce((sum, offset) => sum + offset, 0);
let number = 0;
let persisting: Persisting | null = null;
let timer: NodeJS.Timeout | undefined;

function nextItem(): Append {
  const place = number % CONVS;
  const [conv, from] = [CONV_IDS[place] as ConvId, SENDERS[place] as UserId];
  const ms = Date.now().toString(16).padStart(12, '0');
  const key = `${ms.slice(0, 8)}-${ms.slice(8)}-7abc-8def-${(number++).toString(16).padStart(12, '0')}` as Key;
  return { conv, from, key, guard: 1, drafts: [{ type: 'message', body: BODY }] };
}

async function append(count: number): Promise<void> {
  const answers = await log.append(Array.from({ length: count }, () => nextItem()));
  if (answers.some(({ is }) => is !== 'ok')) throw new Error('the log refused');
}

async function fill(changes: number): Promise<void> {
  for (let done = 0; done < changes; done += AT_ONCE) await append(Math.min(AT_ONCE, changes - done));
}

function stored(): number {
  return persisting === null ? 0 : total(persisting.watermark);
}

function begin(): void {
  persisting ??= new Persisting(log, store, parts);
}

async function carry(): Promise<void> {
  const head = total(log.state().head);
  begin();
  while (stored() < head) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}

function flow(perSecond: number): void {
  begin();
  const start = performance.now();
  let done = 0;
  const tick = () => {
    const due = Math.floor(((performance.now() - start) * perSecond) / 1_000) - done;
    done += due;
    if (due > 0) void append(due);
    timer = setTimeout(tick, 1);
  };
  tick();
}

/** What is stored is told by the persisters that run; between them, all is. */
async function rest(): Promise<void> {
  clearTimeout(timer);
  if (persisting === null) return;
  await carry();
  await persisting.stop();
  persisting = null;
}

async function handle(order: CarrierOrder): Promise<CarrierAnswer> {
  if (order.do === 'fill') await fill(order.changes);
  else if (order.do === 'carry') await carry();
  else if (order.do === 'flow') flow(order.perSecond);
  else if (order.do === 'rest') await rest();
  return { appended: total(log.state().head), stored: stored() };
}

await mintChanges({ name: 'carrier', users: 2 * CONVS, convs: pairs(2 * CONVS) }, log, () => undefined);
process.on('message', (order) => {
  void handle(order as CarrierOrder).then((answer) => process.send?.(answer));
});
endWithParent();
process.stdout.write('listening on http://nowhere:0\n');
