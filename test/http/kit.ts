// A listening HTTP server on the adapters in memory, and a way to call it.
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { createAccounts, createPasswords, type Tokens } from '../../src/accounts/index.ts';
import { memorySessions } from '../../src/adapters/memory/sessions.ts';
import { memorySignals } from '../../src/adapters/memory/signals.ts';
import { memoryUsers } from '../../src/adapters/memory/users.ts';
import { buildHttp, type HttpConfig } from '../../src/http/server.ts';
import { accessTokens } from '../../src/http/tokens.ts';
import type { Signal } from '../../src/ports/signals.ts';
import { fakeClock } from '../kit/clock.ts';

export const SECRET = 'a secret of tests that is long enough for HS256';
export const PASSWORD = 'correct horse battery';

const NO_LIMITS: HttpConfig = {
  origins: [],
  trustProxy: [],
  httpRatePerMinute: 0,
  authRatePerMinute: 0,
  metricsToken: null,
};

export interface Options {
  readonly config?: Partial<HttpConfig>;
  readonly registration?: 'open' | 'closed';
  readonly maxHashesWaiting?: number;
  readonly missing?: string[];
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  readonly body: any;
}

export interface CallOptions {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

export async function server(t: Test, options: Options = {}) {
  const clock = fakeClock(Date.now());
  const users = memoryUsers();
  const sessions = memorySessions();
  const signals = memorySignals();
  const heard: Signal[] = [];
  signals.subscribe((signal) => heard.push(signal));
  const tokens: Tokens = await accessTokens(SECRET);
  const { registration = 'open', maxHashesWaiting, missing = [] } = options;
  const passwords = createPasswords(2, maxHashesWaiting);
  const accounts = createAccounts({
    users,
    sessions,
    signals,
    clock,
    tokens,
    passwords,
    registration,
    accessTtlMs: 900_000,
  });
  const app = await buildHttp({
    config: { ...NO_LIMITS, ...options.config },
    accounts,
    metrics: { text: async () => ({ type: 'text/plain; version=0.0.4', body: 'chat_up 1\n' }) },
    ready: () => missing,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;

  /** `path` under /api/v1, unless it begins with a slash. */
  async function call(method: string, path: string, { token, body, headers = {} }: CallOptions = {}): Promise<Reply> {
    const response = await fetch(path.startsWith('/') ? url + path : `${url}/api/v1/${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') ?? false;
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }

  async function register(name: string, fields: object = {}, headers: Record<string, string> = {}): Promise<Reply> {
    const body = { email: `${name}@example.org`, username: name, password: PASSWORD, ...fields };
    return call('POST', 'auth/register', { body, headers });
  }

  return { app, url, port, clock, accounts, tokens, users, sessions, heard, call, register };
}
