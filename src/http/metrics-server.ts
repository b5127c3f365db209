// The metrics on a port of their own, for operators who keep that port to themselves: no token, nothing else there.
import { createServer, type Server } from 'node:http';
import type { ListenOptions } from 'node:net';
import type { Metrics } from './health.ts';

/** Resolves when it listens. @throws what `listen` says: the address is in use, or not this machine's */
export function serveMetrics(metrics: Metrics, where: ListenOptions): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') return void response.writeHead(404).end();
    metrics.text().then(
      ({ type, body }) => response.writeHead(200, { 'content-type': type }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => resolve(server));
  });
}
