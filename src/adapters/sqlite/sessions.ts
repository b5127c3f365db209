// Sessions in SQLite: the operations of the worker thread that owns the file, and the port on the main thread.
// A refresh token is known by its hash and the generation it belongs to; tokens handed out for the same
// predecessor share one generation. Every token ever issued is remembered, so that its reuse is noticed (law 4).
import type { DatabaseSync } from 'node:sqlite';
import type { Rotation, Session, SessionStore } from '../../ports/accounts.ts';
import type { Millis, SessionId, UserId } from '../../protocol/ids.ts';
import type { Call, CallOf } from './thread.ts';

export const SESSIONS_SCHEMA = `
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  rotated_at INTEGER NOT NULL,
  -- When it ended, ms; 0: it has not.
  ended INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_live ON sessions (user) WHERE ended = 0;
CREATE INDEX IF NOT EXISTS sessions_ended ON sessions (ended) WHERE ended > 0;
CREATE TABLE IF NOT EXISTS refresh_tokens (
  hash TEXT PRIMARY KEY,
  session TEXT NOT NULL,
  generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;

interface SessionRow {
  readonly id: SessionId;
  readonly user: UserId;
  readonly created_at: Millis;
  readonly generation: number;
  readonly rotated_at: Millis;
  readonly ended: Millis;
}

function sessionOf({ id, user, created_at: createdAt }: SessionRow): Session {
  return { id, user, createdAt };
}

/** Operations `sessions.*`; each runs alone, in its own savepoint. */
export function sessionOperations(db: DatabaseSync) {
  const insertSession = db.prepare('INSERT INTO sessions VALUES (?, ?, ?, 1, ?, 0)');
  const insertToken = db.prepare('INSERT INTO refresh_tokens VALUES (?, ?, ?)');
  const selectLive = db.prepare('SELECT * FROM sessions WHERE id = ? AND ended = 0');
  const selectByToken = db.prepare(`
    SELECT sessions.*, refresh_tokens.generation AS token_generation
    FROM refresh_tokens JOIN sessions ON sessions.id = refresh_tokens.session WHERE hash = ?`);
  const begin = db.prepare('UPDATE sessions SET generation = ?, rotated_at = ? WHERE id = ?');
  const end = db.prepare('UPDATE sessions SET ended = ? WHERE id = ? AND ended = 0');
  const endedAfter = db.prepare('SELECT id FROM sessions WHERE ended > max(0, ?)');
  const endOthers = db.prepare(
    'UPDATE sessions SET ended = ? WHERE user = ? AND ended = 0 AND id IS NOT ? RETURNING id',
  );

  function open({ id, user, createdAt }: Session, refreshHash: string): void {
    insertSession.run(id, user, createdAt, createdAt);
    insertToken.run(refreshHash, id, 1);
  }

  function get(id: SessionId): Session | null {
    const row = selectLive.get(id);
    return row === undefined ? null : sessionOf(row as unknown as SessionRow);
  }

  function rotate(refreshHash: string, nextHash: string, now: Millis, graceMs: Millis): Rotation {
    const found = selectByToken.get(refreshHash);
    if (found === undefined) return { is: 'unknown' };
    const row = found as unknown as SessionRow & { readonly token_generation: number };
    const session = sessionOf(row);
    const isCurrent = row.token_generation === row.generation;
    const isRepeat = row.token_generation === row.generation - 1 && now - row.rotated_at <= graceMs;
    if (row.ended > 0 || !(isCurrent || isRepeat)) {
      end.run(Date.now(), session.id);
      return { is: 'reused', session };
    }
    const generation = isCurrent ? row.generation + 1 : row.generation;
    if (isCurrent) begin.run(generation, now, session.id);
    insertToken.run(nextHash, session.id, generation);
    return { is: 'rotated', session };
  }

  return {
    'sessions.open': open,
    'sessions.get': get,
    'sessions.rotate': rotate,
    'sessions.end': (id: SessionId) => void end.run(Date.now(), id),
    'sessions.endedWithin': (ms: Millis) => endedAfter.all(Date.now() - ms).map((row) => row.id as SessionId),
    'sessions.endOthers': (user: UserId, keep: SessionId | null) =>
      endOthers.all(Date.now(), user, keep).map((row) => row.id as SessionId),
  };
}

/** Sessions known to be live: asked for with each connection and each request over HTTP. */
const KEEP_LIVE = 50_000;

/** This process alone ends sessions here, so one that it has found live is so until it ends it. */
class LiveSessions {
  readonly #known = new Map<SessionId, Session>();
  /** What was asked before an end and is answered after it tells nothing. */
  #ends = 0;

  async get(id: SessionId, ask: (id: SessionId) => Promise<Session | null>): Promise<Session | null> {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const ends = this.#ends;
    const session = await ask(id);
    if (session !== null && ends === this.#ends) this.#remember(session);
    return session;
  }

  /** From before it is ended until it has: in between it may be either. */
  async ending<Result>(end: () => Promise<Result>): Promise<Result> {
    this.#forget();
    try {
      return await end();
    } finally {
      this.#forget();
    }
  }

  #remember(session: Session): void {
    this.#known.set(session.id, session);
    if (this.#known.size > KEEP_LIVE) this.#known.delete(this.#known.keys().next().value as SessionId);
  }

  /** All of them: which ones end is known afterwards only, and ends are rare. */
  #forget(): void {
    this.#ends++;
    this.#known.clear();
  }
}

export function sqliteSessions(call: Call): SessionStore {
  const run = call as CallOf<ReturnType<typeof sessionOperations>>;
  const live = new LiveSessions();
  return {
    open: (session, refreshHash) => run('sessions.open', session, refreshHash),
    get: (id) => live.get(id, (id) => run('sessions.get', id)),
    async rotate(refreshHash, nextHash, now, graceMs) {
      const rotation = await run('sessions.rotate', refreshHash, nextHash, now, graceMs);
      return rotation.is === 'reused' ? live.ending(async () => rotation) : rotation;
    },
    end: (id) => live.ending(() => run('sessions.end', id)),
    endedWithin: (ms) => run('sessions.endedWithin', ms),
    endOthers: (user, keep) => live.ending(() => run('sessions.endOthers', user, keep)),
  };
}
