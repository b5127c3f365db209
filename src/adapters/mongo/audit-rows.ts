// The documents of a store as rows of an audit, read in one snapshot session: all of them are of one moment.
import { type ClientSession, type Document, MaxKey } from 'mongodb';
import type { ChangeRow, ConvRow, MemberRow, Rows, StoreRows, TouchedRow } from '../../ports/audit.ts';
import type { Mark } from '../../ports/marks.ts';
import type { ConvId, ConvKind } from '../../protocol/ids.ts';
import type { ChangeDoc, Collections, ConvDoc, MarkDoc, MemberDoc, TouchedDoc } from './documents.ts';
import { LAST_SEQ } from './heads.ts';

const PAGE_ROWS = 1_000;

/** What a page is read from. */
interface Cursor<Doc> {
  hasNext(): Promise<boolean>;
  readBufferedDocuments(): Doc[];
  close(): Promise<void>;
}

export async function* pages<Doc, Row>(cursor: Cursor<Doc>, rowOf: (doc: Doc) => Row): AsyncGenerator<readonly Row[]> {
  try {
    while (await cursor.hasNext()) yield cursor.readBufferedDocuments().map(rowOf);
  } finally {
    await cursor.close();
  }
}

/** Conversations in (after, upTo]; null: no bound. */
export function storeRows(
  collections: Collections,
  session: ClientSession,
  after: ConvId | null,
  upTo: ConvId | null,
): StoreRows {
  const options = { session, batchSize: PAGE_ROWS };
  const bySeq = within(after, upTo, (conv) => ({ conv, seq: LAST_SEQ }));
  const byUser = within(after, upTo, (conv) => ({ conv, user: new MaxKey() }));
  const byConv = within(after, upTo, (conv) => conv);
  function read<Doc extends Document, Row>(
    name: keyof Collections,
    match: Document,
    sort: string,
    rowOf: (doc: Doc) => Row,
  ) {
    const cursor = collections[name].find(match, options).sort({ [sort]: 1 });
    return pages(cursor as unknown as Cursor<Doc>, rowOf);
  }
  return {
    changes: (): Rows<ChangeRow> => read('changes', { _id: bySeq }, '_id', changeRow),
    convs: (): Rows<ConvRow> => read('convs', { _id: byConv }, '_id', convRow),
    members: (): Rows<MemberRow> => read('members', { _id: byUser }, '_id', memberRow),
    touched: (): Rows<TouchedRow> => read('touched', { _id: bySeq }, '_id', touchedRow),
    marks: (): Rows<Mark> => read('marks', { '_id.conv': byConv }, '_id.conv', markRow),
  };
}

/** @param last above every place in a conversation */
function within(after: ConvId | null, upTo: ConvId | null, last: (conv: ConvId) => unknown): Document {
  return {
    $gt: last(after ?? ('' as ConvId)),
    ...(upTo === null ? {} : { $lte: last(upTo) }),
  };
}

export function changeRow({ _id, type, user, key, at, n, guard, wire, of, fresh }: ChangeDoc): ChangeRow {
  return {
    ..._id,
    n: type === 'message' ? n : 0,
    type,
    from: user,
    at,
    key: key ?? null,
    wire,
    of: of ?? null,
    isOwnState: fresh === undefined ? false : fresh === _id.seq ? true : null,
    after: { n, guard },
  };
}

function convRow({ _id, members, rev, state, name, listed, deleted }: ConvDoc): ConvRow {
  return {
    conv: _id,
    head: null,
    members,
    kind: kindOf(state),
    name: name ?? '',
    listed: listed ?? false,
    deleted: deleted ?? false,
    rev: rev ?? null,
    state: state ?? null,
  };
}

function kindOf(state: string | undefined): ConvKind | null {
  try {
    return (JSON.parse(state ?? 'null') as { kind?: ConvKind } | null)?.kind ?? null;
  } catch {
    return null;
  }
}

function memberRow({ _id, role, rev, active }: MemberDoc): MemberRow {
  return { ..._id, role, rev, active };
}

function touchedRow({ _id, rev, state }: TouchedDoc): TouchedRow {
  return { ..._id, rev, state };
}

function markRow({ _id, read, received }: MarkDoc): Mark {
  return { ..._id, read, received };
}
