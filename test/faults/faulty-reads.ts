// Loaded before src/main.ts (`node --import`), stands in the place of src/messages/reads.ts: a page of 13 messages is a defect
// that shows at once, one of 14 a defect that shows later.
import { registerHooks } from 'node:module';
import type { Reads as RealReads } from '../../src/messages/reads.ts';

const OURS = import.meta.url;

registerHooks({
  resolve: (specifier, context, next) => {
    const isOurs = context.parentURL === OURS || specifier.includes('?real');
    return specifier.endsWith('/reads.ts') && !isOurs ? { url: OURS, shortCircuit: true } : next(specifier, context);
  },
});

const { Reads: Real } = (await import(new URL('../../src/messages/reads.ts?real', OURS).href)) as {
  Reads: typeof RealReads;
};

export class Reads extends Real {
  override history(
    ...[conversation, query, freshness]: Parameters<RealReads['history']>
  ): ReturnType<RealReads['history']> {
    if (query.limit === 13) throw new TypeError('a defect at once');
    if (query.limit === 14) return Promise.resolve().then(() => Promise.reject(new TypeError('a defect later')));
    return super.history(conversation, query, freshness);
  }
}
