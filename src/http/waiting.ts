// The port while the process waits for a service at its start: it lives, it is not ready and says for what it waits, and
// everything else is `unavailable`. The server that takes its place listens where it did.
import { randomUUID } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, ListenOptions } from 'node:net';
import { ChatError, errorEntry } from '../errors.ts';
import { PROBLEM_TYPE, problemOf } from './problems.ts';

const RETRY_AFTER_SECONDS = 5;

export interface Waiting {
  /** What is waited for now. */
  missing: readonly string[];
  /** Frees the port. @returns its number */
  close(): Promise<number>;
}

/** Resolves when it listens. @throws what `listen` says */
export async function serveWaiting(missing: readonly string[], where: ListenOptions): Promise<Waiting> {
  const server = createServer(({ url }, response) => {
    if (url === '/health') return writeJson(response, 200, { status: 'ok' });
    if (url === '/ready') return writeJson(response, 503, { missing: waiting.missing });
    const refusal = new ChatError('unavailable', { message: 'The server is starting.' });
    response.setHeader('retry-after', RETRY_AFTER_SECONDS);
    writeJson(response, errorEntry('unavailable').http ?? 503, problemOf(refusal, randomUUID()), PROBLEM_TYPE);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const waiting: Waiting = { missing, close: () => closed(server).then(() => port) };
  return waiting;
}

function writeJson(response: ServerResponse, status: number, body: object, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, connection: 'close' });
  response.end(JSON.stringify(body));
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
