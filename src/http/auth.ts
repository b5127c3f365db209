// Registering, logging in, renewing and ending a login.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import {
  type Accounts,
  MAX_EMAIL,
  MAX_PASSWORD,
  MIN_PASSWORD,
  profileOf,
  type SignedIn,
  USERNAME_PATTERN,
} from '../accounts/index.ts';
import { callerOf, keyOf } from './policy.ts';
import type { LimitHook } from './rate-limits.ts';
import { closed, DisplayName, Profile } from './schemas.ts';

/** Longer ones cannot be right; a login tells no more than that. */
const MAX_LOGIN_PASSWORD = 1_024;

const Registration = Type.Object(
  {
    email: Type.String({ minLength: 3, maxLength: MAX_EMAIL }),
    username: Type.String({ pattern: USERNAME_PATTERN, description: 'Compared without case.' }),
    password: Type.String({ minLength: MIN_PASSWORD, maxLength: MAX_PASSWORD }),
    displayName: Type.Optional(DisplayName),
  },
  closed,
);

const Login = Type.Object(
  {
    login: Type.String({ minLength: 1, maxLength: MAX_EMAIL, description: 'Email or username.' }),
    password: Type.String({ minLength: 1, maxLength: MAX_LOGIN_PASSWORD }),
  },
  closed,
);

const Refresh = Type.Object({ refresh: Type.String({ minLength: 1, maxLength: 256 }) }, closed);

const SignedInBody = Type.Object(
  {
    user: Profile,
    access: Type.String({ description: 'Bearer token.' }),
    refresh: Type.String({ description: 'Works once, at POST /auth/refresh.' }),
    expiresIn: Type.Integer({ description: 'Seconds the access token works.' }),
  },
  { description: 'Signed in.' },
);

export function authRoutes(accounts: Accounts, limitAuth: LimitHook): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/auth/register',
      {
        schema: { tags: ['auth'], body: Registration, response: { 200: SignedInBody, 201: SignedInBody } },
        config: { policy: 'public', errors: ['conflict', 'forbidden'] },
        onRequest: limitAuth,
      },
      async (request, reply) => {
        const { repeated, ...signedIn } = await accounts.register(request.body, keyOf(request));
        return reply.code(repeated ? 200 : 201).send(bodyOf(signedIn));
      },
    );

    app.post(
      '/auth/login',
      {
        schema: { tags: ['auth'], body: Login, response: { 200: SignedInBody } },
        config: { policy: 'public', errors: ['unauthenticated'] },
        onRequest: limitAuth,
      },
      async ({ body }) => bodyOf(await accounts.login(body.login, body.password)),
    );

    app.post(
      '/auth/refresh',
      {
        schema: { tags: ['auth'], body: Refresh, response: { 200: SignedInBody } },
        config: { policy: 'public', errors: ['invalid_token'] },
      },
      async ({ body }) => bodyOf(await accounts.refresh(body.refresh)),
    );

    app.post(
      '/auth/logout',
      {
        schema: { tags: ['auth'], response: { 204: Type.Null({ description: 'The session has ended.' }) } },
        config: { policy: 'token' },
      },
      async (request, reply) => {
        await accounts.logout(callerOf(request).session);
        return reply.code(204).send(null);
      },
    );
  };
}

function bodyOf({ user, access, refresh, expiresInMs }: SignedIn) {
  return { user: profileOf(user), access, refresh, expiresIn: Math.floor(expiresInMs / 1_000) };
}
