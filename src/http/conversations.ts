// Conversations: made, listed, looked at, changed and closed; and the directory of public rooms.
import { randomUUID } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type, { type Static } from 'typebox';
import { type Create, createdId, directId } from '../conversations/index.ts';
import { ChatError } from '../errors.ts';
import type { ConvId, Key, UserId } from '../protocol/ids.ts';
import { MAX_TITLE, MAX_TOPIC, MAX_USERS_PER_REQUEST } from '../protocol/limits.ts';
import {
  activityOf,
  ConversationShape,
  type ConversationView,
  compareActivity,
  conversationsOf,
  currentView,
  firstView,
  listViews,
  readCursor,
  writeCursor,
} from './conversation-view.ts';
import { conversationOf, type Domain, requireUsers, write } from './domain.ts';
import { callerOf, keyOf } from './policy.ts';
import { closed, DEFAULT_PAGE, Id, Kind, pageOf, paging } from './schemas.ts';

const titles = {
  title: Type.Optional(Type.String({ description: `At most ${MAX_TITLE} code points.` })),
  topic: Type.Optional(Type.String({ description: `At most ${MAX_TOPIC} code points.` })),
  public: Type.Optional(Type.Boolean({ description: 'Rooms only: anyone may find and join it.' })),
};

const Creation = Type.Object(
  {
    kind: Kind,
    members: Type.Optional(
      Type.Array(Type.Unsafe<UserId>(Id), {
        description: `User ids beside the caller, at most ${MAX_USERS_PER_REQUEST}.`,
      }),
    ),
    ...titles,
  },
  closed,
);

const Settings = Type.Object(titles, closed);
export const InConversation = Type.Object({ conv: Type.Unsafe<ConvId>(Id) });

const Conversations = Type.Object(
  {
    items: Type.Array(ConversationShape),
    cursor: Type.Optional(Type.String()),
    stale: Type.Optional(Type.Literal(true)),
  },
  { description: 'A page of conversations, latest active first.' },
);

const RoomQuery = Type.Object({ q: Type.Optional(Type.String({ maxLength: MAX_TITLE })), ...paging }, closed);
const Room = Type.Object({
  conv: Id,
  title: Type.Optional(Type.String()),
  topic: Type.Optional(Type.String()),
  members: Type.Integer({ description: 'How many there are.' }),
});
const RoomList = Type.Object(
  { items: Type.Array(Room), cursor: Type.Optional(Type.String()), stale: Type.Optional(Type.Literal(true)) },
  { description: 'A page of public rooms, by title.' },
);

export function conversationRoutes(domain: Domain): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/conversations',
      {
        schema: {
          tags: ['conversations'],
          body: Creation,
          response: { 200: ConversationShape, 201: ConversationShape },
        },
        config: { policy: 'user', errors: ['not_found', 'blocked', 'conflict'] },
      },
      async (request, reply) => {
        const { user } = callerOf(request);
        const creation = creationOf(request.body, user, keyOf(request));
        await requireUsers(domain, creation.others, 'members');
        const written = await write(domain, request, creation);
        await domain.reads.freshness();
        if (!written?.dup) reply.code(201);
        const conversation = await domain.directory.get(creation.conv);
        const isIn = conversation?.deleted === false && conversation.standing(user) !== 'none';
        return isIn ? currentView(domain, conversation, user) : firstView(creation);
      },
    );

    app.get(
      '/conversations',
      {
        schema: {
          tags: ['conversations'],
          querystring: Type.Object(paging, closed),
          response: { 200: Conversations },
        },
        config: { policy: 'user' },
      },
      async (request) => {
        return listPage(domain, callerOf(request).user, request.query);
      },
    );

    app.get(
      '/conversations/:conv',
      {
        schema: { tags: ['conversations'], params: InConversation, response: { 200: ConversationShape } },
        config: { policy: 'user', errors: ['not_found', 'forbidden'] },
      },
      async (request) => {
        const freshness = await domain.reads.freshness();
        const { user } = callerOf(request);
        return { ...(await shown(domain, request.params.conv, user)), ...freshness };
      },
    );

    app.patch(
      '/conversations/:conv',
      {
        schema: {
          tags: ['conversations'],
          params: InConversation,
          body: Settings,
          response: { 200: ConversationShape },
        },
        config: { policy: 'user', errors: ['not_found', 'forbidden'] },
      },
      async (request) => {
        const { conv } = request.params;
        const { user } = callerOf(request);
        await write(domain, request, { t: 'settings', conv, fields: request.body });
        await domain.reads.freshness();
        return currentView(domain, await conversationOf(domain, conv, user), user);
      },
    );

    app.delete(
      '/conversations/:conv',
      {
        schema: {
          tags: ['conversations'],
          params: InConversation,
          response: { 204: Type.Null({ description: 'Closed for everyone.' }) },
        },
        config: { policy: 'user', errors: ['not_found', 'forbidden'] },
      },
      async (request, reply) => {
        await write(domain, request, { t: 'close', conv: request.params.conv });
        return reply.code(204).send(null);
      },
    );

    app.get(
      '/rooms',
      {
        schema: { tags: ['conversations'], querystring: RoomQuery, response: { 200: RoomList } },
        config: { policy: 'user' },
      },
      async ({ query: { q = '', cursor = null, limit = DEFAULT_PAGE } }) => {
        const page = await domain.rooms.search(q, cursor, limit);
        return { ...pageOf(page), ...(page.stale ? { stale: true as const } : {}) };
      },
    );
  };
}

/** Ids come from what is created, so that repeats, or both sides of a direct at once, meet in the same place. */
function creationOf(body: Static<typeof Creation>, user: UserId, key: Key | null): Create {
  const { members = [], ...fields } = body;
  // Who lists everybody lists themselves too.
  const others = [...new Set(members)].filter((member) => member !== user);
  if (others.length > MAX_USERS_PER_REQUEST) throw new ChatError('too_large', { field: 'members' });
  const [other] = others;
  const isDirect = body.kind === 'direct' && other !== undefined;
  const conv = isDirect ? directId(user, other) : createdId(user, key ?? randomUUID());
  return { t: 'create', conv, others, ...fields };
}

/** One conversation, for a member, or for somebody invited. */
async function shown(domain: Domain, conv: ConvId, user: UserId): Promise<ConversationView> {
  const known = await domain.directory.get(conv);
  if (known?.standing(user) === 'invited') return currentView(domain, known, user);
  return currentView(domain, await conversationOf(domain, conv, user), user);
}

async function listPage(domain: Domain, user: UserId, query: { cursor?: string; limit?: number }) {
  const { cursor, limit = DEFAULT_PAGE } = query;
  const freshness = await domain.reads.freshness();
  const all = await conversationsOf(domain, user);
  const place = cursor === undefined ? null : readCursor(cursor);
  const rest = place === null ? all : all.filter((one) => compareActivity(activityOf(one), place) > 0);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const next = rest.length > page.length && last !== undefined ? writeCursor(activityOf(last)) : null;
  const items = await listViews(domain, { conversations: page, user, freshness });
  return { ...pageOf({ items, cursor: next }), ...freshness };
}
