// F6: the bare driver's insertMany, unordered, majority and journal, of the documents the store keeps for plain messages,
// under the store's indexes. No views, no watermark, no transaction, no reading of a log.
import { MongoClient } from 'mongodb';
import type { ChangeDoc } from '../../src/adapters/mongo/documents.ts';
import { createIndexes } from '../../src/adapters/mongo/indexes.ts';
import { bodyText, wireText } from '../../src/protocol/changes.ts';
import type { ConvId, Key, UserId } from '../../src/protocol/ids.ts';
import { endWithParent } from './announce.ts';

export type MongoOrder =
  | { readonly do: 'flat-out'; readonly batch: number; readonly inFlight: number; readonly ms: number }
  | { readonly do: 'look' };

export interface MongoAnswer {
  /** Rows acknowledged since the program began. */
  readonly rows: number;
}

const DATABASE = 'floor';
const CONVS = 200;
const BODY = bodyText({ text: 'x'.repeat(24) });

const [url = ''] = process.argv.slice(2);
const client = new MongoClient(url, { w: 'majority', journal: true });
const db = client.db(DATABASE);
const changes = db.collection<ChangeDoc>('changes');
let made = 0;
let rows = 0;

function nextDoc(): ChangeDoc {
  const number = made++;
  const conv = `bench-conv-${String(number % CONVS).padStart(11, '0')}` as ConvId;
  const user = `bench-user-${String(number % CONVS).padStart(5, '0')}` as UserId;
  const seq = Math.floor(number / CONVS) + 2;
  const at = Date.now();
  const key = `0199a3c2-7c1e-7abc-8def-${number.toString(16).padStart(12, '0')}` as Key;
  const wire = wireText('message', conv, seq, seq - 1, user, at, key, BODY);
  return { _id: { conv, seq }, type: 'message', user, at, n: seq - 1, guard: 1, wire, key, fresh: seq };
}

async function flatOut(batch: number, inFlight: number, ms: number): Promise<void> {
  const end = performance.now() + ms;
  const lane = async () => {
    while (performance.now() < end) {
      await changes.insertMany(
        Array.from({ length: batch }, () => nextDoc()),
        { ordered: false },
      );
      rows += batch;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

async function handle(order: MongoOrder): Promise<MongoAnswer> {
  if (order.do === 'flat-out') await flatOut(order.batch, order.inFlight, order.ms);
  return { rows };
}

await client.connect();
await createIndexes(db);
process.on('message', (order) => {
  void handle(order as MongoOrder).then((answer) => process.send?.(answer));
});
endWithParent();
process.stdout.write('listening on http://nowhere:0\n');
