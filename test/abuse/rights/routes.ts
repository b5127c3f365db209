// Every route the server has, as Fastify itself tells of them when they are made: also those the documentation hides.
import { channel } from 'node:diagnostics_channel';
import type { FastifyInstance, RouteOptions } from 'fastify';
import type { Test } from 'tap';
import { server } from '../../http/kit.ts';

/** @param alsoMakes is let loose on every Fastify before its routes are made */
export async function routesOf(t: Test, alsoMakes: (app: FastifyInstance) => void = () => {}): Promise<RouteOptions[]> {
  const routes: RouteOptions[] = [];
  const onCreated = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance };
    fastify.addHook('onRoute', (route) => void routes.push(route));
    alsoMakes(fastify);
  };
  const created = channel('fastify.initialization');
  created.subscribe(onCreated);
  try {
    await server(t);
  } finally {
    created.unsubscribe(onCreated);
  }
  return routes;
}

/** `GET /path/:param`, each once. A HEAD is a GET without its body, and `/path/` is `/path`. */
export function namesOf(routes: readonly RouteOptions[]): readonly string[] {
  const names = routes.flatMap(({ method, url }) => [method].flat().map((each) => `${each} ${plainUrl(url)}`));
  return [...new Set(names)].filter(
    (name) => !name.startsWith('HEAD ') || !names.includes(name.replace('HEAD', 'GET')),
  );
}

function plainUrl(url: string): string {
  return url.length > 1 && url.endsWith('/') ? url.slice(0, -1) : url;
}
