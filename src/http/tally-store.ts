// Where @fastify/rate-limit counts: in tallies, which are of one process or of all nodes.
import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit';
import type { Tallies } from '../ports/tallies.ts';

/** @returns what the plugin takes as its option `store`. Limits of one key generator share their counts. */
export function tallyStore(tallies: Tallies): FastifyRateLimitStoreCtor {
  return class TallyStore implements FastifyRateLimitStore {
    incr: FastifyRateLimitStore['incr'] = (key, done, windowMs) => {
      Promise.resolve(tallies.count(key, windowMs)).then(
        ({ count, leftMs }) => done(null, { current: count, ttl: leftMs }),
        (error: Error) => done(error),
      );
    };

    child(): FastifyRateLimitStore {
      return this;
    }
  };
}
