// Sessions in the process's memory, for tests and for trying things out. A refresh token is known by its hash and
// the generation it belongs to; tokens handed out for the same predecessor share one generation.
import type { Session, SessionStore } from '../../ports/accounts.ts';
import type { Millis, SessionId } from '../../protocol/ids.ts';

interface Entry {
  readonly session: Session;
  generation: number;
  /** When the current generation began. */
  rotatedAt: Millis;
  /** 0: it has not. */
  endedAt: Millis;
}

export function memorySessions(): SessionStore {
  const entries = new Map<SessionId, Entry>();
  const tokens = new Map<string, { readonly entry: Entry; readonly generation: number }>();

  function endEntry(entry: Entry): SessionId {
    if (entry.endedAt === 0) entry.endedAt = Date.now();
    return entry.session.id;
  }

  return {
    async open(session, refreshHash) {
      const entry = { session, generation: 1, rotatedAt: session.createdAt, endedAt: 0 };
      entries.set(session.id, entry);
      tokens.set(refreshHash, { entry, generation: 1 });
    },

    async get(id) {
      const entry = entries.get(id);
      return entry === undefined || entry.endedAt > 0 ? null : entry.session;
    },

    async rotate(refreshHash, nextHash, now, graceMs) {
      const token = tokens.get(refreshHash);
      if (token === undefined) return { is: 'unknown' };
      const { entry, generation } = token;
      const { session } = entry;
      const isCurrent = generation === entry.generation;
      const isRepeat = generation === entry.generation - 1 && now - entry.rotatedAt <= graceMs;
      if (entry.endedAt > 0 || !(isCurrent || isRepeat)) {
        endEntry(entry);
        return { is: 'reused', session };
      }
      if (isCurrent) {
        entry.generation++;
        entry.rotatedAt = now;
      }
      tokens.set(nextHash, { entry, generation: entry.generation });
      return { is: 'rotated', session };
    },

    async end(id) {
      const entry = entries.get(id);
      if (entry !== undefined) endEntry(entry);
    },

    async endedWithin(ms) {
      const since = Date.now() - ms;
      return [...entries.values()].filter(({ endedAt }) => endedAt > since).map(({ session }) => session.id);
    },

    async endOthers(user, keep) {
      const others = [...entries.values()].filter(
        ({ session, endedAt }) => session.user === user && session.id !== keep && endedAt === 0,
      );
      return others.map(endEntry);
    },
  };
}
