// How a floor program starts and ends: any free port of loopback, the same line the server prints, gone with its parent.
import type { AddressInfo, Server } from 'node:net';

export function announce(server: Server): void {
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => {
    const { port } = server.address() as AddressInfo;
    process.stdout.write(`listening on http://127.0.0.1:${port}\n`);
  });
  endWithParent();
}

export function endWithParent(): void {
  process.on('disconnect', () => process.exit(0));
  // In order, so that a profile is written where one is asked for.
  process.on('SIGTERM', () => process.exit(0));
  process.on('SIGINT', () => undefined);
}
