// A login: registering, signing in and out, and an access token that is always good. Owns the refresh token, which works
// once: tabs that share it take turns by Web Locks where there are any, else the server's ten seconds of grace help.
import { uuidv7 } from './ids.ts';
import { type Failure, Refusal } from './refusal.ts';
import type { AccessToken } from './types.ts';

export interface Profile {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
}

/** Where a login is kept. Absent: in memory. For a browser: `localKeep('chatterbox')`. */
export interface Keep {
  read(): string | null;
  write(login: string | null): void;
}

export interface SessionOptions {
  /** `https://host`, without a path. */
  readonly url: string;
  readonly keep?: Keep;
  readonly fetch?: typeof fetch;
}

export interface RequestOptions {
  /** The Idempotency-Key; a fresh one without it. A write repeated with its key is done once. */
  readonly key?: string;
  /** Null: without one. That of the login by default. */
  readonly token?: string | null;
}

interface Login {
  readonly user: Profile;
  readonly refresh: string;
}

interface Answer extends Login {
  readonly access: string;
  readonly expiresIn: number;
}

interface Access {
  readonly token: string;
  /** By this machine's clock. */
  readonly endsAt: number;
}

/** An access token that works shorter than this is as good as none. */
const LEFT_MS = 30_000;
const TRIES = 3;

export class Session {
  readonly url: string;
  readonly #keep: Keep;
  readonly #fetch: typeof fetch;
  #access: Access | null = null;
  #refreshing: Promise<void> | null = null;

  constructor({ url, keep = memoryKeep(), fetch: fetchOption = fetch }: SessionOptions) {
    this.url = url.replace(/\/+$/, '');
    this.#keep = keep;
    this.#fetch = (...call) => fetchOption(...call);
  }

  /** Who is signed in, by this or an earlier run. */
  get user(): Profile | null {
    return this.#login?.user ?? null;
  }

  /** The WebSocket's address, for `connect`. */
  get socketUrl(): string {
    return `${this.url.replace(/^http/, 'ws')}/ws`;
  }

  /** @throws Refusal `conflict` (`field`: what is taken), `bad_frame` (`field`), `forbidden` (registration is closed), `rate_limited` */
  async register(fields: {
    readonly email: string;
    readonly username: string;
    readonly password: string;
    readonly displayName?: string;
  }): Promise<Profile> {
    return this.#take(await this.request<Answer>('POST', 'auth/register', fields, { token: null }));
  }

  /** @param login email or username @throws Refusal `unauthenticated`, whichever of the two is wrong; `rate_limited` */
  async signIn(login: string, password: string): Promise<Profile> {
    return this.#take(await this.request<Answer>('POST', 'auth/login', { login, password }, { token: null }));
  }

  /** Ends the login here at once, then on the server where that can be reached. Never rejects. */
  async signOut(): Promise<void> {
    const [login, access] = [this.#login, this.#access];
    this.forget();
    if (login === null) return;
    try {
      const { refresh } = login;
      const token = isGood(access)
        ? access.token
        : (await this.request<Answer>('POST', 'auth/refresh', { refresh }, { token: null })).access;
      await this.request('POST', 'auth/logout', undefined, { token });
    } catch {}
  }

  /** Ends the login here only. */
  forget(): void {
    this.#access = null;
    this.#keep.write(null);
  }

  /** For `connect({ token: session.token })`. @throws Refusal `invalid_token` when there is no login any more */
  readonly token = async (isRefused = false): Promise<AccessToken> => {
    if (isRefused) this.#access = null;
    if (!isGood(this.#access)) {
      this.#refreshing ??= this.#refresh().finally(() => {
        this.#refreshing = null;
      });
      await this.#refreshing;
    }
    if (this.#access === null) throw signedOut();
    const { token, endsAt } = this.#access;
    return { access: token, expiresIn: Math.floor((endsAt - Date.now()) / 1_000) };
  };

  /**
   * Asks a route under /api/v1. What is worth repeating (no network, 429, 503) is repeated twice, with the same key.
   * @throws Refusal; `unavailable` where the server cannot be reached
   */
  async request<Body = unknown>(
    method: string,
    path: string,
    body?: object,
    { key = uuidv7(Date.now(), Math.random), token: given }: RequestOptions = {},
  ): Promise<Body> {
    for (let tries = 1; ; tries++) {
      try {
        const token = given === undefined ? (await this.token()).access : given;
        return (await this.#ask(method, path, body, key, token)) as Body;
      } catch (error) {
        const refusal = error instanceof Refusal ? error : unreachable(error);
        const isStale = given === undefined && refusal.code === 'invalid_token' && this.#access !== null;
        if (isStale) this.#access = null;
        if (tries === TRIES || !(isStale || refusal.retry)) throw refusal;
        if (!isStale) await wait(Math.min(refusal.after ?? 300 * tries, 5_000));
      }
    }
  }

  get #login(): Login | null {
    const kept = this.#keep.read();
    return kept === null ? null : (JSON.parse(kept) as Login);
  }

  #take({ user, access, refresh, expiresIn }: Answer): Profile {
    this.#access = { token: access, endsAt: Date.now() + expiresIn * 1_000 };
    this.#keep.write(JSON.stringify({ user, refresh } satisfies Login));
    return user;
  }

  #refresh(): Promise<void> {
    const locks = globalThis.navigator?.locks;
    if (locks === undefined) return this.#refreshNow();
    // The name tells servers apart, not users: one login is kept in one place.
    return locks.request(`chatterbox refresh ${this.url}`, () => this.#refreshNow()) as Promise<void>;
  }

  /** Another tab may have used the refresh token while this one asked: then there is another one to use. */
  async #refreshNow(): Promise<void> {
    for (;;) {
      const refresh = this.#login?.refresh;
      if (refresh === undefined) throw signedOut();
      try {
        const answer = await this.request<Answer>('POST', 'auth/refresh', { refresh }, { token: null });
        // Who has signed out meanwhile stays so.
        if (this.#login !== null) this.#take(answer);
        return;
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== 'invalid_token') throw error;
        if (this.#login?.refresh !== refresh) continue;
        this.forget();
        throw error;
      }
    }
  }

  async #ask(method: string, path: string, body: object | undefined, key: string, token: string | null) {
    const response = await this.#fetch(`${this.url}/api/v1/${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(method === 'GET' ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.status === 204) return undefined;
    const answer = (await response.json()) as Failure;
    if (response.ok) return answer;
    throw refusalOf(response, answer);
  }
}

/** Kept in `localStorage`, so that all tabs of a page share the login. */
export function localKeep(name: string): Keep {
  return {
    read: () => localStorage.getItem(name),
    write: (login) => (login === null ? localStorage.removeItem(name) : localStorage.setItem(name, login)),
  };
}

function memoryKeep(): Keep {
  let kept: string | null = null;
  return {
    read: () => kept,
    write: (login) => {
      kept = login;
    },
  };
}

/** RFC 9457 problem details, as docs/protocol.md has them. */
function refusalOf({ status, headers }: Response, problem: Failure & { readonly detail?: string }): Refusal {
  const { code = 'internal', detail, field } = problem;
  const afterSeconds = Number(headers.get('retry-after') ?? Number.NaN);
  return new Refusal({
    code,
    message: detail ?? `The server answered ${status}.`,
    retry: status === 429 || status === 503,
    ...(field === undefined ? {} : { field }),
    ...(Number.isNaN(afterSeconds) ? {} : { after: afterSeconds * 1_000 }),
  });
}

function isGood(access: Access | null): access is Access {
  return access !== null && access.endsAt - Date.now() >= LEFT_MS;
}

function signedOut(): Refusal {
  return new Refusal({ code: 'invalid_token', message: 'Nobody is signed in.' });
}

function unreachable(cause: unknown): Refusal {
  const refusal = new Refusal({ code: 'unavailable', message: 'The server cannot be reached.', retry: true });
  refusal.cause = cause;
  return refusal;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
