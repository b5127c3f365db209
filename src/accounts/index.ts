// Accounts: who people are and how they prove it. The gateway and the HTTP routes come in here.
import type { SessionStore, UserStore } from '../ports/accounts.ts';
import type { Clock } from '../ports/clock.ts';
import type { Signals } from '../ports/signals.ts';
import type { Millis } from '../protocol/ids.ts';
import { createNames, type Names } from './names.ts';
import { createPasswords, type Passwords } from './passwords.ts';
import { createPeople, type People } from './people.ts';
import { createSignIn, type SignIn } from './sign-in.ts';
import { type Caller, readAccess, type Tokens } from './tokens.ts';

export { watchEnded } from './ended.ts';
export type { Names } from './names.ts';
export { createPasswords, type Passwords } from './passwords.ts';
export { type Me, type People, profileOf } from './people.ts';
export * from './rules.ts';
export type { SignedIn, SignIn } from './sign-in.ts';
export type { Caller, Claims, Tokens } from './tokens.ts';

export interface AccountsDeps {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly signals: Signals;
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly accessTtlMs: Millis;
  readonly registration: 'open' | 'closed';
  readonly passwords?: Passwords;
}

export interface Accounts extends SignIn, People {
  readonly names: Names;
  /** Who a token speaks for; whether its session still lives, `requireLive` and `signedIn` tell. @throws ChatError `invalid_token` */
  verifyAccess(token: string): Caller;
}

export function createAccounts(deps: AccountsDeps): Accounts {
  const { users, tokens, clock, passwords = createPasswords() } = deps;
  return {
    ...createSignIn({ ...deps, passwords }),
    ...createPeople(users),
    names: createNames(users),
    verifyAccess: (token) => readAccess(tokens, token, clock),
  };
}
