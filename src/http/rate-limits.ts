// Limits of HTTP: requests a minute, per user when signed in, else per address; and registrations and logins a minute
// and address. Counted before anybody's session is looked up, so that bad tokens cost their sender and nobody else.
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ChatError } from '../errors.ts';

const WINDOW_MS = 60_000;
/** Addresses and users remembered; beyond, the ones seen longest ago are forgotten. */
const MAX_COUNTED = 50_000;
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

export type LimitHook = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

/** Limits every route registered after it, those with `rateLimit: false` left out. */
export async function limitRequests(app: FastifyInstance, ratePerMinute: number): Promise<void> {
  await app.register(rateLimit, {
    global: ratePerMinute > 0,
    max: ratePerMinute > 0 ? ratePerMinute : NO_LIMIT,
    timeWindow: WINDOW_MS,
    cache: MAX_COUNTED,
    enableDraftSpec: true,
    keyGenerator: (request) => (request.caller === null ? addressOf(request) : `user ${request.caller.user}`),
    errorResponseBuilder: (_request, { ttl }) => new ChatError('rate_limited', { afterMs: ttl }),
  });
}

/** What registration and login have in common: one count per address. */
export function authLimit(app: FastifyInstance, ratePerMinute: number): LimitHook {
  if (ratePerMinute === 0) return async () => {};
  const count = app.createRateLimit({ max: ratePerMinute, timeWindow: WINDOW_MS, keyGenerator: addressOf });
  return async (request, reply) => {
    const taken = await count(request);
    if (taken.isAllowed || !taken.isExceeded) return;
    reply.headers({
      'ratelimit-limit': taken.max,
      'ratelimit-remaining': 0,
      'ratelimit-reset': taken.ttlInSeconds,
    });
    throw new ChatError('rate_limited', { afterMs: taken.ttl });
  };
}

/** An IPv6 customer has a /64: it counts as one address. */
function addressOf({ ip }: FastifyRequest): string {
  return `address ${rateLimit.normalizeIP(ip)}`;
}
