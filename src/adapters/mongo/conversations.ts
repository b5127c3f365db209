// Conversations in MongoDB: reads of the views that applying writes.
import type { ConversationStore, RoomEntry, StoredConv } from '../../ports/conversations.ts';
import type { ConvId, Role, UserId } from '../../protocol/ids.ts';
import type { ConvState } from '../../protocol/states.ts';
import { inWaves } from '../waves.ts';
import type { Database } from './database.ts';
import type { ConvDoc, MemberDoc } from './documents.ts';
import { type HeadRow, withHead } from './heads.ts';

type MemberRow = Pick<MemberDoc, '_id' | 'role'>;
type PlaceRow = Pick<MemberDoc, '_id'> & { readonly role: Role | 'invited' };
type ConvRow = HeadRow & { readonly state: string };
type RoomRow = Pick<ConvDoc, '_id' | 'members'> & { readonly state: string };

export const CONVERSATION_READS = {
  load(convs: readonly ConvId[]) {
    const members = [{ $match: { '_id.conv': { $in: [...convs] }, active: true } }, { $project: { role: 1 } }];
    return [
      { $match: { _id: { $in: [...convs] }, state: { $exists: true } } },
      { $project: { state: 1 } },
      ...withHead(),
      { $unionWith: { coll: 'members', pipeline: members } },
    ];
  },

  /** A filter. */
  ofUsers(users: readonly UserId[]) {
    return { '_id.user': { $in: [...users] }, active: true };
  },

  /**
   * A query is looked for in each name in turn: the directory is read through for a rare one. Bytes: in UTF-8 a text is
   * found only where its characters are.
   */
  rooms(query: string, after: Pick<ConvDoc, '_id' | 'name'>, limit: number) {
    const later = { $or: [{ name: { $gt: after.name } }, { name: after.name, _id: { $gt: after._id } }] };
    const hasQuery = { $gte: [{ $indexOfBytes: ['$name', { $literal: query.toLowerCase() }] }, 0] };
    return [
      { $match: { listed: true, ...later } },
      { $sort: { name: 1, _id: 1 } },
      { $match: { $expr: hasQuery } },
      { $limit: limit },
      { $project: { state: 1, members: 1 } },
    ];
  },
} as const;

function storedConv({ _id, head, state }: ConvRow, members: readonly MemberRow[]): StoredConv {
  return {
    conv: _id,
    state: JSON.parse(state) as ConvState,
    head,
    members: members.map(({ _id: { user }, role }) => ({ user, role })),
  };
}

function roomEntry({ _id, state, members }: RoomRow): RoomEntry {
  const { title, topic } = JSON.parse(state) as ConvState;
  return { conv: _id, ...(title === undefined ? {} : { title }), ...(topic === undefined ? {} : { topic }), members };
}

export function mongoConversations(database: Database): ConversationStore {
  /** The cursor is the id of the last entry given; it keeps its place when the room is no longer listed. */
  async function placeOf(cursor: string | null): Promise<Pick<ConvDoc, '_id' | 'name'> | undefined> {
    if (cursor === null) return { _id: '' as ConvId, name: '' };
    const [place] = await database.find<ConvDoc>('convs', { _id: cursor }, { name: 1 });
    return place;
  }

  async function load(convs: readonly ConvId[]): Promise<readonly StoredConv[]> {
    const rows = await database.read<ConvRow | MemberRow>('convs', CONVERSATION_READS.load(convs));
    const members = Map.groupBy(
      rows.filter((row) => 'role' in row),
      ({ _id }) => _id.conv,
    );
    return rows.filter((row) => 'state' in row).map((row) => storedConv(row, members.get(row._id) ?? []));
  }

  const places = inWaves(
    (users: readonly UserId[]) => database.find<PlaceRow>('members', CONVERSATION_READS.ofUsers(users), { role: 1 }),
    ({ _id }) => _id.user,
  );

  const deleted = inWaves(
    (convs: readonly ConvId[]) =>
      database.find<Pick<ConvDoc, '_id'>>('convs', { _id: { $in: [...convs] }, deleted: true }, { _id: 1 }),
    ({ _id }) => _id,
  );

  /** Asked one after the other: what is deleted in between is left out, as it would be a moment later. */
  async function ofUser(user: UserId) {
    const all = (await places([user])).map(({ _id: { conv }, role }) => ({ conv, role }));
    if (all.length === 0) return all;
    const gone = new Set((await deleted(all.map(({ conv }) => conv))).map(({ _id }) => _id));
    return all.filter(({ conv }) => !gone.has(conv));
  }

  return {
    load: inWaves(load, ({ conv }) => conv),
    ofUser,

    async rooms(query, cursor, limit) {
      const place = await placeOf(cursor);
      if (place === undefined) return { items: [], cursor: null };
      const rows = await database.read<RoomRow>('convs', CONVERSATION_READS.rooms(query, place, limit + 1));
      const items = rows.slice(0, limit).map(roomEntry);
      return { items, cursor: rows.length > limit ? (items.at(-1)?.conv ?? null) : null };
    },
  };
}
