// Whether a port is free for several processes to share.
import { createServer } from 'node:net';
import { StartError } from '../errors.ts';

/**
 * Sockets with SO_REUSEPORT join whoever else has the port that way, another server of this user too, and would take turns
 * with it unseen. Only a socket without it is refused, so one is tried first. All other faults are left to who listens.
 * @throws StartError where the port is in use
 */
export async function refusePortInUse(setting: string, host: string, port: number): Promise<void> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | null>();
  server.once('error', resolve).listen({ host, port, exclusive: true }, () => resolve(null));
  const error = await promise;
  if (error?.code === 'EADDRINUSE') throw new StartError(`${setting}: port ${port} on ${host} is in use`);
  if (error === null) await new Promise((closed) => server.close(closed));
}
