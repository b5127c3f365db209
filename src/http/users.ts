// One's own account, and who else there is.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { type Accounts, MAX_EMAIL, MAX_PASSWORD, MIN_PASSWORD } from '../accounts/index.ts';
import { ChatError } from '../errors.ts';
import type { UserId } from '../protocol/ids.ts';
import { MAX_USERS_PER_REQUEST } from '../protocol/limits.ts';
import { callerOf, keyOf } from './policy.ts';
import { closed, DEFAULT_PAGE, DisplayName, Id, Profile, pageOf, paging } from './schemas.ts';

const Me = Type.Object(
  {
    id: Id,
    name: Type.String(),
    displayName: Type.String(),
    email: Type.String(),
    createdAt: Type.Integer({ description: 'Unix ms.' }),
  },
  { description: "One's own account." },
);

const Patch = Type.Object(
  {
    displayName: Type.Optional(DisplayName),
    email: Type.Optional(Type.String({ minLength: 3, maxLength: MAX_EMAIL })),
  },
  closed,
);

const PasswordChange = Type.Object(
  {
    current: Type.String({ minLength: 1, maxLength: 1_024 }),
    password: Type.String({ minLength: MIN_PASSWORD, maxLength: MAX_PASSWORD }),
  },
  closed,
);

const IDS_PATTERN = '^[A-Za-z0-9_-]{1,40}(,[A-Za-z0-9_-]{1,40})*$';

const Search = Type.Object(
  {
    q: Type.Optional(Type.String({ minLength: 1, maxLength: 100, description: 'Start of a name or display name.' })),
    ids: Type.Optional(
      Type.String({ pattern: IDS_PATTERN, description: `Up to ${MAX_USERS_PER_REQUEST} ids, with commas between.` }),
    ),
    ...paging,
  },
  closed,
);

const Profiles = Type.Object(
  { items: Type.Array(Profile), cursor: Type.Optional(Type.String()) },
  { description: 'A page of users.' },
);

export function userRoutes(accounts: Accounts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/users/me',
      { schema: { tags: ['users'], response: { 200: Me } }, config: { policy: 'user' } },
      async (request) => accounts.me(callerOf(request).user),
    );

    app.patch(
      '/users/me',
      {
        schema: { tags: ['users'], body: Patch, response: { 200: Me } },
        config: { policy: 'user', errors: ['conflict'] },
      },
      async (request) => accounts.changeMe(callerOf(request).user, request.body),
    );

    app.post(
      '/users/me/password',
      {
        schema: {
          tags: ['users'],
          body: PasswordChange,
          response: { 204: Type.Null({ description: 'Changed; all other sessions have ended.' }) },
        },
        config: { policy: 'user', errors: ['forbidden'] },
      },
      async (request, reply) => {
        const { current, password } = request.body;
        await accounts.changePassword(callerOf(request), current, password, keyOf(request));
        return reply.code(204).send(null);
      },
    );

    app.get(
      '/users',
      { schema: { tags: ['users'], querystring: Search, response: { 200: Profiles } }, config: { policy: 'user' } },
      async ({ query: { q, ids, cursor, limit = DEFAULT_PAGE } }) => {
        if (ids !== undefined && q === undefined) return { items: [...(await accounts.profiles(idList(ids)))] };
        if (q !== undefined && ids === undefined) return pageOf(await accounts.search(q, cursor ?? null, limit));
        throw new ChatError('bad_frame', { message: 'Give one of q and ids.' });
      },
    );

    app.get(
      '/users/:user',
      {
        schema: { tags: ['users'], params: Type.Object({ user: Id }), response: { 200: Profile } },
        config: { policy: 'user', errors: ['not_found'] },
      },
      async ({ params }) => accounts.profile(params.user as UserId),
    );
  };
}

function idList(ids: string): readonly UserId[] {
  const list = ids.split(',') as UserId[];
  if (list.length > MAX_USERS_PER_REQUEST) throw new ChatError('too_large', { field: 'ids' });
  return list;
}
