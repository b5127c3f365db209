// A user with one connection: what people do in a chat, in the words of the protocol. Every verb fails loudly when the
// server refuses; what is meant to be refused goes through `refused`.
import { randomUUIDv7 } from 'node:crypto';
import type { ClientOptions } from 'ws';
import type { HistoryAnswer, Ready, SyncAnswer } from '../../src/protocol/answers.ts';
import type { MessageState } from '../../src/protocol/states.ts';
import { Connection } from './connection.ts';
import type { Ok, Sent } from './frames.ts';
import { type Ledger, Observer, type Since } from './observer.ts';

export interface Account {
  readonly id: string;
  readonly name: string;
  readonly access: string;
  readonly refresh: string;
}

/** A JSON object of any route. A field that a body does not have is undefined, whatever the type says. */
export interface Body {
  readonly conv: string;
  readonly code: string;
  readonly items: readonly Readonly<Record<string, unknown>>[];
  readonly [field: string]: unknown;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface HttpOptions {
  /** The Idempotency-Key; every write without one gets a fresh one. */
  readonly key?: string;
  readonly token?: string | null;
}

export interface DeviceOptions {
  readonly since?: Since;
  readonly want?: readonly string[];
  readonly device?: string;
  readonly ws?: ClientOptions;
}

/** What a client needs of the server it talks to. */
export interface Host {
  readonly url: string;
  readonly socketUrl: string;
  readonly ledger: Ledger;
  fault(text: string): void;
}

/** @param path under /api/v1, unless it begins with a slash */
export async function call(
  host: Host,
  method: string,
  path: string,
  body?: unknown,
  options: HttpOptions = {},
): Promise<Reply> {
  const { key, token } = options;
  const response = await fetch(path.startsWith('/') ? host.url + path : `${host.url}/api/v1/${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token == null ? {} : { authorization: `Bearer ${token}` }),
      ...(method === 'GET' ? {} : { 'idempotency-key': key ?? randomUUIDv7() }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : { text }) as Body };
}

export class Client extends Connection {
  readonly account: Account;
  readonly #host: Host;
  #ready: Ready | null = null;

  constructor(host: Host, account: Account, options: ClientOptions = {}) {
    const fault = (text: string) => host.fault(`${account.name}: ${text}`);
    super(host.socketUrl, new Observer(host.ledger, fault), fault, options);
    this.account = account;
    this.#host = host;
  }

  /** Connects, says hello and waits for `ready`. */
  static async arrive(host: Host, account: Account, { ws, ...hello }: DeviceOptions = {}): Promise<Client> {
    const client = new Client(host, account, ws);
    await client.opened();
    client.#ready = await client.ask('ready', { t: 'hello', token: account.access, ...hello });
    return client;
  }

  get id(): string {
    return this.account.id;
  }

  get ready(): Ready {
    if (this.#ready === null) throw new Error('not signed in');
    return this.#ready;
  }

  // ---- connections -----------------------------------------------------------------------------------------------

  /** Another connection of the same user. */
  device(options: DeviceOptions = {}, host: Host = this.#host): Promise<Client> {
    return Client.arrive(host, this.account, options);
  }

  /** What this connection has, as a `since` of the next one. */
  since(): Since {
    return { epoch: this.ready.epoch, convs: this.observer.cursors() };
  }

  /** The next connection, which goes on where this one ended. */
  resume(options: DeviceOptions = {}, host: Host = this.#host): Promise<Client> {
    return this.device({ since: this.since(), ...options }, host);
  }

  // ---- requests --------------------------------------------------------------------------------------------------

  async send(conv: string, text: string, fields: object = {}): Promise<Sent> {
    return (await this.ask('ok', { t: 'message', conv, text, ...fields })) as Sent;
  }

  edit(conv: string, seq: number, text: string, fields: object = {}): Promise<Ok> {
    return this.ask('ok', { t: 'edit', conv, seq, text, ...fields });
  }

  remove(conv: string, seq: number, fields: object = {}): Promise<Ok> {
    return this.ask('ok', { t: 'delete', conv, seq, for: 'all', ...fields });
  }

  join(conv: string, fields: object = {}): Promise<Ok> {
    return this.ask('ok', { t: 'join', conv, ...fields });
  }

  leave(conv: string, fields: object = {}): Promise<Ok> {
    return this.ask('ok', { t: 'leave', conv, ...fields });
  }

  read(conv: string, n: number, fields: object = {}): Promise<Ok> {
    return this.ask('ok', { t: 'read', conv, n, ...fields });
  }

  history(conv: string, query: object = {}): Promise<HistoryAnswer> {
    return this.ask('history', { t: 'history', conv, ...query });
  }

  sync(conv: string, after: number, limit?: number): Promise<SyncAnswer> {
    return this.ask('sync', { t: 'sync', conv, after, ...(limit === undefined ? {} : { limit }) });
  }

  /** All pages of `sync` from a cursor to the head. */
  async pull(conv: string, after = 0, limit?: number): Promise<readonly SyncAnswer[]> {
    const pages: SyncAnswer[] = [];
    for (let to = after, more = true; more; ) {
      const page = await this.sync(conv, to, limit);
      if (page.more && page.to <= to) throw new Error(`a page from ${to} ends at ${page.to}`);
      pages.push(page);
      ({ to, more } = page);
    }
    return pages;
  }

  /** Every message of a conversation, by pages of history. */
  async allMessages(conv: string): Promise<readonly MessageState[]> {
    const messages: MessageState[] = [];
    for (let more = true; more; ) {
      const page = await this.history(conv, { after: messages.at(-1)?.seq ?? 0, limit: 200 });
      messages.push(...page.items);
      more = page.more === true;
    }
    return messages;
  }

  // ---- HTTP ------------------------------------------------------------------------------------------------------

  http(method: string, path: string, body?: unknown, options: HttpOptions = {}): Promise<Reply> {
    return call(this.#host, method, path, body, { token: this.account.access, ...options });
  }

  async direct(other: Client): Promise<string> {
    return this.#create({ kind: 'direct', members: [other.id] });
  }

  async group(others: readonly Client[], fields: object = {}): Promise<string> {
    return this.#create({ kind: 'group', members: others.map(({ id }) => id), ...fields });
  }

  async room(fields: object = {}): Promise<string> {
    return this.#create({ kind: 'room', public: true, ...fields });
  }

  /** Adds to a group or public room, invites to a private room. */
  async add(conv: string, ...users: readonly Client[]): Promise<void> {
    const reply = await this.http('POST', `conversations/${conv}/members`, { users: users.map(({ id }) => id) });
    expectStatus(reply, 200);
  }

  async kick(conv: string, user: Client): Promise<void> {
    expectStatus(await this.http('DELETE', `conversations/${conv}/members/${user.id}`), 204);
  }

  async setRole(conv: string, user: Client, role: string): Promise<void> {
    expectStatus(await this.http('PATCH', `conversations/${conv}/members/${user.id}`, { role }), 200);
  }

  /** Who is in, with their roles. */
  async members(conv: string): Promise<Record<string, string>> {
    const members: [string, string][] = [];
    for (let cursor: unknown = ''; cursor !== undefined; ) {
      const reply = await this.http('GET', `conversations/${conv}/members?limit=100${cursor && `&cursor=${cursor}`}`);
      expectStatus(reply, 200);
      members.push(...reply.body.items.map(({ user, role }): [string, string] => [user as string, role as string]));
      ({ cursor } = reply.body);
    }
    return Object.fromEntries(members);
  }

  async #create(fields: object): Promise<string> {
    const reply = await this.http('POST', 'conversations', fields);
    expectStatus(reply, 201, 200);
    await this.hears(reply.body.conv);
    return reply.body.conv;
  }

  /** This connection has been told of the conversation, so what follows in it will be pushed. */
  async hears(conv: string): Promise<void> {
    if (this.observer.cursors()[conv] === undefined) await this.next('conv', { conv: conv });
  }
}

function expectStatus({ status, body }: Reply, ...expected: readonly number[]): void {
  if (!expected.includes(status)) throw new Error(`answered ${status} ${JSON.stringify(body)}`);
}
