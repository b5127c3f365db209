// F5: node:sqlite group commit alone: rows as long as a message's, WAL, synchronous=FULL, one commit for what is due.
// No numbering, no keys, no second index, no other thread; with the argument `changes` the rows of the store's table of
// changes, under its indexes. Either at a fixed rate, or as fast as it goes.
import { DatabaseSync } from 'node:sqlite';
import { openStoreFile } from '../../src/adapters/sqlite/schema.ts';
import { bodyText, wireText } from '../../src/protocol/changes.ts';
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

const [file, table = 'log'] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: sqlite.ts FILE [changes]');

let rows = 0;
let timer: NodeJS.Timeout | undefined;
const db = table === 'changes' ? openStoreFile(file, []) : openLogFile(file);
const insertRow = table === 'changes' ? changeInsert(db) : logInsert(db);

function openLogFile(name: string): DatabaseSync {
  const made = new DatabaseSync(name);
  made.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  made.exec('CREATE TABLE log (id INTEGER PRIMARY KEY, wire TEXT);');
  return made;
}

function logInsert(into: DatabaseSync): () => void {
  const insert = into.prepare('INSERT INTO log (wire) VALUES (?)');
  const wire = 'x'.repeat(200);
  return () => insert.run(wire);
}

function changeInsert(into: DatabaseSync): () => void {
  const insert = into.prepare('INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)');
  const convs = 200;
  const body = bodyText({ text: 'x'.repeat(24) });
  let count = 0;
  return () => {
    const number = count++;
    const conv = `bench-conv-${String(number % convs).padStart(11, '0')}`;
    const user = `bench-user-${String(number % convs).padStart(5, '0')}`;
    const seq = Math.floor(number / convs) + 2;
    const at = Date.now();
    const key = `0199a3c2-7c1e-7abc-8def-${number.toString(16).padStart(12, '0')}`;
    const wire = wireText('message', conv, seq, seq - 1, user, at, key, body);
    insert.run(conv, seq, seq - 1, 'message', user, key, at, wire);
  };
}

function commit(count: number): void {
  db.exec('BEGIN');
  for (let row = 0; row < count; row++) insertRow();
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
