// Users and sessions. Not part of the log: an account is a record, changed in place.
//
// Laws of users
//  1. Names are unique without case, and so are addresses; of two `create` at once one wins, the other gets the field that is taken.
//  2. `update` changes the given fields only, and answers the whole user or null.
//  3. A resolved write survives kill -9 and power loss, and is seen by every later read.
//
// Laws of sessions
//  4. `rotate` decides in one atomic step, so that of any number of callers with the same refresh token all get an answer from
//     one order of events: the current token → rotated; the one before it, within its grace and its successor unused → rotated
//     again (two tabs); anything else that was ever issued → `reused`, and the session has ended.
//  5. A session that ended stays ended; `get` answers null for it.
//  6. Refresh tokens are known only by their SHA-256.
//  7. `endedWithin` gives every session that ended in the last so many ms, by the store's own clock, wherever it was ended.
import type { Millis, SessionId, UserId } from '../protocol/ids.ts';

export interface User {
  readonly id: UserId;
  /** Lower case, 2-32 of `a-z 0-9 _ . -`. */
  readonly name: string;
  readonly displayName: string;
  readonly email: string;
  /** PHC string, argon2id. */
  readonly password: string;
  readonly createdAt: Millis;
}

export type UserPatch = Partial<Pick<User, 'displayName' | 'email' | 'password'>>;

export interface UserStore {
  create(user: User): Promise<{ readonly taken: 'username' | 'email' } | null>;
  /** By name or address, without case. */
  byLogin(login: string): Promise<User | null>;
  /** Unknown ids are left out; in no order. */
  byIds(ids: readonly UserId[]): Promise<readonly User[]>;
  /** By exact names, lower case; unknown ones are left out. */
  byNames(names: readonly string[]): Promise<readonly User[]>;
  /** Users whose name or display name starts with `prefix` (without case), by name, after the name `cursor`. */
  search(
    prefix: string,
    cursor: string | null,
    limit: number,
  ): Promise<{ readonly items: readonly User[]; readonly cursor: string | null }>;
  update(id: UserId, patch: UserPatch): Promise<{ readonly user: User } | { readonly taken: 'email' } | null>;
}

export interface Session {
  readonly id: SessionId;
  readonly user: UserId;
  readonly createdAt: Millis;
}

export type Rotation =
  | { readonly is: 'rotated'; readonly session: Session }
  | { readonly is: 'reused'; readonly session: Session }
  | { readonly is: 'unknown' };

export interface SessionStore {
  open(session: Session, refreshHash: string): Promise<void>;
  get(id: SessionId): Promise<Session | null>;
  /** Law 4. `graceMs` is how long the token before the current one still works. */
  rotate(refreshHash: string, nextHash: string, now: Millis, graceMs: Millis): Promise<Rotation>;
  /** Ends one session; ending an ended one changes nothing. */
  end(id: SessionId): Promise<void>;
  /** Law 7; for those who may have missed that they were told. */
  endedWithin(ms: Millis): Promise<readonly SessionId[]>;
  /** Ends all of a user's sessions but one. @returns those that ended */
  endOthers(user: UserId, keep: SessionId | null): Promise<readonly SessionId[]>;
}
