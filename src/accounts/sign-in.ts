// Registering, logging in and out, renewing a login, changing the password. A failed login has one answer and one
// duration, whether the person exists or not.
import { ChatError } from '../errors.ts';
import type { Session, SessionStore, User, UserStore } from '../ports/accounts.ts';
import type { Clock } from '../ports/clock.ts';
import type { Signals } from '../ports/signals.ts';
import type { Key, Millis, SessionId, UserId } from '../protocol/ids.ts';
import { REFRESH_GRACE_MS } from '../protocol/limits.ts';
import type { Passwords } from './passwords.ts';
import { checkDisplayName, checkEmail, checkNewPassword, nameOf, type Registration } from './rules.ts';
import {
  type Caller,
  newRefreshToken,
  newSessionId,
  newUserId,
  refreshHash,
  signAccess,
  type Tokens,
} from './tokens.ts';

export interface SignInDeps {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly signals: Signals;
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly passwords: Passwords;
  readonly accessTtlMs: Millis;
  readonly registration: 'open' | 'closed';
}

export interface SignedIn {
  readonly user: User;
  readonly access: string;
  readonly refresh: string;
  readonly expiresInMs: Millis;
}

export interface SignIn {
  /** `repeated`: the same key had registered this user before. @throws ChatError `conflict` (`field`), `forbidden` */
  register(fields: Registration, key: Key | null): Promise<SignedIn & { readonly repeated: boolean }>;
  /** @throws ChatError `unauthenticated` */
  login(login: string, password: string): Promise<SignedIn>;
  /** @throws ChatError `invalid_token`; a reused token ends its session */
  refresh(token: string): Promise<SignedIn>;
  logout(session: SessionId): Promise<void>;
  /** Ends the user's other sessions. With a key, a repeat is known by the new password being set already. */
  changePassword(caller: Caller, current: string, next: string, key: Key | null): Promise<void>;
  /** @throws ChatError `invalid_token` when the session has ended */
  requireLive(session: SessionId, user: UserId): Promise<void>;
  /** The user of a session that lives. @throws ChatError `invalid_token` */
  signedIn(session: SessionId, user: UserId): Promise<User>;
}

export function createSignIn(deps: SignInDeps): SignIn {
  const { users, sessions, signals, clock, tokens, passwords, accessTtlMs } = deps;

  function answer(user: User, session: SessionId, refresh: string): SignedIn {
    const access = signAccess(tokens, user.id, session, clock.now() + accessTtlMs);
    return { user, access, refresh, expiresInMs: accessTtlMs };
  }

  /** Opens a session for whoever proved `user.password`. */
  async function openSession(user: User): Promise<SignedIn> {
    const refresh = newRefreshToken();
    const session: Session = { id: newSessionId(), user: user.id, createdAt: clock.now() };
    await sessions.open(session, refreshHash(refresh));
    await endIfPasswordMoved(user, session.id);
    return answer(user, session.id, refresh);
  }

  /**
   * A password change writes the password, then ends the sessions there are. A login that proved the old password may
   * open its session after that: so the password is read once more after opening.
   */
  async function endIfPasswordMoved(proved: User, session: SessionId): Promise<void> {
    const [now] = await users.byIds([proved.id]);
    if (now?.password === proved.password) return;
    await sessions.end(session);
    throw new ChatError('unauthenticated', { message: LOGIN_FAILED });
  }

  async function newUser(fields: Registration, key: Key | null): Promise<User> {
    const name = nameOf(fields.username);
    const displayName = fields.displayName ?? fields.username;
    checkDisplayName(displayName);
    checkEmail(fields.email);
    checkNewPassword(fields.password);
    const password = await passwords.hash(fields.password);
    return { id: newUserId(name, key), name, displayName, email: fields.email, password, createdAt: clock.now() };
  }

  async function registeredBefore(id: UserId, password: string): Promise<User | null> {
    const [user] = await users.byIds([id]);
    return user !== undefined && (await passwords.verify(password, user.password)) ? user : null;
  }

  function tellEnded(ended: readonly SessionId[]): void {
    if (ended.length > 0) signals.publish({ is: 'ended', sessions: ended });
  }

  async function requireLive(session: SessionId, user: UserId): Promise<void> {
    const live = await sessions.get(session);
    if (live?.user !== user) throw new ChatError('invalid_token');
  }

  async function userOf(id: UserId): Promise<User> {
    const [user] = await users.byIds([id]);
    if (user === undefined) throw new ChatError('invalid_token');
    return user;
  }

  return {
    async register(fields, key) {
      if (deps.registration === 'closed') throw new ChatError('forbidden', { message: 'Registration is closed.' });
      const user = await newUser(fields, key);
      const refused = await users.create(user);
      if (refused === null) return { ...(await openSession(user)), repeated: false };
      const before = key === null ? null : await registeredBefore(user.id, fields.password);
      if (before !== null) return { ...(await openSession(before)), repeated: true };
      throw new ChatError('conflict', { field: refused.taken, message: `This ${refused.taken} is taken.` });
    },

    async login(login, password) {
      const user = await users.byLogin(login);
      const proved = await passwords.verify(password, user?.password ?? null);
      if (user === null || !proved) throw new ChatError('unauthenticated', { message: LOGIN_FAILED });
      return openSession(user);
    },

    async refresh(token) {
      const next = newRefreshToken();
      const rotation = await sessions.rotate(refreshHash(token), refreshHash(next), clock.now(), REFRESH_GRACE_MS);
      if (rotation.is === 'reused') tellEnded([rotation.session.id]);
      if (rotation.is !== 'rotated') throw new ChatError('invalid_token');
      return answer(await userOf(rotation.session.user), rotation.session.id, next);
    },

    async logout(session) {
      await sessions.end(session);
      tellEnded([session]);
    },

    async changePassword(caller, current, next, key) {
      checkNewPassword(next);
      const user = await userOf(caller.user);
      if (await passwords.verify(current, user.password)) {
        await users.update(user.id, { password: await passwords.hash(next) });
      } else if (key === null || !(await passwords.verify(next, user.password))) {
        throw new ChatError('forbidden', { field: 'current', message: 'The current password is another.' });
      }
      tellEnded(await sessions.endOthers(user.id, caller.session));
    },

    requireLive,

    async signedIn(session, user) {
      await requireLive(session, user);
      return userOf(user);
    },
  };
}

/** One text for a wrong password and for nobody's name. */
const LOGIN_FAILED = 'This login and password do not go together.';
