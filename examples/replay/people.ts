// The people of a file as users of the server: registered once, signed in by later runs, connected while they speak. All
// have the password of the replay.
import { createHash } from 'node:crypto';
import { Api, Session } from '../../src/client/http.ts';
import { type Chat, connect, Refusal } from '../../src/client/index.ts';

/** Connections open at once: one a person, those who spoke last. */
const MOST_CONNECTED = 100;

export interface Person {
  readonly chat: Chat;
  readonly api: Api;
  /** Rooms entered in this run. */
  readonly rooms: Set<string>;
}

export class People {
  readonly #url: string;
  readonly #password: string;
  readonly #sessions = new Map<string, Session>();
  /** The one who spoke last is last. */
  readonly #connected = new Map<string, Person>();
  /** How often somebody was told to wait before signing in. */
  onLimit: (afterMs: number) => void = () => {};

  constructor(url: string, password: string) {
    this.#url = url;
    this.#password = password;
  }

  get known(): number {
    return this.#sessions.size;
  }

  /** @param from a name as the file has it */
  async get(from: string): Promise<Person> {
    const known = this.#connected.get(from);
    const person = known ?? (await this.#connect(from));
    this.#connected.delete(from);
    this.#connected.set(from, person);
    if (this.#connected.size > MOST_CONNECTED) this.#letGo();
    return person;
  }

  close(): void {
    for (const { chat } of this.#connected.values()) chat.close();
    this.#connected.clear();
  }

  async #connect(from: string): Promise<Person> {
    const session = this.#sessions.get(from) ?? (await this.#enter(from));
    this.#sessions.set(from, session);
    const chat = connect({ url: session.socketUrl, token: session.token, device: 'replay', want: [] });
    return { chat, api: new Api(session), rooms: new Set() };
  }

  async #enter(from: string): Promise<Session> {
    for (;;) {
      const session = new Session({ url: this.#url });
      try {
        await this.#register(session, from);
        return session;
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== 'rate_limited') throw error;
        const afterMs = error.after ?? 1_000;
        this.onLimit(afterMs);
        await new Promise((resolve) => setTimeout(resolve, afterMs));
      }
    }
  }

  async #register(session: Session, from: string): Promise<void> {
    const username = usernameOf(from);
    const displayName = [...from].slice(0, 60).join('').trim() || username;
    const email = `${username}@replay.invalid`;
    try {
      await session.register({ email, username, password: this.#password, displayName });
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'conflict') throw error;
      await session.signIn(username, this.#password);
    }
  }

  /** Who has nothing under way and has been silent longest. */
  #letGo(): void {
    for (const [from, { chat }] of this.#connected) {
      if (chat.sendings.length > 0) continue;
      chat.close();
      this.#connected.delete(from);
      return;
    }
  }
}

/** Letters, digits and `_ . -`; where something else had to go, a few characters of a hash keep two names apart. */
export function usernameOf(from: string): string {
  const plain = from
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9_.-]+/g, '-')
    .replace(/^-+|-+$/g, '');
  if (plain === from && plain.length >= 2 && plain.length <= 32) return plain;
  const hash = createHash('sha256').update(from).digest('hex').slice(0, 6);
  return plain === '' ? `someone-${hash}` : `${plain.slice(0, 25)}-${hash}`;
}
