// Accounts and conversations on the deployment under attack, by its public HTTP interface alone: registers people (or signs
// in those of an earlier run), and puts them into groups. Waits where the server says so.
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

interface Account {
  readonly email: string;
  readonly username: string;
  readonly password: string;
}

export interface Person {
  readonly user: string;
  readonly token: string;
}

export interface Group {
  readonly conv: string;
  /** Indices of people; the first made it. */
  readonly members: readonly number[];
}

const AT_ONCE = 4;

export class Deployment {
  readonly #origin: string;
  readonly #say: (text: string) => void;

  constructor(origin: string, say: (text: string) => void) {
    this.#origin = origin;
    this.#say = say;
  }

  /** @param file keeps the accounts for the next run; null: they are new each time */
  async people(count: number, file: string | null): Promise<Person[]> {
    const known = file !== null && existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Account[]) : [];
    const accounts = known.slice(0, count);
    const people = await inTurns(accounts, (account) => this.#login(account));
    while (accounts.length < count) accounts.push(newAccount());
    people.push(...(await inTurns(accounts.slice(people.length), (account) => this.#register(account))));
    if (file !== null)
      writeFileSync(file, JSON.stringify(accounts.length > known.length ? accounts : known), { mode: 0o600 });
    return people;
  }

  async #register(account: Account): Promise<Person> {
    return personOf(await this.#post('/auth/register', account, null));
  }

  async #login({ username, password }: Account): Promise<Person> {
    return personOf(await this.#post('/auth/login', { login: username, password }, null));
  }

  /** Cuts people into groups of equal size, everyone in one. */
  async groups(people: readonly Person[], size: number): Promise<Group[]> {
    const cuts = Array.from({ length: Math.floor(people.length / size) }, (_, group) =>
      Array.from({ length: size }, (_, member) => group * size + member),
    );
    return inTurns(cuts, async (members) => {
      const [owner, ...others] = members.map((index) => people[index] as Person) as [Person, ...Person[]];
      const body = { kind: 'group', title: 'Load test', members: others.map(({ user }) => user) };
      const { conv } = (await this.#post('/conversations', body, owner.token)) as { conv: string };
      return { conv, members };
    });
  }

  async #post(path: string, body: object, token: string | null): Promise<unknown> {
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
    const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID(), ...authorization };
    for (;;) {
      const answer = await fetch(`${this.#origin}/api/v1${path}`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      if (answer.ok) return answer.json();
      if (answer.status !== 429) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      const seconds = Number(answer.headers.get('retry-after') ?? 1);
      this.#say(`${path}: the server wants ${seconds} s of patience (CHAT_AUTH_RATE, CHAT_HTTP_RATE)`);
      await delay(seconds * 1_000);
    }
  }
}

function newAccount(): Account {
  const username = `load-${randomBytes(6).toString('hex')}`;
  return { username, email: `${username}@load.invalid`, password: randomBytes(12).toString('base64url') };
}

function personOf(answer: unknown): Person {
  const { user, access } = answer as { readonly user: { readonly id: string }; readonly access: string };
  return { user: user.id, token: access };
}

/** A few at a time, answers in order. */
async function inTurns<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = new Array(items.length);
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index] as Item);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, lane));
  return results;
}
