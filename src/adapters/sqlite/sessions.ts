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

export function sqliteSessions(call: Call): SessionStore {
  const run = call as CallOf<ReturnType<typeof sessionOperations>>;
  return {
    open: (session, refreshHash) => run('sessions.open', session, refreshHash),
    get: (id) => run('sessions.get', id),
    rotate: (refreshHash, nextHash, now, graceMs) => run('sessions.rotate', refreshHash, nextHash, now, graceMs),
    end: (id) => run('sessions.end', id),
    endedWithin: (ms) => run('sessions.endedWithin', ms),
    endOthers: (user, keep) => run('sessions.endOthers', user, keep),
  };
}
