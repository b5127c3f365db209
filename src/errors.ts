// The one table of failures. A code has exactly one fate: the request is answered (reply), the
// connection ends (close), or the process does (crash). Domain code throws ChatError; only the
// gateway's dispatch and the one HTTP error handler translate it.

type Fate = 'reply' | 'close' | 'crash';

interface Entry {
  readonly fate: Fate;
  /** HTTP status (RFC 9110); none where the code cannot occur over HTTP. */
  readonly http?: number;
  /** Worth repeating with the same id. */
  readonly retry?: true;
  /** When, in ms, where nothing better is known. */
  readonly afterMs?: number;
  /** Close code when the connection ends with it, at once (fate close) or when repeated (fate reply). */
  readonly closes?: number;
  /** What a person reads. Never holds internals. */
  readonly message: string;
}

export const ERRORS = {
  bad_json: { fate: 'reply', http: 400, closes: 4501, message: 'This is not JSON.' },
  bad_frame: { fate: 'reply', http: 400, closes: 4501, message: 'The request has the wrong shape.' },
  unknown_type: { fate: 'reply', http: 400, closes: 4501, message: 'There is no such request type.' },
  too_large: { fate: 'reply', http: 413, message: 'This is larger than allowed.' },
  unauthenticated: { fate: 'close', http: 401, closes: 4501, message: 'Sign in first.' },
  invalid_token: { fate: 'close', http: 401, closes: 4500, message: 'The token is not valid.' },
  already_authenticated: { fate: 'close', closes: 4501, message: 'This connection is signed in already.' },
  token_in_url: { fate: 'reply', http: 400, message: 'Send the token in hello, never in the URL.' },
  origin_not_allowed: { fate: 'reply', http: 403, message: 'This origin is not allowed.' },
  not_found: { fate: 'reply', http: 404, message: 'There is no such thing.' },
  forbidden: { fate: 'reply', http: 403, message: 'You may not do this.' },
  read_only: { fate: 'reply', http: 403, message: 'This conversation is read-only.' },
  muted: { fate: 'reply', http: 403, message: 'You are muted here.' },
  blocked: { fate: 'reply', http: 403, message: 'This person cannot be written to.' },
  conflict: { fate: 'reply', http: 409, message: 'This conflicts with the current state.' },
  limit_reached: { fate: 'reply', http: 409, message: 'A limit is reached.' },
  gone: { fate: 'reply', http: 410, message: 'This was deleted.' },
  unsupported_media_type: {
    fate: 'reply',
    http: 415,
    closes: 1003,
    message: 'This kind of content is not taken here.',
  },
  rate_limited: { fate: 'reply', http: 429, retry: true, closes: 4004, message: 'Too many requests.' },
  overloaded: { fate: 'reply', http: 503, retry: true, afterMs: 1_000, message: 'The server cannot take this now.' },
  unavailable: { fate: 'reply', http: 503, retry: true, afterMs: 1_000, message: 'This cannot be done at the moment.' },
  internal: { fate: 'reply', http: 500, retry: true, message: 'Something went wrong on the server.' },
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof ERRORS;

/** Close codes. 4000-4499: reconnect with backoff and jitter; 4500-4999: do not until something changed. */
export const CLOSES = {
  going_away: 4000,
  too_slow: 4002,
  token_expired: 4003,
  flooding: 4004,
  no_pong: 4005,
  invalid_token: 4500,
  protocol_violation: 4501,
  auth_timeout: 4502,
  session_revoked: 4503,
  too_many_connections: 4504,
} as const;

export type CloseReason = keyof typeof CLOSES;

/** The name of one of our close codes; codes of RFC 6455 have none. */
export function closeName(code: number): CloseReason | undefined {
  return (Object.keys(CLOSES) as CloseReason[]).find((name) => CLOSES[name] === code);
}

export interface ErrorDetail {
  /** The request's field that is at fault. */
  readonly field?: string;
  /** Repeat after this many milliseconds; where not told, after the table's. */
  readonly afterMs?: number;
  /** What a person reads instead of the table's text. Never internals. */
  readonly message?: string;
  /** The cause, for the log only. */
  readonly cause?: unknown;
}

/** The only error that domain code throws on purpose. Anything else that arrives at the edge is `internal`. */
export class ChatError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly afterMs: number | undefined;

  constructor(code: ErrorCode, detail: ErrorDetail = {}) {
    super(detail.message ?? ERRORS[code].message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'ChatError';
    this.code = code;
    this.field = detail.field;
    this.afterMs = detail.afterMs ?? errorEntry(code).afterMs;
  }
}

/** The entry of a code, with the optional columns in its type. */
export function errorEntry(code: ErrorCode): Entry {
  return ERRORS[code];
}

/** A wrong setting, folder or port: one line for the operator, exit code 2. */
export class StartError extends Error {
  override name = 'StartError';
}
