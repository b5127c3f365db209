// Who is at the other end: the peer itself, or whoever the trusted proxies in front say they speak for.
import type { IncomingMessage } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';

/** @param trusted addresses and CIDR ranges of proxies whose X-Forwarded-For counts */
export function addressReader(trusted: readonly string[]): (request: IncomingMessage) => string {
  if (trusted.length === 0) return (request) => request.socket.remoteAddress ?? '';
  const trust = proxyAddr.compile([...trusted]);
  return (request) => proxyAddr(request, trust);
}
