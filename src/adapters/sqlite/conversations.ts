// Conversations in SQLite: the reads of the worker thread that owns the file, and the port on the main thread.
import type { DatabaseSync } from 'node:sqlite';
import type { ConversationStore, RoomEntry, StoredConv } from '../../ports/conversations.ts';
import type { Head } from '../../ports/log.ts';
import type { ConvId, Role, Standing, UserId } from '../../protocol/ids.ts';
import type { ConvState } from '../../protocol/states.ts';
import type { Call, CallOf } from './thread.ts';

interface ConvRow extends Head {
  readonly state: string;
}

interface RoomRow {
  readonly conv: ConvId;
  readonly state: string;
  readonly members: number;
}

interface MemberRow {
  readonly user: UserId;
  readonly role: Standing;
}

interface LoadedConv {
  readonly conv: ConvId;
  readonly row: ConvRow;
  readonly members: readonly MemberRow[];
}

/** Operations `conversations.*`. */
export function conversationOperations(db: DatabaseSync) {
  const conv = db.prepare('SELECT seq, n, guard, at, state FROM convs WHERE conv = ? AND state IS NOT NULL');
  const members = db.prepare("SELECT user, role FROM members WHERE conv = ? AND role <> 'none'");
  const memberships = db.prepare(`
    SELECT conv, role FROM members INDEXED BY members_user JOIN convs USING (conv)
    WHERE user = ? AND role <> 'none' AND deleted = 0`);
  const name = db.prepare('SELECT name FROM convs WHERE conv = ?');
  // A query is looked for in each name in turn: the directory is read through for a rare one.
  const roomsAfter = db.prepare(`
    SELECT conv, state, members FROM convs INDEXED BY rooms
    WHERE listed = 1 AND (name, conv) > (?, ?) AND instr(name, ?) > 0 ORDER BY name, conv LIMIT ?`);

  function load(ids: readonly ConvId[]): LoadedConv[] {
    const found: LoadedConv[] = [];
    for (const id of ids) {
      const row = conv.get(id) as ConvRow | undefined;
      if (row !== undefined) found.push({ conv: id, row, members: members.all(id) as unknown as MemberRow[] });
    }
    return found;
  }

  /** The cursor is the id of the last entry given; it keeps its place when the room is no longer listed. */
  function rooms(query: string, cursor: string | null, limit: number): RoomRow[] {
    const last = cursor === null ? { name: '' } : name.get(cursor);
    if (last === undefined) return [];
    const rows = roomsAfter.all(last.name as string, cursor ?? '', query.toLowerCase(), limit);
    return rows as unknown as RoomRow[];
  }

  return {
    'conversations.load': load,
    'conversations.ofUser': (user: UserId) => memberships.all(user) as { conv: ConvId; role: Role | 'invited' }[],
    'conversations.rooms': rooms,
  };
}

function storedConv({ conv, row, members }: LoadedConv): StoredConv {
  const { seq, n, guard, at, state } = row;
  return { conv, state: JSON.parse(state) as ConvState, head: { seq, n, guard, at }, members };
}

function roomEntry({ conv, state, members }: RoomRow): RoomEntry {
  const { title, topic } = JSON.parse(state) as ConvState;
  return { conv, ...(title === undefined ? {} : { title }), ...(topic === undefined ? {} : { topic }), members };
}

export function sqliteConversations(call: Call): ConversationStore {
  const run = call as CallOf<ReturnType<typeof conversationOperations>>;
  return {
    load: async (convs) => (await run('conversations.load', convs)).map(storedConv),
    ofUser: (user) => run('conversations.ofUser', user),

    async rooms(query, cursor, limit) {
      const rows = await run('conversations.rooms', query, cursor, limit + 1);
      const items = rows.slice(0, limit).map(roomEntry);
      return { items, cursor: rows.length > limit ? (items.at(-1)?.conv ?? null) : null };
    },
  };
}
