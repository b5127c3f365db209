// The documentation of the HTTP routes, generated from their schemas: /docs for people, /docs/json for machines.
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { Problem } from './problems.ts';

export async function serveDocs(app: FastifyInstance): Promise<void> {
  app.addSchema(Problem);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'ChatterBox',
        version: '1',
        description: 'The HTTP side of the ChatterBox protocol. Live changes come over the WebSocket at `/ws`.',
      },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      tags: [
        { name: 'auth', description: 'Who are you.' },
        { name: 'users' },
        { name: 'conversations' },
        { name: 'members' },
        { name: 'messages' },
        { name: 'operation', description: 'For those who run the server.' },
      ],
    },
    refResolver: { buildLocalReference: (schema, _uri, _fragment, index) => String(schema.$id ?? `schema-${index}`) },
  });
  await app.register(swaggerUi, { routePrefix: '/docs' });
}
