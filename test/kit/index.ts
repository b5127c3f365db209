// The front door for tests: a real server, and clients of it. The mode that all end-to-end tests run in is chosen here,
// and only here, by CHAT_TEST_MODE.
import { randomBytes } from 'node:crypto';
import { type Account, Client, call, type DeviceOptions, type Host, type HttpOptions, type Reply } from './client.ts';
import { Ledger } from './observer.ts';
import { type Exit, type ServerOptions, type ServerProcess, startServer } from './process.ts';
import { mongoDatabase, redisServer } from './services.ts';

export type { Account, Reply } from './client.ts';
export { Client } from './client.ts';
export { Unanswered } from './connection.ts';
export { type Change, isChange, type Push, type Sent } from './frames.ts';
export { type Random, random } from './random.ts';
export { Replica } from './replica.ts';
export { eventually, soon } from './waiting.ts';

export const MODE = process.env.CHAT_TEST_MODE ?? 'embedded';

const PASSWORD = 'correct horse battery';

function preloaded(file: string): readonly string[] {
  return ['--import', new URL(file, import.meta.url).href];
}

/** What this file needs of a tap test. */
interface Test {
  teardown(end: () => unknown): void;
  fail(message: string): unknown;
}

export interface Options extends ServerOptions {
  /** The server's clock runs 20 times as fast: seconds of silence pass quickly. */
  readonly fastClock?: boolean;
  /** Registering costs nothing: for people by the hundred. */
  readonly cheapPasswords?: boolean;
}

export interface Server extends Host {
  readonly process: ServerProcess;
  /** Registers, connects, says hello. A name taken before in this server is given a number. */
  client(name: string, options?: DeviceOptions): Promise<Client>;
  /** Several at once. */
  clients<const Names extends readonly string[]>(
    ...names: Names
  ): Promise<{ -readonly [Index in keyof Names]: Client }>;
  /** Registers only. */
  account(name: string): Promise<Account>;
  /** A connection that has not said hello. */
  connection(account: Account, options?: DeviceOptions['ws']): Client;
  http(method: string, path: string, body?: unknown, options?: HttpOptions): Promise<Reply>;
  /** Ends it by a signal and starts it again on the same data, with the same users. */
  restart(signal?: NodeJS.Signals): Promise<Exit>;
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

/** A server of its own for a test: fresh data, limits off unless set, every connection to it watched. */
export async function server(
  t: Test,
  { fastClock = false, cheapPasswords = false, env, nodeArgs = [], ...options }: Options = {},
): Promise<Server> {
  const services = MODE === 'cluster' ? await clusterServices(t) : {};
  const start = (dataDir?: string) =>
    startServer(t, {
      ...options,
      ...(dataDir === undefined ? {} : { dataDir }),
      nodeArgs: [
        ...nodeArgs,
        ...(fastClock ? preloaded('./fast-clock.ts') : []),
        ...(cheapPasswords ? preloaded('./cheap-passwords.ts') : []),
      ],
      env: { CHAT_MODE: MODE, ...services, ...env },
    });
  return new TestServer(t, await start(), start);
}

/** A Redis and a database of the test's own, as settings. */
async function clusterServices(t: Test): Promise<Readonly<Record<string, string>>> {
  const [redis, mongo] = await Promise.all([redisServer(t), mongoDatabase(t)]);
  return { CHAT_REDIS_URL: redis.url, CHAT_MONGO_URL: mongo.url, CHAT_SECRET: randomBytes(32).toString('hex') };
}

class TestServer implements Server {
  readonly ledger = new Ledger();
  process: ServerProcess;
  readonly #test: Test;
  readonly #start: (dataDir: string) => Promise<ServerProcess>;
  readonly #names = new Map<string, number>();
  readonly #clients: Client[] = [];
  #isOver = false;

  constructor(t: Test, process: ServerProcess, start: (dataDir: string) => Promise<ServerProcess>) {
    this.#test = t;
    this.process = process;
    this.#start = start;
    t.teardown(() => {
      this.#isOver = true;
      for (const client of this.#clients) client.ws.terminate();
    });
  }

  get url(): string {
    return this.process.url;
  }

  get socketUrl(): string {
    return this.process.socketUrl;
  }

  fault(text: string): void {
    if (!this.#isOver) this.#test.fail(text);
  }

  async client(name: string, options: DeviceOptions = {}): Promise<Client> {
    return this.#keep(await Client.arrive(this, await this.account(name), options));
  }

  async clients<const Names extends readonly string[]>(...names: Names) {
    const clients = await Promise.all(names.map((name) => this.client(name)));
    return clients as { -readonly [Index in keyof Names]: Client };
  }

  async account(name: string): Promise<Account> {
    const count = (this.#names.get(name) ?? 0) + 1;
    this.#names.set(name, count);
    const username = count === 1 ? name : `${name}-${count}`;
    const fields = { email: `${username}@example.org`, username, password: PASSWORD };
    const { status, body } = await this.http('POST', 'auth/register', fields);
    if (status !== 201) throw new Error(`${username} was not registered: ${status} ${JSON.stringify(body)}`);
    const { user, access, refresh } = body as unknown as Account & { user: { id: string } };
    return { id: user.id, name: username, access, refresh };
  }

  connection(account: Account, options: DeviceOptions['ws'] = {}): Client {
    return this.#keep(new Client(this, account, options));
  }

  http(method: string, path: string, body?: unknown, options: HttpOptions = {}): Promise<Reply> {
    return call(this, method, path, body, options);
  }

  async restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    const exit = await this.process.kill(signal);
    this.process = await this.#start(this.process.dataDir);
    return exit;
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    return this.process.kill(signal);
  }

  #keep(client: Client): Client {
    this.#clients.push(client);
    return client;
  }
}
