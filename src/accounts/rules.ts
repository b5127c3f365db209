// What an account may be called and must look like, beyond what a schema says.
import { ChatError } from '../errors.ts';
import type { UserId } from '../protocol/ids.ts';
import { checkText, codePoints } from '../protocol/text.ts';

export const USERNAME_PATTERN = '^[A-Za-z0-9_.-]{2,32}$';
/** One @ with something on both sides; whether mail arrives there only mail can tell. */
export const EMAIL_PATTERN = '^[^@\\s\\p{Cc}]+@[^@\\s\\p{Cc}]+$';
export const MAX_EMAIL = 254;
export const MIN_PASSWORD = 8;
export const MAX_PASSWORD = 256;
export const MAX_DISPLAY_NAME = 80;

/** Names that mean something in a text: `@all` mentions everyone. */
const RESERVED_NAMES = new Set(['all']);

const USERNAME = new RegExp(USERNAME_PATTERN);
const EMAIL = new RegExp(EMAIL_PATTERN, 'u');

export interface Registration {
  readonly email: string;
  readonly username: string;
  readonly password: string;
  readonly displayName?: string;
}

/** What everyone may know of a user. */
export interface Profile {
  readonly id: UserId;
  readonly name: string;
  readonly displayName: string;
}

/** The name as it is kept: lower case. */
export function nameOf(username: string): string {
  if (!USERNAME.test(username)) throw new ChatError('bad_frame', { field: 'username' });
  const name = username.toLowerCase();
  if (RESERVED_NAMES.has(name)) {
    throw new ChatError('conflict', { field: 'username', message: 'This username is taken.' });
  }
  return name;
}

export function checkEmail(email: string): void {
  const fits = email.length <= MAX_EMAIL && email.isWellFormed() && EMAIL.test(email);
  if (!fits) throw new ChatError('bad_frame', { field: 'email' });
}

export function checkDisplayName(displayName: string): void {
  if (displayName === '') throw new ChatError('bad_frame', { field: 'displayName' });
  checkText(displayName, 'displayName', MAX_DISPLAY_NAME);
}

/** 8-256 code points. Lone surrogates are refused: they would all hash as the same character. */
export function checkNewPassword(password: string): void {
  checkText(password, 'password', Number.MAX_SAFE_INTEGER);
  const length = codePoints(password);
  if (length < MIN_PASSWORD || length > MAX_PASSWORD) {
    const message = `A password has ${MIN_PASSWORD} to ${MAX_PASSWORD} characters.`;
    throw new ChatError('bad_frame', { field: 'password', message });
  }
}
