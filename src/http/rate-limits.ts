// Limits of HTTP: requests a minute, per user when signed in, else per address; and registrations and logins a minute
// and address. Counted before anybody's session is looked up, so that bad tokens cost their sender and nobody else.
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ChatError } from '../errors.ts';
import type { Tallies } from '../ports/tallies.ts';
import { tallyStore } from './tally-store.ts';

const WINDOW_MS = 60_000;
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

export type LimitHook = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

/** Limits every route registered after it, those with `rateLimit: false` left out. */
export async function limitRequests(app: FastifyInstance, ratePerMinute: number, tallies: Tallies): Promise<void> {
  await app.register(rateLimit, {
    global: ratePerMinute > 0,
    max: ratePerMinute > 0 ? ratePerMinute : NO_LIMIT,
    timeWindow: WINDOW_MS,
    store: tallyStore(tallies),
    enableDraftSpec: true,
    keyGenerator: (request) => (request.caller === null ? addressOf(request) : `user ${request.caller.user}`),
    errorResponseBuilder: (_request, { ttl }) => new ChatError('rate_limited', { afterMs: ttl }),
  });
}

/** Where it was not the limit of requests that refused but the bucket of all that one does: the numbers are the bucket's. */
export function tellBucket(error: unknown, reply: FastifyReply, burst: number): void {
  const isRefusal = error instanceof ChatError && error.code === 'rate_limited' && error.afterMs !== undefined;
  if (!isRefusal || reply.getHeader('ratelimit-remaining') === 0) return;
  tellLimit(reply, burst, Math.ceil((error.afterMs ?? 0) / 1_000));
}

function tellLimit(reply: FastifyReply, limit: number, resetSeconds: number): void {
  reply.headers({ 'ratelimit-limit': limit, 'ratelimit-remaining': 0, 'ratelimit-reset': resetSeconds });
}

/** What registration and login have in common: one count per address. */
export function authLimit(app: FastifyInstance, ratePerMinute: number): LimitHook {
  if (ratePerMinute === 0) return async () => {};
  const keyGenerator = (request: FastifyRequest) => `sign-in ${addressOf(request)}`;
  const count = app.createRateLimit({ max: ratePerMinute, timeWindow: WINDOW_MS, keyGenerator });
  return async (request, reply) => {
    const taken = await count(request);
    if (taken.isAllowed || !taken.isExceeded) return;
    tellLimit(reply, taken.max, taken.ttlInSeconds);
    throw new ChatError('rate_limited', { afterMs: taken.ttl });
  };
}

/** An IPv6 customer has a /64: it counts as one address. */
function addressOf({ ip }: FastifyRequest): string {
  return `address ${rateLimit.normalizeIP(ip)}`;
}
