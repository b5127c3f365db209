// Every frame a client may send, as TypeBox schemas: the one source of shape for the decoder,
// the types, the SDK and the documentation. Unknown fields are refused; numbers are never clamped.
import Type, { type Static, type TObject, type TProperties } from 'typebox';
import { type ConvId, ID_PATTERN, KEY_PATTERN, type Key } from './ids.ts';
import * as limits from './limits.ts';

const closed = { additionalProperties: false } as const;
const largest = Number.MAX_SAFE_INTEGER;

const id = Type.Unsafe<Key>(Type.String({ pattern: KEY_PATTERN }));
const conv = Type.Unsafe<ConvId>(Type.String({ pattern: ID_PATTERN }));
const seq = Type.Integer({ minimum: 1, maximum: largest });
const cursor = Type.Integer({ minimum: 0, maximum: largest });
const token = Type.String({ minLength: 1 });
const fileId = Type.String({ pattern: ID_PATTERN });

function request<const Name extends string, Fields extends TProperties>(name: Name, fields: Fields) {
  return Type.Object({ t: Type.Literal(name), id, ...fields }, closed);
}

function signal<const Name extends string, Fields extends TProperties>(name: Name, fields: Fields) {
  return Type.Object({ t: Type.Literal(name), ...fields }, closed);
}

/** What a connection may ask not to get: the ephemeral kinds. */
export const WANTS = ['typing', 'presence', 'receipts'] as const;
export type Want = (typeof WANTS)[number];

/** Frames with an `id`: each gets exactly one answer. */
export const REQUESTS = {
  hello: request('hello', {
    token,
    device: Type.Optional(Type.String({ minLength: 1, maxLength: 40 })),
    since: Type.Optional(
      Type.Object(
        {
          epoch: Type.String({ maxLength: 4_096 }),
          convs: Type.Record(Type.String({ pattern: ID_PATTERN }), cursor, closed),
        },
        closed,
      ),
    ),
    want: Type.Optional(Type.Array(Type.Union(WANTS.map((want) => Type.Literal(want))), { maxItems: WANTS.length })),
  }),
  renew: request('renew', { token }),
  ping: request('ping', {}),
  message: request('message', {
    conv,
    text: Type.String(),
    reply: Type.Optional(seq),
    thread: Type.Optional(seq),
    files: Type.Optional(Type.Array(fileId, { maxItems: limits.MAX_FILES })),
  }),
  edit: request('edit', { conv, seq, text: Type.String() }),
  delete: request('delete', { conv, seq, for: Type.Union([Type.Literal('all'), Type.Literal('me')]) }),
  react: request('react', { conv, seq, emoji: Type.String({ minLength: 1, maxLength: 64 }), on: Type.Boolean() }),
  pin: request('pin', { conv, seq, on: Type.Boolean() }),
  join: request('join', { conv }),
  leave: request('leave', { conv }),
  read: request('read', { conv, n: cursor, unread: Type.Optional(Type.Boolean()) }),
  sync: request('sync', {
    conv,
    after: cursor,
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.MAX_SYNC_LIMIT })),
  }),
  history: request('history', {
    conv,
    before: Type.Optional(seq),
    after: Type.Optional(cursor),
    around: Type.Optional(seq),
    thread: Type.Optional(seq),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.MAX_HISTORY_LIMIT })),
  }),
} as const;

/** Frames without an `id`: ephemeral, never answered. */
export const SIGNALS = {
  typing: signal('typing', { conv, on: Type.Boolean() }),
  presence: signal('presence', {
    status: Type.Union([Type.Literal('online'), Type.Literal('away'), Type.Literal('busy'), Type.Literal('offline')]),
  }),
  received: signal('received', { conv, n: cursor }),
} as const;

export type RequestName = keyof typeof REQUESTS;
export type SignalName = keyof typeof SIGNALS;
export type ClientFrameName = RequestName | SignalName;

export type Request = { [Name in RequestName]: Static<(typeof REQUESTS)[Name]> }[RequestName];
export type Signal = { [Name in SignalName]: Static<(typeof SIGNALS)[Name]> }[SignalName];
export type ClientFrame = Request | Signal;
export type RequestOf<Name extends RequestName> = Static<(typeof REQUESTS)[Name]>;
export type SignalOf<Name extends SignalName> = Static<(typeof SIGNALS)[Name]>;

export const CLIENT_FRAMES: Readonly<Record<ClientFrameName, TObject>> = { ...REQUESTS, ...SIGNALS };
