// Who is in a conversation, and what they are in it.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { Conversation } from '../conversations/index.ts';
import { ChatError } from '../errors.ts';
import type { ConvId, UserId } from '../protocol/ids.ts';
import { MAX_USERS_PER_REQUEST } from '../protocol/limits.ts';
import { InConversation } from './conversations.ts';
import { conversationOf, type Domain, requireUsers, write } from './domain.ts';
import { callerOf } from './policy.ts';
import { closed, DEFAULT_PAGE, Id, pageOf, paging, Role, Standing } from './schemas.ts';

const Member = Type.Object({ user: Id, role: Standing }, { description: 'A member, or somebody invited.' });
const Members = Type.Object(
  { items: Type.Array(Member), cursor: Type.Optional(Type.String()), stale: Type.Optional(Type.Literal(true)) },
  { description: 'A page of members.' },
);

const Addition = Type.Object(
  {
    users: Type.Array(Type.Unsafe<UserId>(Id), {
      minItems: 1,
      description: `At most ${MAX_USERS_PER_REQUEST} user ids.`,
    }),
  },
  closed,
);

const Params = Type.Object({ conv: Type.Unsafe<ConvId>(Id), user: Type.Unsafe<UserId>(Id) });

export function memberRoutes(domain: Domain): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/conversations/:conv/members',
      {
        schema: {
          tags: ['members'],
          params: InConversation,
          querystring: Type.Object(paging, closed),
          response: { 200: Members },
        },
        config: { policy: 'user', errors: ['not_found', 'forbidden'] },
      },
      async (request) => {
        const freshness = await domain.reads.freshness();
        const conversation = await conversationOf(domain, request.params.conv, callerOf(request).user);
        return { ...memberPage(conversation, request.query), ...freshness };
      },
    );

    app.post(
      '/conversations/:conv/members',
      {
        schema: { tags: ['members'], params: InConversation, body: Addition, response: { 200: Members } },
        config: { policy: 'user', errors: ['not_found', 'forbidden', 'blocked', 'limit_reached'] },
      },
      async (request) => {
        const { conv } = request.params;
        const { user } = callerOf(request);
        const users = [...new Set(request.body.users)];
        if (users.length > MAX_USERS_PER_REQUEST) throw new ChatError('too_large', { field: 'users' });
        await conversationOf(domain, conv, user);
        await requireUsers(domain, users, 'users');
        await write(domain, request, { t: 'add', conv, users });
        await domain.reads.freshness();
        const { members } = await conversationOf(domain, conv, user);
        return { items: membersOf(members, users) };
      },
    );

    app.patch(
      '/conversations/:conv/members/:user',
      {
        schema: {
          tags: ['members'],
          params: Params,
          body: Type.Object({ role: Role }, closed),
          response: { 200: Member },
        },
        config: { policy: 'user', errors: ['not_found', 'forbidden', 'conflict'] },
      },
      async (request) => {
        const { conv, user } = request.params;
        const { role } = request.body;
        await write(domain, request, { t: 'role', conv, user, role });
        return { user, role };
      },
    );

    app.delete(
      '/conversations/:conv/members/:user',
      {
        schema: {
          tags: ['members'],
          params: Params,
          response: { 204: Type.Null({ description: 'Removed, or left when oneself.' }) },
        },
        config: { policy: 'user', errors: ['not_found', 'forbidden', 'conflict'] },
      },
      async (request, reply) => {
        const { conv, user } = request.params;
        await write(domain, request, { t: 'kick', conv, user });
        return reply.code(204).send(null);
      },
    );
  };
}

/** By user id, after the one that `cursor` names. */
function memberPage({ members }: Conversation, query: { cursor?: string; limit?: number }) {
  const { cursor, limit = DEFAULT_PAGE } = query;
  const users = [...members.keys()].filter((user) => cursor === undefined || user > cursor).sort();
  const page = users.slice(0, limit);
  const next = users.length > page.length ? (page.at(-1) ?? null) : null;
  return pageOf({ items: membersOf(members, page), cursor: next });
}

function membersOf(members: Conversation['members'], users: readonly UserId[]) {
  return users.flatMap((user) => {
    const role = members.get(user);
    return role === undefined || role === 'none' ? [] : [{ user, role }];
  });
}
