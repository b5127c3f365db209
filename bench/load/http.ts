// The HTTP generator, a process of its own: autocannon at a fixed overall rate, each connection another person, each write
// under a key of its own. One order, one answer, as with the sockets' generator.
import { randomUUID } from 'node:crypto';
import autocannon, { type Client, type Request } from 'autocannon';

export interface HttpOrder {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  /** Of the people, one a connection in turn: who asks, and where. */
  readonly people: readonly { readonly token: string; readonly path: string }[];
  readonly connections: number;
  /** Requests a second over all connections; 0 = as many as it can. */
  readonly perSecond: number;
  readonly seconds: number;
  readonly text: string;
}

export interface HttpAnswer {
  readonly answered: number;
  readonly non2xx: number;
  readonly errors: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly statuses: Readonly<Record<string, number>>;
}

/** A UUIDv7 (RFC 9562), as clients make them. */
function newKey(): string {
  const ms = Date.now().toString(16).padStart(12, '0');
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7${randomUUID().slice(15)}`;
}

export async function attackHttp(order: HttpOrder): Promise<HttpAnswer> {
  const { url, method, people, connections, perSecond, seconds, text } = order;
  const isWrite = method === 'POST';
  const body = isWrite ? { body: JSON.stringify({ text }) } : {};
  let next = 0;
  const setupClient = (client: Client) => {
    const { token, path } = people[next++ % people.length] as HttpOrder['people'][number];
    const headers = { authorization: `Bearer ${token}`, ...(isWrite ? { 'content-type': 'application/json' } : {}) };
    const setupRequest = (request: Request) => ({
      ...request,
      headers: { ...request.headers, 'idempotency-key': newKey() },
    });
    client.setRequests([{ method, path, headers, ...body, ...(isWrite ? { setupRequest } : {}) }]);
  };
  const rate = perSecond > 0 ? { overallRate: perSecond } : {};
  const result = await autocannon({ url, connections, duration: seconds, setupClient, ...rate });
  const statuses = Object.entries(result.statusCodeStats).map(([status, { count }]) => [status, Number(count)]);
  return {
    answered: result['2xx'] + result.non2xx,
    non2xx: result.non2xx,
    errors: result.errors,
    perSecond: (result['2xx'] + result.non2xx) / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    statuses: Object.fromEntries(statuses) as Record<string, number>,
  };
}
