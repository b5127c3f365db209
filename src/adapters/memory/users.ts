// Users in the process's memory, for tests and for trying things out: nothing survives it, so of law 3 only the
// second half holds.
import type { User, UserStore } from '../../ports/accounts.ts';
import type { UserId } from '../../protocol/ids.ts';

export function memoryUsers(): UserStore {
  const byId = new Map<UserId, User>();
  const idByName = new Map<string, UserId>();
  const idByEmail = new Map<string, UserId>();

  function found(id: UserId | undefined): User | null {
    return (id === undefined ? undefined : byId.get(id)) ?? null;
  }

  function put(user: User): void {
    byId.set(user.id, user);
    idByName.set(user.name, user.id);
    idByEmail.set(user.email.toLowerCase(), user.id);
  }

  return {
    async create(user) {
      if (idByName.has(user.name)) return { taken: 'username' };
      if (idByEmail.has(user.email.toLowerCase())) return { taken: 'email' };
      if (byId.has(user.id)) throw new Error('this user id exists already');
      put(user);
      return null;
    },

    async byLogin(login) {
      const key = login.toLowerCase();
      return found(idByName.get(key) ?? idByEmail.get(key));
    },

    async byIds(ids) {
      return [...new Set(ids)].map(found).filter((user) => user !== null);
    },

    async byNames(names) {
      return [...new Set(names)].map((name) => found(idByName.get(name))).filter((user) => user !== null);
    },

    async search(prefix, cursor, limit) {
      const start = prefix.toLowerCase();
      const matches = [...byId.values()]
        .filter((user) => user.name.startsWith(start) || user.displayName.toLowerCase().startsWith(start))
        .filter((user) => cursor === null || user.name > cursor)
        .sort((one, other) => (one.name < other.name ? -1 : 1));
      const items = matches.slice(0, limit);
      return { items, cursor: matches.length > limit ? (items.at(-1)?.name ?? null) : null };
    },

    async update(id, patch) {
      const before = byId.get(id);
      if (before === undefined) return null;
      const user = { ...before, ...patch };
      const holder = idByEmail.get(user.email.toLowerCase());
      if (holder !== undefined && holder !== id) return { taken: 'email' };
      idByEmail.delete(before.email.toLowerCase());
      put(user);
      return { user };
    },
  };
}
