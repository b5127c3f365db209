// What operators ask: does the process live, may it get work, how is it doing.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';

export interface Metrics {
  text(): Promise<{ readonly type: string; readonly body: string }>;
}

const Alive = Type.Object({ status: Type.Literal('ok') }, { description: 'The process lives.' });
const Ready = Type.Object({ missing: Type.Array(Type.String()) }, { description: 'Gets work.' });
const NotReady = Type.Object({ missing: Type.Array(Type.String()) }, { description: 'What is missing.' });

/** @param missing what keeps the process from work; empty = ready */
export function healthRoutes(metrics: Metrics, missing: () => readonly string[]): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/health',
      {
        schema: { tags: ['operation'], response: { 200: Alive } },
        config: { policy: 'public', rateLimit: false },
      },
      async () => ({ status: 'ok' as const }),
    );

    app.get(
      '/ready',
      {
        schema: { tags: ['operation'], response: { 200: Ready, 503: NotReady } },
        config: { policy: 'public', rateLimit: false },
      },
      async (_request, reply) => {
        const lacks = [...missing()];
        return reply.code(lacks.length === 0 ? 200 : 503).send({ missing: lacks });
      },
    );

    app.get(
      '/metrics',
      {
        schema: { tags: ['operation'], description: 'Prometheus text format.', response: { 200: Type.String() } },
        config: { policy: 'operator', errors: ['not_found'], rateLimit: false },
      },
      async (_request, reply) => {
        const { type, body } = await metrics.text();
        return reply.type(type).send(body);
      },
    );
  };
}
