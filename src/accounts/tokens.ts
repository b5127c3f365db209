// What a login hands out: a signed access token, checked without asking anyone, and a random refresh token, known to
// the store by its SHA-256 only. Signing itself is given from outside.
import { createHash, randomBytes } from 'node:crypto';
import { ChatError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Key, Millis, SessionId, UserId } from '../protocol/ids.ts';

export interface Claims {
  readonly sub: UserId;
  readonly sid: SessionId;
  /** Seconds since 1970 (RFC 7519 section 4.1.4). */
  readonly exp: number;
}

export interface Tokens {
  sign(claims: Claims): string;
  /** The claims of a token of this server's making and of this kind; expired ones too: the caller judges by its clock. */
  verify(token: string): Claims | null;
}

/** Who an access token speaks for. */
export interface Caller {
  readonly user: UserId;
  readonly session: SessionId;
  readonly expiresAt: Millis;
}

export function signAccess(tokens: Tokens, sub: UserId, sid: SessionId, expiresAt: Millis): string {
  return tokens.sign({ sub, sid, exp: Math.ceil(expiresAt / 1_000) });
}

/** @throws ChatError `invalid_token`, one for all causes */
export function readAccess(tokens: Tokens, token: string, clock: Clock): Caller {
  const claims = tokens.verify(token);
  if (claims === null || claims.exp * 1_000 <= clock.now()) throw new ChatError('invalid_token');
  return { user: claims.sub, session: claims.sid, expiresAt: claims.exp * 1_000 };
}

export function newRefreshToken(): string {
  return randomBytes(32).toString('base64url');
}

/** A plain hash will do: the token is 256 random bits, which nobody guesses. */
export function refreshHash(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

export function newSessionId(): SessionId {
  return randomBytes(12).toString('base64url') as SessionId;
}

/** With an idempotency key a registration always makes the same id, by which its repeat is known. */
export function newUserId(name: string, key: Key | null): UserId {
  const bytes = key === null ? randomBytes(12) : createHash('sha256').update(`user\0${key}\0${name}`).digest();
  return bytes.subarray(0, 12).toString('base64url') as UserId;
}
