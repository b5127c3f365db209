// The rows of a store's file as an audit compares them: of some conversations, page by page, in the order of their keys.
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { ChangeRow, ConvRow, MemberRow, Rows, TouchedRow, ViewRows } from '../../ports/audit.ts';
import type { Mark } from '../../ports/marks.ts';
import type { ConvId, ConvKind, Seq } from '../../protocol/ids.ts';

const PAGE_ROWS = 512;
/** Pages whose texts are long end early: a change can be 64 kB. */
const PAGE_CHARS = 1_048_576;

/** Conversations in (after, upTo]; null: no bound. */
export interface ConvRange {
  readonly after: ConvId | null;
  readonly upTo: ConvId | null;
}

export const EVERYTHING: ConvRange = { after: null, upTo: null };

/** Ids are never empty, and end below this. */
const LAST_ID = '\u{7f}';

type Row = Record<string, unknown>;

export const CHANGE_COLUMNS = 'conv, seq, n, type, user AS "from", key, at, wire, of, touched';
type ChangeColumns = Omit<ChangeRow, 'isOwnState' | 'after'> & { readonly touched: 1 | null };

/** Field by field: the rows that SQLite gives are slow to take apart. */
export function changeRow(row: Row): ChangeRow {
  const { conv, seq, n, type, from, key, at, wire, of, touched } = row as unknown as ChangeColumns;
  const isOwnState = type === 'message' && touched === null;
  return { conv, seq, n, type, from, key, at, wire, of, isOwnState, after: null };
}

function convRow({ conv, seq, n, guard, at, members, kind, name, listed, deleted, rev, state }: Row): ConvRow {
  return {
    conv: conv as ConvId,
    head: { seq: seq as Seq, n: n as number, guard: guard as Seq, at: at as number },
    members: members as number,
    kind: kind as ConvKind | null,
    name: name as string,
    listed: listed === 1,
    deleted: deleted === 1,
    rev: rev as Seq | null,
    state: state as string | null,
  };
}

/** One connection reads all of them; each page is made before it is asked for the next. */
export function viewRows(db: DatabaseSync, { after, upTo }: ConvRange): ViewRows {
  const bounds = [after ?? '', upTo ?? LAST_ID] as const;
  const where = 'WHERE conv > ? AND conv <= ?';
  return {
    changes: () => pages(db, `SELECT ${CHANGE_COLUMNS} FROM changes ${where} ORDER BY conv, seq`, bounds, changeRow),
    convs: () => pages(db, `SELECT * FROM convs ${where} ORDER BY conv`, bounds, convRow),
    members: () =>
      pages(db, `SELECT conv, user, role, rev FROM members ${where} ORDER BY conv, user`, bounds, (row) => ({
        ...(row as unknown as Omit<MemberRow, 'active'>),
        active: row.role !== 'none',
      })),
    touched: () =>
      pages(
        db,
        `SELECT conv, seq, rev, state FROM touched ${where} ORDER BY conv, seq`,
        bounds,
        (row) => row as unknown as TouchedRow,
      ),
  };
}

export function markRows(db: DatabaseSync, { after, upTo }: ConvRange): Rows<Mark> {
  const sql =
    'SELECT conv, user, read, received FROM marks INDEXED BY marks_conv WHERE conv > ? AND conv <= ? ORDER BY conv';
  return pages(db, sql, [after ?? '', upTo ?? LAST_ID], (row) => row as unknown as Mark);
}

export async function* pages<Item>(
  db: DatabaseSync,
  sql: string,
  values: readonly SQLInputValue[],
  itemOf: (row: Row) => Item,
): AsyncGenerator<readonly Item[]> {
  let page: Item[] = [];
  let chars = 0;
  for (const row of db.prepare(sql).iterate(...values) as Iterable<Row>) {
    page.push(itemOf(row));
    chars += ((row.wire ?? row.state ?? '') as string).length;
    if (page.length < PAGE_ROWS && chars < PAGE_CHARS) continue;
    yield page;
    page = [];
    chars = 0;
  }
  if (page.length > 0) yield page;
}
