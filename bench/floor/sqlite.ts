// F5: node:sqlite group commit alone: rows as long as a message's, WAL, synchronous=FULL, one commit for what is due.
// No numbering, no keys, no second index, no other thread. Either at a fixed rate, or as fast as it goes.
import { DatabaseSync } from 'node:sqlite';
import { endWithParent } from './announce.ts';

export type SqliteOrder =
  /** Rows that fall due within a millisecond share a commit, as they do in the server. */
  | { readonly do: 'rate'; readonly perSecond: number }
  | { readonly do: 'flat-out'; readonly batch: number; readonly ms: number }
  | { readonly do: 'stop' }
  | { readonly do: 'look' };

export interface SqliteAnswer {
  /** Rows committed since the program began. */
  readonly rows: number;
}

const file = process.argv[2];
if (file === undefined) throw new Error('usage: sqlite.ts FILE');

const db = new DatabaseSync(file);
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE log (id INTEGER PRIMARY KEY, wire TEXT);');
const insert = db.prepare('INSERT INTO log (wire) VALUES (?)');
const wire = 'x'.repeat(200);
let rows = 0;
let timer: NodeJS.Timeout | undefined;

function commit(count: number): void {
  db.exec('BEGIN');
  for (let row = 0; row < count; row++) insert.run(wire);
  db.exec('COMMIT');
  rows += count;
}

function atRate(perSecond: number): void {
  const start = performance.now();
  let done = 0;
  const tick = () => {
    const due = Math.floor(((performance.now() - start) * perSecond) / 1_000) - done;
    if (due > 0) commit(due);
    done += due;
    timer = setTimeout(tick, 1);
  };
  tick();
}

function flatOut(batch: number, ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end) commit(batch);
}

function handle(order: SqliteOrder): SqliteAnswer {
  if (order.do !== 'look') clearTimeout(timer);
  if (order.do === 'rate') atRate(order.perSecond);
  else if (order.do === 'flat-out') flatOut(order.batch, order.ms);
  return { rows };
}

process.on('message', (order) => process.send?.(handle(order as SqliteOrder)));
endWithParent();
process.stdout.write('listening on http://nowhere:0\n');
