// The scene of a run under faults: people, the conversations they share, and the door through which they find the server
// as long as there is one.
import { randomUUIDv7 } from 'node:crypto';
import { type Account, call } from '../kit/client.ts';
import { Ledger } from '../kit/observer.ts';
import type { Random } from '../kit/random.ts';
import { History } from './evidence.ts';

/** Where the server is, or the servers are, while they are there. */
export class Door {
  #urls: readonly string[] = [];
  #entered = 0;
  #isLocked = false;
  #waiting: ((url: string | null) => void)[] = [];

  open(...urls: readonly string[]): void {
    this.#urls = urls;
    for (const enter of this.#waiting.splice(0)) enter(this.#next());
  }

  shut(): void {
    this.#urls = [];
  }

  /** Nobody waits any longer. */
  lock(): void {
    this.shut();
    this.#isLocked = true;
    for (const enter of this.#waiting.splice(0)) enter(null);
  }

  /** @returns where one is, of several each in turn, once it is there; null when none will come back */
  url(): Promise<string | null> {
    if (this.#isLocked || this.#urls.length > 0) return Promise.resolve(this.#next());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #next(): string | null {
    return this.#urls[this.#entered++ % this.#urls.length] ?? null;
  }
}

export interface World {
  readonly random: Random;
  readonly history: History;
  readonly ledger: Ledger;
  readonly door: Door;
  readonly writers: readonly Account[];
  /** Conversations all are in, and one they come to and leave. */
  readonly groups: readonly string[];
  readonly room: string;
  /** Nothing but messages: what needs no look into the store. */
  readonly isPlain: boolean;
  /** Texts as long as they may be, so that sockets fill. */
  readonly hasLongTexts: boolean;
  /** Requests each writer has under way at once. */
  readonly window: number;
  /** Something acknowledged will be lost: repeated with other content, it would be another change. */
  readonly isLosing: boolean;
  nextConnection(): number;
  fault(text: string): unknown;
}

/** How they write, where told. */
type Manner = Partial<Pick<World, 'isPlain' | 'hasLongTexts' | 'window' | 'isLosing'>>;

const WINDOW = 6;
const PASSWORD = 'correct horse battery';
const WRITERS = ['ann', 'bob', 'cat', 'dan'];

/** Makes the people and their conversations; what they say is recorded from here on. */
export async function makeWorld(
  url: string,
  random: Random,
  { isPlain = false, hasLongTexts = false, window = WINDOW, isLosing = false }: Manner,
  fault: (text: string) => unknown,
): Promise<World> {
  const history = new History();
  const host = { url, socketUrl: '', ledger: new Ledger(), fault: (text: string) => void fault(text) };
  const register = async (username: string): Promise<Account> => {
    const fields = { email: `${username}@example.org`, username, password: PASSWORD };
    const { status, body } = await call(host, 'POST', 'auth/register', fields);
    if (status !== 201) throw new Error(`${username}: ${status} ${JSON.stringify(body)}`);
    const { user, access, refresh } = body as unknown as Account & { user: { id: string } };
    return { id: user.id, name: username, access, refresh };
  };
  const [owner, ...writers] = await Promise.all(['eve', ...WRITERS].map(register));
  if (owner === undefined) throw new Error('nobody was registered');
  const create = async (fields: object): Promise<string> => {
    const key = randomUUIDv7();
    const { status, body } = await call(host, 'POST', 'conversations', fields, { key, token: owner.access });
    if (status !== 201) throw new Error(`no conversation: ${status} ${JSON.stringify(body)}`);
    const name = { user: owner.id, conv: body.conv, key };
    history.add({ is: 'invoke', operation: { ...name, t: 'create' }, connection: 0 });
    history.add({ is: 'ok', name, seq: 1, dup: false });
    return body.conv;
  };
  const members = writers.map(({ id }) => id);
  const groups = [await create({ kind: 'group', members }), await create({ kind: 'group', members })];
  const room = await create({ kind: 'room', public: true });
  let connections = 0;
  return {
    random,
    history,
    ledger: host.ledger,
    door: new Door(),
    writers,
    groups,
    room,
    isPlain,
    hasLongTexts,
    window,
    isLosing,
    nextConnection: () => ++connections,
    fault,
  };
}
