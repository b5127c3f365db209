// The HTTP server: Fastify with its plugins in the order a request meets them, and the routes. Owns no domain rule;
// a route is a schema, a policy and one call.
import { randomUUID } from 'node:crypto';
import cors from '@fastify/cors';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import helmet from 'helmet';
import { ChatError } from '../errors.ts';
import type { Tallies } from '../ports/tallies.ts';
import { authRoutes } from './auth.ts';
import { conversationRoutes } from './conversations.ts';
import { serveDocs } from './docs.ts';
import type { Domain } from './domain.ts';
import { healthRoutes, type Metrics } from './health.ts';
import { memberRoutes } from './members.ts';
import { messageRoutes } from './messages.ts';
import { enforcePolicies, readCallers } from './policy.ts';
import { handleClientError, handleError } from './problems.ts';
import { authLimit, limitRequests, tellBucket } from './rate-limits.ts';
import { userRoutes } from './users.ts';
import { validatorCompiler } from './validation.ts';
import { servePage } from './web.ts';

export interface HttpConfig {
  readonly origins: readonly string[];
  readonly trustProxy: readonly string[];
  readonly httpRatePerMinute: number;
  readonly authRatePerMinute: number;
  /** Of the token bucket that writes and reads cost from. */
  readonly messageBurst: number;
  readonly metricsToken: string | null;
  /** Time for the request line and headers, and for the whole request, to arrive. */
  readonly headersTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
}

export interface HttpDeps extends Domain {
  readonly config: HttpConfig;
  readonly metrics: Metrics;
  readonly tallies: Tallies;
  /** Without: no API and no page, but health, readiness and metrics. */
  readonly hasApi?: boolean;
  /** What keeps the process from work; empty = ready. */
  readonly ready: () => readonly string[];
  readonly log?: FastifyBaseLogger;
  /** Where the built page is; `dist/web` where not told. */
  readonly pageDir?: string;
}

/** A message of 4,000 four-byte characters, escaped, fits more than twice. */
const MAX_BODY_BYTES = 131_072;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How often Node looks for requests that came too slowly; its own default is half a minute. */
const CHECK_EVERY_MS = 1_000;
const PREFLIGHT_SECONDS = 600;
/** What a closing server waits for requests under way; who sends one slowly would hold it up as long as they like. */
const CLOSE_MS = 2_000;

export async function buildHttp(deps: HttpDeps): Promise<FastifyInstance> {
  const { config, accounts, hasApi = true } = deps;
  const app = createServer(deps);
  app.setErrorHandler((error, request, reply) => {
    tellBucket(error, reply, config.messageBurst);
    handleError(error, request, reply);
  });
  await protect(app, config);
  readCallers(app, accounts);
  await limitRequests(app, config.httpRatePerMinute, deps.tallies);
  app.setNotFoundHandler(config.httpRatePerMinute > 0 ? { preHandler: app.rateLimit() } : {}, () => {
    throw new ChatError('not_found');
  });
  if (hasApi) {
    await serveDocs(app);
    await servePage(app, deps.pageDir);
  }
  await app.register(async (routes) => {
    enforcePolicies(routes, accounts, config.metricsToken);
    await routes.register(healthRoutes(deps.metrics, deps.ready));
    if (hasApi) await routes.register(apiRoutes(deps), { prefix: '/api/v1' });
  });
  return app;
}

function apiRoutes(deps: HttpDeps) {
  const { config, accounts } = deps;
  return async (api: FastifyInstance): Promise<void> => {
    await api.register(authRoutes(accounts, authLimit(api, config.authRatePerMinute)));
    await api.register(userRoutes(accounts));
    await api.register(conversationRoutes(deps));
    await api.register(memberRoutes(deps));
    await api.register(messageRoutes(deps));
  };
}

function createServer({ config, log }: HttpDeps): FastifyInstance {
  const { headersTimeoutMs = HEADERS_TIMEOUT_MS, requestTimeoutMs = REQUEST_TIMEOUT_MS } = config;
  const app = Fastify({
    ...(log === undefined ? {} : { loggerInstance: log }),
    trustProxy: config.trustProxy.length === 0 ? false : [...config.trustProxy],
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: requestTimeoutMs,
    http: { headersTimeout: headersTimeoutMs, connectionsCheckingInterval: CHECK_EVERY_MS },
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    // While it drains the server answers what still comes; /ready tells the balancer.
    return503OnClosing: false,
    frameworkErrors: handleError,
    clientErrorHandler: handleClientError,
  });
  app.setValidatorCompiler(validatorCompiler);
  // Schemas of answers are documentation and types: what a route returns is what is sent.
  app.setSerializerCompiler(() => (body) => JSON.stringify(body));
  takeJsonOnly(app);
  app.addHook('preClose', async () => void setTimeout(() => app.server.closeAllConnections(), CLOSE_MS).unref());
  app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
  return app;
}

/** An empty body is no body, whatever its type says. Keys like `__proto__` are data, which the schemas refuse. */
function takeJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(body as string));
    } catch {
      done(new ChatError('bad_json'));
    }
  });
}

async function protect(app: FastifyInstance, { origins }: HttpConfig): Promise<void> {
  // Made once: @fastify/helmet puts the same headers together anew at every request.
  const setHeaders = helmet({
    // The server itself speaks plain HTTP; whoever terminates TLS decides on HSTS and upgrades.
    strictTransportSecurity: false,
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
  });
  app.addHook('onRequest', (request, reply, done) => setHeaders(request.raw, reply.raw, done as () => void));
  await app.register(cors, {
    origin: origins.length === 0 ? false : [...origins],
    methods: ['GET', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key'],
    exposedHeaders: ['retry-after', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'x-request-id'],
    maxAge: PREFLIGHT_SECONDS,
  });
}
