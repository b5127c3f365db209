// User names to ids, for mentions. Names never change hands, so a known one is kept; an unknown one is asked again
// each time, since it may be registered at any moment.
import type { UserStore } from '../ports/accounts.ts';
import type { UserId } from '../protocol/ids.ts';

const MAX_CACHED = 20_000;

export interface Names {
  /** Ids by name, lower case; unknown names are left out. Answers at once when all are known. */
  idsOf(names: readonly string[]): ReadonlyMap<string, UserId> | Promise<ReadonlyMap<string, UserId>>;
}

export function createNames(users: UserStore, maxCached = MAX_CACHED): Names {
  /** Least recently used first. */
  const cache = new Map<string, UserId>();

  function remember(name: string, id: UserId): void {
    cache.delete(name);
    cache.set(name, id);
    if (cache.size <= maxCached) return;
    const [oldest] = cache.keys();
    if (oldest !== undefined) cache.delete(oldest);
  }

  async function ask(found: Map<string, UserId>, missing: readonly string[]): Promise<ReadonlyMap<string, UserId>> {
    for (const { name, id } of await users.byNames(missing)) {
      remember(name, id);
      found.set(name, id);
    }
    return found;
  }

  return {
    idsOf(names) {
      const found = new Map<string, UserId>();
      const missing: string[] = [];
      for (const name of new Set(names.map((given) => given.toLowerCase()))) {
        const id = cache.get(name);
        if (id === undefined) {
          missing.push(name);
          continue;
        }
        remember(name, id);
        found.set(name, id);
      }
      return missing.length === 0 ? found : ask(found, missing);
    },
  };
}
