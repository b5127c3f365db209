// Who may call a route. Every route names its policy, and is refused at start without one; whether the caller may do
// the thing itself is for the domain to say. Also what all routes share: the shape of their headers and queries, and
// the documentation of their failures.
import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import Type, { type TSchema } from 'typebox';
import type { Accounts, Caller } from '../accounts/index.ts';
import { ChatError, type ErrorCode, errorEntry } from '../errors.ts';
import { KEY_PATTERN, type Key } from '../protocol/ids.ts';
import { PROBLEM_TYPE } from './problems.ts';

/**
 * - `public`: anyone.
 * - `token`: whoever holds an access token that has not expired; its session may have ended.
 * - `user`: whoever is signed in: the session is asked for at every request.
 * - `operator`: from the machine itself, or with the operator's token.
 */
export type Policy = 'public' | 'token' | 'user' | 'operator';

declare module 'fastify' {
  interface FastifyContextConfig {
    policy?: Policy;
    /** Failures of this route beside those that every route has. */
    errors?: readonly ErrorCode[];
  }
  interface FastifyRequest {
    /** Who the access token speaks for; null without one, or with one that is not valid. */
    caller: Caller | null;
  }
}

const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
const EVERY_ROUTE: readonly ErrorCode[] = ['bad_frame', 'rate_limited', 'overloaded', 'unavailable', 'internal'];
const WITH_BODY: readonly ErrorCode[] = ['bad_json', 'too_large', 'unsupported_media_type'];
const SIGNED_IN: readonly ErrorCode[] = ['unauthenticated', 'invalid_token'];

const NO_FIELDS = Type.Object({}, { additionalProperties: false });
const NO_BODY = Type.Union([Type.Null(), NO_FIELDS]);
const WRITE_HEADERS = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ pattern: KEY_PATTERN, description: 'A repeat with the same key is answered with the first result.' }),
  ),
});

/** Reads the bearer token of every request; whether one is needed, the route's policy says, after the limits. */
export function readCallers(app: FastifyInstance, accounts: Accounts): void {
  app.decorateRequest('caller', null);
  app.addHook('onRequest', async (request) => {
    const token = bearerOf(request);
    if (token === null) return;
    try {
      request.caller = accounts.verifyAccess(token);
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
    }
  });
}

/** Holds every route registered after it in this scope to its policy. */
export function enforcePolicies(app: FastifyInstance, accounts: Accounts, metricsToken: string | null): void {
  const guards: Readonly<Record<Policy, (request: FastifyRequest) => void | Promise<void>>> = {
    public: () => {},
    token: (request) => void callerOf(request),
    async user(request) {
      const { session, user } = callerOf(request);
      await accounts.requireLive(session, user);
    },
    operator: (request) => requireOperator(request, metricsToken),
  };

  app.addHook('onRoute', (route) => {
    const { policy } = route.config ?? {};
    if (policy === undefined) throw new Error(`route ${route.method} ${route.url} names no policy`);
    const guard = async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => guards[policy](request);
    route.onRequest = [...[route.onRequest ?? []].flat(), guard];
    route.schema = schemaOf(route, policy);
  });
}

/** Who calls. @throws ChatError `unauthenticated` without a token, `invalid_token` with a bad one */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller !== null) return request.caller;
  throw new ChatError(bearerOf(request) === null ? 'unauthenticated' : 'invalid_token');
}

/** The idempotency key the client gave. */
export function keyOf(request: FastifyRequest): Key | null {
  return (request.headers['idempotency-key'] as Key | undefined) ?? null;
}

function bearerOf(request: FastifyRequest): string | null {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? null;
}

const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

/** Behind a proxy on this machine everybody seems to come from loopback: a forwarded request needs the token. */
function requireOperator(request: FastifyRequest, metricsToken: string | null): void {
  const { headers } = request;
  const isForwarded = (headers['x-forwarded-for'] ?? headers.forwarded ?? headers['x-real-ip']) !== undefined;
  const isLocal = !isForwarded && LOOPBACK.has(request.ip);
  if (metricsToken === null ? isLocal : sameText(bearerOf(request) ?? '', metricsToken)) return;
  throw new ChatError('not_found');
}

function sameText(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function schemaOf(route: RouteOptions, policy: Policy): NonNullable<RouteOptions['schema']> {
  const { schema = {} } = route;
  const isWrite = [route.method].flat().some((method) => WRITES.has(method));
  return {
    querystring: NO_FIELDS,
    ...(isWrite ? { headers: WRITE_HEADERS, body: NO_BODY } : {}),
    ...(policy === 'token' || policy === 'user' ? { security: [{ bearer: [] }] } : { security: [] }),
    ...schema,
    response: { ...failures(route, policy, isWrite), ...(schema.response as object | undefined) },
  };
}

/** Documentation of a route's failures, by status. */
function failures(route: RouteOptions, policy: Policy, isWrite: boolean): Record<string, object> {
  const codes = new Set([
    ...EVERY_ROUTE,
    ...(isWrite ? WITH_BODY : []),
    ...(policy === 'token' || policy === 'user' ? SIGNED_IN : []),
    ...(route.config?.errors ?? []),
  ]);
  const byStatus = Map.groupBy(codes, (code) => String(errorEntry(code).http ?? 500));
  return Object.fromEntries([...byStatus].map(([status, group]) => [status, failure(group)]));
}

function failure(codes: readonly ErrorCode[]): object {
  const description = codes.map((code) => `\`${code}\`: ${errorEntry(code).message}`).join('\n\n');
  const schema: TSchema = Type.Ref('Problem#');
  return { description, content: { [PROBLEM_TYPE]: { schema } } };
}
