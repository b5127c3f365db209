// A listening HTTP server on the adapters in memory, and a way to call it.
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { type Accounts, createAccounts, createPasswords, type Tokens } from '../../src/accounts/index.ts';
import { systemClock } from '../../src/adapters/memory/clock.ts';
import { memoryLimiter } from '../../src/adapters/memory/limiter.ts';
import { openMemoryLog } from '../../src/adapters/memory/log.ts';
import { memorySessions } from '../../src/adapters/memory/sessions.ts';
import { memorySignals } from '../../src/adapters/memory/signals.ts';
import { memoryStore } from '../../src/adapters/memory/store.ts';
import { memoryTallies } from '../../src/adapters/memory/tallies.ts';
import { memoryUsers } from '../../src/adapters/memory/users.ts';
import { Directory, Rooms } from '../../src/conversations/index.ts';
import { Counters } from '../../src/counters.ts';
import { buildHttp, type HttpConfig } from '../../src/http/server.ts';
import { accessTokens } from '../../src/http/tokens.ts';
import { Path, Reads } from '../../src/messages/index.ts';
import { Persister } from '../../src/persist/index.ts';
import type { Signal } from '../../src/ports/signals.ts';
import { Marks } from '../../src/receipts/index.ts';
import { TailMemory } from '../../src/tail/index.ts';
import { fakeClock } from '../kit/clock.ts';

export const SECRET = 'a secret of tests that is long enough for HS256';
export const PASSWORD = 'correct horse battery';

const NO_LIMITS: HttpConfig = {
  origins: [],
  trustProxy: [],
  httpRatePerMinute: 0,
  authRatePerMinute: 0,
  messageBurst: 0,
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
  const { log, ...talk } = await conversations(t, accounts);
  const app = await buildHttp({
    tallies: memoryTallies(clock),
    ...talk,
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

  return { app, url, port, clock, accounts, tokens, users, sessions, heard, call, register, log };
}

/** The domain of conversations and messages, as app.ts wires it. */
async function conversations(t: Test, accounts: Accounts) {
  const clock = systemClock();
  const log = await openMemoryLog();
  const store = memoryStore();
  const tail = new TailMemory(await store.messages.watermark(), 1_000_000);
  const directory = new Directory(store.conversations, tail, 1_000, () => false);
  const reads = new Reads({ store: store.messages, tail, log, clock, directory });
  const marks = new Marks(store.marks, memorySignals(), clock, (error) => t.fail(String(error)));
  const path = new Path({
    log,
    clock,
    directory,
    tail,
    limiter: memoryLimiter({ rate: 0, burst: 0 }, clock),
    counters: new Counters(),
    audience: { deliver: () => {}, deliverGuardMove: () => {} },
    lookups: {
      message: async (conversation, seq) => {
        await reads.cover();
        return reads.message(conversation.id, seq);
      },
      idsOf: async (names) => accounts.names.idsOf(names),
    },
    onSent: (conv, user, n) => marks.sent(conv, user, n),
  });
  const persister = new Persister({
    log,
    store: store.messages,
    batch: 64,
    lingerMs: 0,
    trimEvery: { changes: 1_000, bytes: 1_000_000 },
    onStored: (upTo) => tail.onStored(upTo),
    clock,
    onFault: (error) => t.fail(String(error)),
    onPoison: (_change, error) => t.fail(String(error)),
  });
  const deliverTail = log.tail(await store.messages.watermark());
  const running = [path.deliver(deliverTail), persister.run()];
  t.teardown(async () => {
    await marks.close();
    await deliverTail.return();
    await persister.stop();
    await Promise.all(running);
    await log.close();
  });
  const rooms = new Rooms({ conversations: store.conversations, messages: store.messages, log, clock });
  return { log, directory, marks, path, reads, rooms };
}
