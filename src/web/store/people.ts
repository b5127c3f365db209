// What people are called. Asked for by many views at once, answered by few requests; kept until one signs out.
import type { Api, Profile } from '../../client/http.ts';
import { Cell } from './cell.ts';

/** Names that are wanted in one moment are asked together. */
const GATHER_MS = 15;
const AGAIN_MS = 5_000;
const MAX_ASKED = 100;

export class People {
  readonly #api: Api;
  readonly #known = new Map<string, Cell<Profile | null>>();
  readonly #wanted = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api, me: Profile) {
    this.#api = api;
    this.learn([me]);
  }

  /** Null while it is not known. */
  of(user: string): Cell<Profile | null> {
    const known = this.#known.get(user);
    if (known !== undefined) return known;
    const cell = new Cell<Profile | null>(null);
    this.#known.set(user, cell);
    this.#want(user, GATHER_MS);
    return cell;
  }

  /** Where it is known. */
  nameOf(user: string): string {
    return this.of(user).value?.displayName ?? '…';
  }

  learn(profiles: readonly Profile[]): void {
    for (const profile of profiles) {
      const cell = this.#known.get(profile.id);
      if (cell === undefined) this.#known.set(profile.id, new Cell<Profile | null>(profile));
      else cell.value = profile;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #want(user: string, delayMs: number): void {
    this.#wanted.add(user);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#ask();
    }, delayMs);
  }

  async #ask(): Promise<void> {
    const ids = [...this.#wanted].slice(0, MAX_ASKED);
    for (const id of ids) this.#wanted.delete(id);
    try {
      this.learn(await this.#api.profiles(ids));
    } catch {
      for (const id of ids) this.#want(id, AGAIN_MS);
    }
    const next = this.#wanted.values().next().value;
    if (next !== undefined) this.#want(next, GATHER_MS);
  }
}
