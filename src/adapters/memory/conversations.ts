// Conversations in the process's memory, for tests and for trying things out.
import type { ConversationStore, RoomEntry } from '../../ports/conversations.ts';
import { type ConvId, isMember } from '../../protocol/ids.ts';
import type { ConvView, Views } from './views.ts';

export function memoryConversations(views: Views): ConversationStore {
  return {
    async load(convs) {
      return convs.flatMap((conv) => {
        const view = views.convs.get(conv);
        if (view?.state === undefined) return [];
        const members = [...view.members.values()].filter(({ role }) => role !== 'none');
        return [
          { conv, state: view.state, head: view.head, members: members.map(({ user, role }) => ({ user, role })) },
        ];
      });
    },

    async ofUser(user) {
      return [...views.convs].flatMap(([conv, view]) => {
        const role = view.members.get(user)?.role ?? 'none';
        return role === 'none' || view.state?.deleted ? [] : [{ conv, role }];
      });
    },

    async rooms(query, cursor, limit) {
      const last = cursor === null ? undefined : views.convs.get(cursor as ConvId);
      if (cursor !== null && last === undefined) return { items: [], cursor: null };
      const after = last === undefined ? null : placeOf(cursor as ConvId, last);
      const found = [...views.convs]
        .filter(([, view]) => isListed(view) && nameOf(view).includes(query.toLowerCase()))
        .map(([conv, view]) => ({ place: placeOf(conv, view), entry: entryOf(conv, view) }))
        .filter(({ place }) => after === null || Buffer.compare(place, after) > 0)
        .sort((one, other) => Buffer.compare(one.place, other.place));
      const items = found.slice(0, limit).map(({ entry }) => entry);
      return { items, cursor: found.length > limit ? (items.at(-1)?.conv ?? null) : null };
    },
  };
}

function isListed({ state }: ConvView): boolean {
  return state?.kind === 'room' && state.public === true && state.deleted !== true;
}

function nameOf({ state }: ConvView): string {
  return (state?.title ?? '').toLowerCase();
}

/** By title, then id, in the order of code points; no text holds U+0000. */
function placeOf(conv: ConvId, view: ConvView): Buffer {
  return Buffer.from(`${nameOf(view)}\0${conv}`);
}

function entryOf(conv: ConvId, { state, members }: ConvView): RoomEntry {
  const count = [...members.values()].filter(({ role }) => isMember(role)).length;
  const { title, topic } = state ?? {};
  return { conv, ...(title === undefined ? {} : { title }), ...(topic === undefined ? {} : { topic }), members: count };
}
