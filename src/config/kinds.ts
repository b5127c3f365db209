// Kinds of settings: what the text of an environment variable may be, and the value it stands for.
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';

/** What a setting's text may be. `is` completes the sentence "CHAT_X must be ...". */
export interface Kind<T> {
  readonly is: string;
  /** The value, or undefined where the text is not of this kind. */
  read(text: string): T | undefined;
}

export function oneOf<const W extends string>(...words: readonly W[]): Kind<W> {
  return {
    is: new Intl.ListFormat('en', { type: 'disjunction' }).format(words),
    read: (text) => words.find((word) => word === text),
  };
}

export function whole(min: number, max: number): Kind<number> {
  return {
    is: `a whole number from ${min} to ${max}`,
    read: (text) => (/^\d{1,16}$/.test(text) && inRange(Number(text), min, max) ? Number(text) : undefined),
  };
}

function inRange(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
type Unit = keyof typeof UNIT_MS;

function timeMs(text: string): number {
  const [, number, unit] = /^(\d{1,12})(ms|s|m|h|d)?$/.exec(text) ?? [];
  return Number(number) * UNIT_MS[(unit ?? 's') as Unit];
}

/** Milliseconds; a bare number is seconds. */
export function time(min: string, max: string): Kind<number> {
  return {
    is: `a time from ${min} to ${max}, such as 90s, 15m or 12h (a bare number is seconds)`,
    read: (text) => (inRange(timeMs(text), timeMs(min), timeMs(max)) ? timeMs(text) : undefined),
  };
}

export function listOf<T extends string>(item: Kind<T>): Kind<readonly T[]> {
  return {
    is: `${item.is}; several with commas between`,
    read: (text) => {
      const items = text.split(',').map((part) => item.read(part.trim()));
      return items.every((value) => value !== undefined) ? items : undefined;
    },
  };
}

export function url(...schemes: readonly string[]): Kind<string> {
  return {
    is: `a URL that begins with ${schemes.join(' or ')}`,
    read: (text) => {
      const isOurs = schemes.some((scheme) => text.startsWith(scheme));
      return isOurs && URL.canParse(text) && new URL(text).hostname !== '' ? text : undefined;
    },
  };
}

const REDIS_SERVERS = listOf(url('redis://', 'rediss://'));

/** A comma in a password is written `%2C`. */
export const REDIS: Kind<string> = {
  is: 'a URL that begins with redis:// or rediss://; several with commas between are members of one Redis Cluster',
  read: (text) => REDIS_SERVERS.read(text)?.join(','),
};

const MONGO_URL =
  /^mongodb(?:\+srv)?:\/\/(?:[^@/?#\s]*@)?(?<hosts>[^@/?#\s]+)\/(?<database>[^/\\."$*<>:|?#\s]+)(?:\?\S*)?$/;
const MONGO_HOST = /^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

/** Not a URL as browsers know it: it may name several hosts. Without a database the driver would take `test`. */
export const MONGO: Kind<string> = {
  is: 'a URL that begins with mongodb:// or mongodb+srv:// and names a database, such as mongodb://db.example/chatterbox',
  read: (text) => {
    const { hosts } = MONGO_URL.exec(text)?.groups ?? {};
    return hosts?.split(',').every((host) => MONGO_HOST.test(host)) ? text : undefined;
  },
};

export const HOST: Kind<string> = {
  is: 'an IP address or a host name',
  read: (text) => (isIP(text) > 0 || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text) ? text : undefined),
};

export const FOLDER: Kind<string> = { is: 'the path of a folder', read: (text) => resolve(text) };

export const NETWORK: Kind<string> = {
  is: 'an IP address or a network such as 10.0.0.0/8',
  read: (text) => {
    const [address = '', bits = '0', ...rest] = text.split('/');
    const maxBits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
    return rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= maxBits ? text : undefined;
  },
};

export const ORIGIN: Kind<string> = {
  is: 'an origin such as https://chat.example.org',
  read: (text) => {
    const parsed = URL.canParse(text) ? new URL(text) : null;
    const bare = parsed !== null && /^https?:\/\/[^/?#@]+$/i.test(text);
    return bare ? parsed.origin : undefined;
  },
};

/** HS256 is as strong as its key, which wants 256 bits (RFC 7518 section 3.2). */
const MIN_SECRET = 32;

export const SECRET: Kind<string> = {
  is: `at least ${MIN_SECRET} characters`,
  read: (text) => (text.length >= MIN_SECRET ? text : undefined),
};

export const SECRET_FILE: Kind<string> = {
  is: `the path of a readable file that holds at least ${MIN_SECRET} characters`,
  read: (path) => {
    try {
      return SECRET.read(readFileSync(path, 'utf8').trim());
    } catch {
      return undefined;
    }
  },
};

/** It travels in an Authorization header, so it has to be visible ASCII. */
export const TOKEN: Kind<string> = {
  is: 'at least 16 letters, digits or signs without blanks',
  read: (text) => (/^[\x21-\x7e]{16,}$/.test(text) ? text : undefined),
};

export const ANY_TEXT: Kind<string> = { is: 'a text', read: (text) => text };
